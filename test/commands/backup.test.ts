import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HDKey } from '@scure/bip32';
import Sqlite from 'better-sqlite3';
import { expect, onTestFinished, test } from 'vitest';
import { backUp } from '../../src/storage/backup.ts';
import { openDatabase } from '../../src/storage/database.ts';
import { restoreBackup } from '../../src/storage/restore.ts';
import { evmAddress } from '../support/addresses.ts';
import { cli } from '../support/commands.ts';
import { fillDatabase } from '../support/filled-database.ts';
import { scratchRoot } from '../support/scratch.ts';
import { commandHome, offline, onChain, readAudit } from './support.ts';

const mode = (path: string) => (statSync(path).mode & 0o777).toString(8);

test('a backup is made beside a running daemon, verified and restored, and what was there before is kept', async () => {
  const home = commandHome({ ...(await onChain()), listen: { port: 0 } });
  const { id } = await home.runJson<{ id: string }>('merchant', 'add', 'Shop');
  const daemon = await home.start();
  const file = join(home.folder, 'backup.db');
  const made = await home.run('backup', file);
  expect(made).toMatchObject({ code: 0, stderr: expect.stringContaining('depositd.key') });
  expect(made.stdout).toBe(
    `${file} is a backup, verified: 1 merchant, 0 addresses, 0 payments, 0 deposits, 0 events\n`,
  );
  expect(mode(file)).toBe('600');
  expect(readdirSync(home.folder).filter((name) => name.startsWith('backup'))).toEqual(['backup.db']);

  await home.run('address', 'add', '--merchant', id, '--network', 'bsc', evmAddress(1));
  expect(await home.run('restore', file)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('another depositd already serves the database'),
  });
  await daemon.stop();
  // The reason for a restore may be that the database is damaged.
  const damaged = readFileSync(join(home.folder, 'depositd.db')).fill(0, 0, 16);
  expect(await home.run('restore', '--check', file)).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/can be restored: 1 merchant, 0 addresses/),
  });
  const { kept } = await home.runJson<{ kept: string }>('restore', file);
  expect(await home.runJson('address', 'list', '--merchant', id)).toEqual({ data: [] });
  expect(mode(join(home.folder, 'depositd.db'))).toBe('600');
  expect((await readAudit(home.folder)).map(({ action }) => action)).toEqual([
    'merchant.added',
    'database.restored',
    'addresses.held',
  ]);
  const before = new Sqlite(kept, { readonly: true });
  expect(before.prepare('select address from addresses').pluck().all()).toEqual([evmAddress(1)]);
  before.close();
  writeFileSync(join(home.folder, 'depositd.db'), damaged);
  expect((await home.run('merchant', 'list')).code).toBe(1);
  expect((await home.run('restore', file)).code).toBe(0);
  expect(await home.runJson('merchant', 'list')).toMatchObject({ data: [{ id }] });
}, 150_000);

test('a backup of a large database ends beside a daemon that writes all the time, and is of one moment', async () => {
  const home = commandHome();
  const path = join(home.folder, 'depositd.db');
  const [file, abandoned] = [
    join(home.folder, 'backup.db'),
    join(home.folder, 'backup.db.draft-0123456789ab'),
  ];
  const db = await openDatabase(`sqlite:${path}`);
  await fillDatabase(db, { payments: 3_000, now: Date.now() });
  await db.destroy();
  const [writer, written] = [new Sqlite(path), [] as number[]];
  const write = writer.prepare(
    "insert into merchants (id, name, created_at) values (hex(randomblob(8)), 'Shop', 1)",
  );
  let ended = false;
  // Between any two portions that are copied.
  const writeAgain = () => {
    if (ended) return void writer.close();
    written.push(Number(write.run().lastInsertRowid));
    setImmediate(writeAgain);
  };
  onTestFinished(() => {
    ended = true;
  });
  writeAgain();
  writeFileSync(abandoned, 'of a backup that was killed');
  utimesSync(abandoned, 0, 0);
  const counts = await backUp(path, file, []);
  expect(written.length).toBeGreaterThan(5);
  expect(counts.payments).toBe(3_000);
  expect(existsSync(abandoned)).toBe(false);
}, 30_000);

