import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { findProgram, freePort } from './programs.ts';
import { scratchRoot } from './scratch.ts';
import type { TransactionPooler } from './transaction-pooler.ts';

/** Debian's `nobody`: PgBouncer refuses to run as root. */
const nobody = 65_534;

/** The real one, where this machine has it (`apt-get install pgbouncer`); no package of npm brings it. */
export const pgBouncer = findProgram('pgbouncer');

/** In transaction mode, before a server that asks for no password. */
export async function startPgBouncer(target: { host: string; port: number }): Promise<TransactionPooler> {
  if (pgBouncer === null) throw new Error('there is no pgbouncer on this machine');
  const folder = mkdtempSync(join(scratchRoot(), 'depositd-pgbouncer-'));
  const port = await freePort();
  const settings = {
    listen_addr: '127.0.0.1',
    listen_port: port,
    unix_socket_dir: '',
    auth_type: 'any',
    pool_mode: 'transaction',
    // As docs/operations.md says: connections of who was cut off stay, and those are a hundred soon.
    max_client_conn: 1_000,
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}`);
  const configPath = join(folder, 'pgbouncer.ini');
  writeFileSync(
    configPath,
    `[databases]\n* = host=${target.host} port=${target.port} user=test\n[pgbouncer]\n${lines.join('\n')}\n`,
  );
  const asRoot = process.getuid?.() === 0;
  if (asRoot) for (const path of [folder, configPath]) chownSync(path, nobody, nobody);
  chmodSync(folder, 0o755);
  const running = spawn(pgBouncer, [configPath], {
    stdio: ['ignore', 'ignore', 'pipe'],
    ...(asRoot ? { uid: nobody, gid: nobody } : {}),
  });
  const ended = once(running, 'exit');
  const said: string[] = [];
  const listens = Promise.withResolvers<void>();
  createInterface({ input: running.stderr }).on('line', (line) => {
    said.push(line);
    if (line.includes('process up')) listens.resolve();
  });
  await Promise.race([
    listens.promise,
    ended.then(() => Promise.reject(new Error(`PgBouncer ended: ${said.join('\n')}`))),
  ]);
  return {
    port,
    async close() {
      running.kill('SIGKILL');
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
