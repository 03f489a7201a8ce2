import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { CommandError } from '../../../src/errors.ts';
import { inTransaction, openDatabase } from '../../../src/storage/database.ts';
import { claimDaemon } from '../../../src/storage/webhooks/claim.ts';
import { freshDatabaseUrl } from '../../support/databases.ts';

const claimModule = join(import.meta.dirname, '../../../src/storage/webhooks/claim.ts');

/** A process that claims `url`, says so and stays. */
async function startClaimant(url: string): Promise<ChildProcess> {
  const program = `
    import { claimDaemon } from ${JSON.stringify(claimModule)};
    globalThis.claim = await claimDaemon(process.argv[1]);
    console.log('claimed');
    process.stdin.resume();`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program, url], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  await once(child.stdout, 'data');
  return child;
}

test('a second daemon on one SQLite database is refused while the first one lives', async () => {
  const url = await freshDatabaseUrl('SQLite');
  await startClaimant(url);
  const second = claimDaemon(url);
  await expect(second).rejects.toBeInstanceOf(CommandError);
  await expect(second).rejects.toThrow(
    `another depositd already serves the database ${url.slice('sqlite:'.length)}; stop it first`,
  );
});

test('a second daemon is refused within one process too', async () => {
  const url = await freshDatabaseUrl('SQLite');
  const first = await claimDaemon(url);
  await expect(claimDaemon(url)).rejects.toBeInstanceOf(CommandError);
  first.release();
  (await claimDaemon(url)).release();
});

test('a daemon that was killed leaves its SQLite database free', async () => {
  const url = await freshDatabaseUrl('SQLite');
  const first = await startClaimant(url);
  first.kill('SIGKILL');
  await once(first, 'exit');
  (await claimDaemon(url)).release();
});

test('other commands read and write an SQLite database beside its daemon', async () => {
  const url = await freshDatabaseUrl('SQLite');
  await startClaimant(url);
  const db = await openDatabase(url);
  onTestFinished(() => db.destroy());
  await inTransaction(db, (trx) =>
    trx.insertInto('merchants').values({ id: 'mer_1', name: 'Shop', created_at: 0 }).execute(),
  );
  expect(await db.selectFrom('merchants').select('id').execute()).toEqual([{ id: 'mer_1' }]);
});

test('the lock file belongs to its owner alone', async () => {
  const url = await freshDatabaseUrl('SQLite');
  const claim = await claimDaemon(url);
  onTestFinished(() => claim.release());
  expect(statSync(`${url.slice('sqlite:'.length)}.lock`).mode & 0o777).toBe(0o600);
});

test('several daemons may serve one PostgreSQL database', async () => {
  const url = await freshDatabaseUrl('PostgreSQL');
  const first = await claimDaemon(url);
  const second = await claimDaemon(url);
  first.release();
  second.release();
});