test('what is no backup, or a damaged one, is refused and changes nothing', async () => {
  const home = commandHome();
  const { id } = await home.runJson<{ id: string }>('merchant', 'add', 'Shop');
  const file = join(home.folder, 'backup.db');
  await home.run('backup', file);
  truncateSync(file, statSync(file).size - 4096 * 3);
  writeFileSync(join(home.folder, 'text.db'), 'no database');
  new Sqlite(join(home.folder, 'other.db')).exec('create table t (x)').close();
  for (const name of [file, 'text.db', 'other.db', 'absent.db']) {
    const { code, stdout, stderr } = await home.run('restore', name);
    expect({ code, stdout }, name).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^depositd: [^\n]+ cannot be restored: [^\n]+\n$/);
  }
  expect(await home.runJson('merchant', 'list')).toMatchObject({ data: [{ id }] });
  expect(await home.run('backup', join(home.folder, 'nowhere/backup.db'))).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('no backup was made in'),
  });
}, 150_000);

test('a backup replaces an earlier backup and nothing else: neither the database, under whatever name, nor anything beside it', async () => {
  const home = commandHome();
  const at = (name: string) => join(home.folder, name);
  await home.run('merchant', 'add', 'Shop');
  const earlier = at('backup.db');
  expect((await home.run('backup', earlier)).code).toBe(0);
  await home.run('merchant', 'add', 'Another shop');
  expect(await home.run('backup', earlier)).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('2 merchants'),
  });

  const daemon = new Sqlite(at('depositd.db'));
  daemon.exec("update merchants set name = 'Shop' where name = 'Shop'");
  copyFileSync(at('depositd.db'), at('in-use.db'));
  copyFileSync(earlier, at('with-log.db'));
  writeFileSync(at('with-log.db-wal'), '');
  new Sqlite(at('other.db')).exec('create table t (x)').close();
  for (const name of ['depositd.key', '.env', 'notes.txt', 'depositd.db.lock']) writeFileSync(at(name), '');
  mkdirSync(at('folder'));
  symlinkSync(at('depositd.db'), at('link.db'));
  linkSync(at('depositd.db'), at('hard-link.db'));
  symlinkSync(home.folder, at('folder-link'));
  symlinkSync(at('depositd.db-journal'), at('dangling.db'));

  const before = contentOf(home.folder);
  const refused = [
    ['depositd.db', 'the database itself'],
    ['folder/../depositd.db', 'the database itself'],
    ['folder-link/depositd.db', 'the database itself'],
    ['link.db', 'the database itself'],
    ['hard-link.db', 'the database itself'],
    ['depositd.db-wal', 'a part of the database'],
    ['depositd.db-shm', 'a part of the database'],
    ['depositd.db-journal', 'a part of the database'],
    ['depositd.db.lock', 'the lock of the database'],
    ['depositd.key', 'the sealing key'],
    ['folder-link/config.json', 'the configuration'],
    ['.env', 'the file of secrets beside the configuration'],
    ['dangling.db', 'a link that leads nowhere'],
    ['notes.txt', 'no backup of depositd'],
    ['other.db', 'no backup of depositd'],
    ['in-use.db', 'a database in use, not a backup'],
    ['with-log.db', 'with-log.db-wal is in the way'],
    ['folder', 'a folder'],
  ] as const;
  for (const [name, why] of refused) {
    const { code, stdout, stderr } = await home.run('backup', `${home.folder}/${name}`);
    expect({ code, stdout }, name).toEqual({ code: 1, stdout: '' });
    expect(stderr, name).toMatch(/^depositd: no backup was made in [^\n]+\n$/);
    expect(stderr, name).toContain(why);
  }
  expect(contentOf(home.folder)).toEqual(before);
  daemon.close();

  mkdirSync(at('volume'));
  renameSync(at('depositd.db'), at('volume/real.db'));
  rmSync(at('link.db'));
  symlinkSync(at('volume/real.db'), at('link.db'));
  // Where SQLite writes the log of link.db.
  await expect(backUp(at('link.db'), at('volume/real.db-wal'), [])).rejects.toThrow('a part of the database');
  await expect(backUp(at('link.db'), at('link.db.lock'), [])).rejects.toThrow('the lock of the database');
}, 150_000);

