import { readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { expect, test } from 'vitest';
import { evmAddress } from '../support/addresses.ts';
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
  ]);
  const before = new Sqlite(kept, { readonly: true });
  expect(before.prepare('select address from addresses').pluck().all()).toEqual([evmAddress(1)]);
  before.close();
  writeFileSync(join(home.folder, 'depositd.db'), damaged);
  expect((await home.run('merchant', 'list')).code).toBe(1);
  expect((await home.run('restore', file)).code).toBe(0);
  expect(await home.runJson('merchant', 'list')).toMatchObject({ data: [{ id }] });
}, 150_000);

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

test('of PostgreSQL it is said which tools do it', async () => {
  const home = commandHome({ ...offline, database: 'postgres://me:hunter2hunter2@127.0.0.1:1/pay' });
  const { code, stderr } = await home.run('backup', 'x.db');
  expect(code).toBe(1);
  expect(stderr).toMatch(/pg_dump --format=custom/);
  expect(stderr).not.toContain('hunter2');
});