test('what is only in the write-ahead log of a file is restored with it, also from what a restore moved aside', async () => {
  const home = commandHome();
  const at = (name: string) => join(home.folder, name);
  await home.run('merchant', 'add', 'Shop');
  expect((await home.run('backup', at('backup.db'))).code).toBe(0);
  // A daemon that was killed leaves its newest changes in the log alone.
  const daemon = new Sqlite(at('depositd.db'));
  daemon.pragma('wal_autocheckpoint = 0');
  daemon.exec("insert into merchants (id, name, created_at) values ('me_logged', 'Logged', 1)");
  for (const ending of ['', '-wal']) copyFileSync(at('depositd.db') + ending, at('killed.db') + ending);
  daemon.close();
  for (const ending of ['', '-wal']) copyFileSync(at('killed.db') + ending, at('depositd.db') + ending);

  const merchants = async () => {
    const { data } = await home.runJson<{ data: { name: string }[] }>('merchant', 'list');
    return data.map(({ name }) => name).sort();
  };
  const before = contentOf(home.folder);
  // The name for the database is short enough, that for its log is not.
  const long = 'x'.repeat(255 - 'depositd.db.before-restore-'.length);
  await expect(
    restoreBackup({
      file: at('backup.db'),
      databasePath: at('depositd.db'),
      stamp: long,
      complete: async () => {},
    }),
  ).rejects.toThrow('was not restored');
  expect(contentOf(home.folder)).toEqual(before);

  const { kept } = await home.runJson<{ kept: string }>('restore', at('backup.db'));
  expect(await merchants()).toEqual(['Shop']);
  const restored = await home.run('restore', kept);
  expect(restored.stdout).toContain('is restored: 2 merchants');
  expect(restored.stdout).toMatch(/^no payment is given an address that is there now until 20\S+Z: /m);
  expect(await merchants()).toEqual(['Logged', 'Shop']);
  await home.runJson('restore', at('backup.db'));
  expect(await home.runJson('restore', at('killed.db'))).toMatchObject({ tables: { merchants: 2 } });
  expect(await merchants()).toEqual(['Logged', 'Shop']);
}, 150_000);

/** What a folder holds, by name. */
function contentOf(folder: string): Record<string, string> {
  return Object.fromEntries(
    readdirSync(folder)
      .sort()
      .map((name) => join(folder, name))
      .filter((path) => lstatSync(path).isFile())
      .map((path) => [path, createHash('sha256').update(readFileSync(path)).digest('hex')]),
  );
}

test('a restore that is killed is told by every command, and undone by the next start, which says so', async () => {
  const home = commandHome({ ...(await onChain()), listen: { port: 0 } });
  await home.run('merchant', 'add', 'Shop');
  const file = join(home.folder, 'backup.db');
  await home.run('backup', file);
  await home.run('merchant', 'add', 'Another shop');
  const killed = `
    import fs from 'node:fs';
    import { syncBuiltinESMExports } from 'node:module';
    const { renameSync } = fs;
    fs.renameSync = (from, to) => {
      renameSync(from, to);
      if (to.includes('before-restore')) process.kill(process.pid, 'SIGKILL');
    };
    syncBuiltinESMExports();`;
  const preload = ['--import', `data:text/javascript,${encodeURIComponent(killed)}`];
  const restore = [cli, 'restore', file, '-c', home.configPath];
  const { signal } = spawnSync(process.execPath, [...preload, ...restore], { cwd: home.folder });
  expect(signal).toBe('SIGKILL');
  for (const command of [['merchant', 'list'], ['backup', 'other.db'], ['doctor']]) {
    const { code, stdout, stderr } = await home.run(...command);
    expect(code, command[0]).toBe(1);
    expect(stdout + stderr, command[0]).toMatch(/a restore .*is going on, or was interrupted/);
  }
  const daemon = await home.start();
  expect(home.logs).toContainEqual(
    expect.objectContaining({ level: 'warn', msg: 'restore was interrupted', outcome: 'undone' }),
  );
  await daemon.stop();
  expect((await home.runJson<{ data: object[] }>('merchant', 'list')).data).toHaveLength(2);
  expect(await home.run('restore', file)).toMatchObject({ code: 0, stderr: '' });
  expect((await home.runJson<{ data: object[] }>('merchant', 'list')).data).toHaveLength(1);
}, 60_000);

test('a backup of a newer version, of a sandbox, or sealed with another key is told before anything is replaced', async () => {
  const home = commandHome();
  const at = (name: string) => join(home.folder, name);
  const shop = await home.runJson<{ id: string }>('merchant', 'add', 'Shop');
  await home.run('webhook', 'add', '--merchant', shop.id, 'https://shop.example/hooks');
  for (const name of ['newer.db', 'other.db']) expect((await home.run('backup', at(name))).code).toBe(0);
  const newer = new Sqlite(at('newer.db'));
  newer.exec("insert into depositd_migrations (name, timestamp) values ('9999_later', '2027')").close();
  const before = contentOf(home.folder);
  for (const args of [['--check'], []]) {
    const { code, stderr } = await home.run('restore', ...args, at('newer.db'));
    expect(code).toBe(1);
    expect(stderr).toMatch(/cannot be restored: it was written by a newer depositd \(it has 9999_later\)/);
  }
  expect(contentOf(home.folder)).toEqual(before);

  const other = commandHome();
  const theirs = await other.runJson<{ id: string }>('merchant', 'add', 'Other shop');
  await other.run('webhook', 'add', '--merchant', theirs.id, 'https://other.example/hooks');
  const check = await other.run('restore', '--check', at('other.db'));
  expect(check).toMatchObject({
    code: 0,
    stderr: expect.stringContaining('Is it a backup of another database? The daemon will not start on it: '),
  });
  // With the same key it is told by its merchants.
  expect(check.stderr).toContain('Is it a backup of another database? None of its merchants is in ');
  await home.run('merchant', 'add', 'Another shop');
  expect((await home.run('restore', '--check', at('other.db'))).stderr).toBe('');

  const live = await openDatabase(`sqlite:${at('depositd.db')}`);
  await fillDatabase(live, { payments: 30, now: Date.now() });
  await live.destroy();
  expect((await home.run('backup', at('live.db'))).code).toBe(0);
  const sandbox = commandHome({ ...offline, sandbox: true });
  expect(await sandbox.run('restore', '--check', at('live.db'))).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('it is a backup of a live service, and this is none'),
  });
}, 150_000);

test('what was done after a backup was made, and is undone by it, is named with how to do it again', async () => {
  const home = commandHome();
  const backup = join(home.folder, 'backup.db');
  const { id, api_key } = await home.runJson<{ id: string; api_key: string }>('merchant', 'add', 'Shop');
  const keys = await home.runJson<{ data: { id: string }[] }>('key', 'list', '--merchant', id);
  const key = String(keys.data[0]?.id);
  const of = ['--merchant', id, '--network', 'bsc'];
  await home.run('address', 'add', ...of, evmAddress(1), evmAddress(2));
  const xpub = HDKey.fromMasterSeed(Buffer.alloc(32, 7)).derive("m/44'/60'/0'").publicExtendedKey;
  const pool = await home.runJson<{ id: number }>('address', 'add', ...of, '--xpub', xpub);
  const hook = (n: number) =>
    home.runJson<{ id: string }>('webhook', 'add', '--merchant', id, `https://shop.example/${n}`);
  const [rotated, removed] = [await hook(1), await hook(2)];
  for (const name of ['ada', 'bob']) await home.run('user', 'add', name);
  await home.run('backup', backup);
  expect((await home.run('restore', '--check', backup)).stdout).not.toContain('undone');

  await home.run('key', 'revoke', key);
  await home.run('address', 'retire', '--merchant', id, evmAddress(2));
  await home.run('address', 'pools', 'remove', '--merchant', id, String(pool.id));
  await home.run('webhook', 'rotate', rotated.id);
  await home.run('webhook', 'remove', removed.id);
  await home.run('user', 'disable', 'bob');
  const more = await home.runJson<{ id: string }>('merchant', 'add', 'Second shop');
  await home.run('address', 'add', '--merchant', more.id, '--network', 'bsc', evmAddress(3));
  const undone = {
    api_keys: [key],
    addresses: [evmAddress(2)],
    derived_pools: [String(pool.id)],
    webhook_endpoints: [removed.id],
    webhook_secrets: [rotated.id],
    users: ['bob'],
    payments: [],
    added: {
      merchants: [more.id],
      api_keys: [expect.stringMatching(/^key_/)],
      addresses: [`bsc ${evmAddress(3)}`],
      derived_pools: [],
      webhook_endpoints: [],
      users: [],
    },
  };
  expect(await home.runJson('restore', '--check', backup)).toMatchObject({ undone });
  const { stdout } = await home.run('restore', backup);
  expect(stdout).toContain('what was done after the backup is undone');
  expect(stdout).toContain(`  1 revoked API key: ${key} (depositd key revoke)\n`);
  expect(stdout).toContain(`  1 added address: bsc ${evmAddress(3)} (depositd address add)\n`);
  expect(stdout).not.toContain(api_key);
  // Nor is a link good that was used since, or a session that was ended.
  const restored = new Sqlite(join(home.folder, 'depositd.db'), { readonly: true });
  expect(restored.prepare('select count(*) from user_links').pluck().get()).toBe(0);
  restored.close();
  // There is nothing to compare with.
  rmSync(join(home.folder, 'depositd.db'));
  expect(await home.runJson('restore', '--check', backup)).toMatchObject({ undone: null });
}, 150_000);

test.runIf(process.platform === 'linux')(
  'a backup for which there is no room leaves nothing behind, and the earlier one as it was',
  async () => {
    const home = commandHome();
    const at = (name: string) => join(home.folder, name);
    await home.run('merchant', 'add', 'Shop');
    await home.run('backup', at('earlier.db'));
    const before = contentOf(home.folder);
    // No file may become larger than 16 KiB: what fails then fails as on a disk without room.
    const limited = `trap '' XFSZ; ulimit -f 32; exec "$0" "$@"`;
    const { status, stderr } = spawnSync(
      'sh',
      ['-c', limited, process.execPath, cli, 'backup', at('earlier.db'), '-c', home.configPath],
      { encoding: 'utf8', env: { PATH: process.env.PATH, DEPOSITD_ADMIN_TOKEN: 'x' } },
    );
    expect(status).toBe(1);
    expect(stderr).toMatch(/^depositd: no backup was made in [^\n]+\n$/);
    expect(contentOf(home.folder)).toMatchObject(before);
    const names = readdirSync(home.folder).filter((name) => !name.startsWith('depositd.db'));
    expect(names.sort()).toEqual(['config.json', 'earlier.db']);
  },
  60_000,
);

/** A disk of 128 KiB for a command alone, where this system lets everybody have one. */
const onSmallDisk = (folder: string, ...command: string[]) =>
  spawnSync(
    'unshare',
    [
      '-Urm',
      'sh',
      '-c',
      'mount -t tmpfs -o size=128k tmpfs "$0" && "$@"; code=$?; ls "$0"; exit $code',
      folder,
      ...command,
    ],
    { encoding: 'utf8', env: { PATH: process.env.PATH, DEPOSITD_ADMIN_TOKEN: 'x' } },
  );

test.runIf(onSmallDisk(tmpdir(), 'true').status === 0)(
  'a backup on a disk that is full says so, and leaves nothing there',
  async () => {
    const home = commandHome();
    await home.run('merchant', 'add', 'Shop');
    const disk = join(home.folder, 'disk');
    mkdirSync(disk);
    const backup = [process.execPath, cli, 'backup', join(disk, 'backup.db'), '-c', home.configPath];
    const { status, stdout, stderr } = onSmallDisk(disk, ...backup);
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toMatch(/^depositd: no backup was made in [^\n]+backup\.db: [^\n]*(full|space)[^\n]*\n$/);
  },
);

const otherFileSystem = [tmpdir(), '/dev/shm', '/var/tmp'].find(
  (folder) => existsSync(folder) && statSync(folder).dev !== statSync(scratchRoot()).dev,
);

test.runIf(otherFileSystem !== undefined)(
  'a backup on another file system is made, and restored from there',
  async () => {
    const home = commandHome();
    await home.run('merchant', 'add', 'Shop');
    const folder = mkdtempSync(join(otherFileSystem as string, 'depositd-backup-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const file = join(folder, 'backup.db');
    expect((await home.run('backup', file)).code).toBe(0);
    expect(readdirSync(folder)).toEqual(['backup.db']);
    expect((await home.run('restore', file)).stdout).toContain('is restored: 1 merchant');
  },
);

test('of PostgreSQL it is said which tools do it', async () => {
  const home = commandHome({ ...offline, database: 'postgres://me:hunter2hunter2@127.0.0.1:1/pay' });
  const { code, stderr } = await home.run('backup', 'x.db');
  expect(code).toBe(1);
  expect(stderr).toMatch(/pg_dump --format=custom/);
  const restoring = await home.run('restore', 'x.db');
  expect(restoring).toMatchObject({ code: 1, stderr: expect.stringContaining('pg_restore --clean') });
  expect(stderr + restoring.stderr).not.toContain('hunter2');
});
