import { spawn } from 'node:child_process';
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, onTestFinished, test } from 'vitest';
import { openDatabase } from '../../src/storage/database.ts';
import { listAudit } from '../../src/storage/operators/audit.ts';
import { evmAddress } from '../support/addresses.ts';
import { cli, compileCache } from '../support/commands.ts';
import { freshDatabaseUrl } from '../support/databases.ts';
import { fillDatabase } from '../support/filled-database.ts';
import { commandHome, onChain } from './support.ts';

// biome-ignore lint/suspicious/noTemplateCurlyInString: the configuration's own syntax
const target = '${DEPOSITD_POSTGRES}';

/** A home with a database of SQLite, and a database of PostgreSQL named in `.env`. */
async function homeToCopy() {
  const chain = await onChain();
  const home = commandHome({ ...chain, listen: { port: 0 } });
  const url = await freshDatabaseUrl('PostgreSQL');
  writeFileSync(join(home.folder, '.env'), `DEPOSITD_POSTGRES=${url}\n`, { mode: 0o600 });
  return { home, url, chain };
}

test('a shop moves to PostgreSQL with its keys, endpoints and addresses, and is told what else to take along', async () => {
  const { home, chain } = await homeToCopy();
  const { id, api_key } = await home.runJson<{ id: string; api_key: string }>(
    'merchant',
    'add',
    'Zoë’s 商店',
  );
  await home.run('address', 'add', '--merchant', id, '--network', 'bsc', evmAddress(1), evmAddress(2));
  await home.run('webhook', 'add', '--merchant', id, 'https://shop.example/hooks');
  const daemon = await home.start();
  expect(await home.run('copy', '--to', target)).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^depositd: another depositd already serves the database/),
  });
  await daemon.stop();

  const copied = await home.run('copy', '--to', target);
  expect(copied).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(
      /^copied, and compared with .*depositd\.db: 1 merchant, 2 addresses, 0 payments, 0 deposits, 0 events\n$/,
    ),
  });
  expect(copied.stderr).toContain(`Not in the database: ${join(home.folder, 'depositd.key')}`);
  expect(copied.stderr).toContain('Never start one on');

  const moved = commandHome({ ...chain, listen: { port: 0 }, database: target });
  renameSync(join(home.folder, '.env'), join(moved.folder, '.env'));
  await expect(moved.start()).rejects.toThrow(
    'depositd.key is missing, but the database holds webhook secrets sealed with it',
  );
  renameSync(join(home.folder, 'depositd.key'), join(moved.folder, 'depositd.key'));
  const { url } = await moved.start();
  const methods = await fetch(`${url}/api/v1/methods/`, { headers: { 'X-API-Key': api_key } });
  expect(methods.status).toBe(200);
  expect(await moved.runJson('merchant', 'list')).toMatchObject({ data: [{ id, name: 'Zoë’s 商店' }] });
  expect(await moved.runJson('webhook', 'list', '--merchant', id)).toMatchObject({
    data: [{ url: 'https://shop.example/hooks' }],
  });
  expect(await moved.run('copy', '--to', target)).toMatchObject({
    code: 1,
    stderr:
      'depositd: the database is PostgreSQL already; its own tools copy it: pg_dump --format=custom, then pg_restore\n',
  });
}, 150_000);

test('a copy that is killed in the middle leaves nothing behind, and the next one is whole', async () => {
  const { home, url } = await homeToCopy();
  const source = await openDatabase(`sqlite:${join(home.folder, 'depositd.db')}`);
  await fillDatabase(source, { payments: 5_000, now: 1_800_000_000_000 });
  await source.destroy();
  const child = spawn(process.execPath, [cli, 'copy', '--to', target, '-c', home.configPath], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: compileCache,
  });
  const ended = new Promise<string | null>((resolve) => child.once('close', (_, signal) => resolve(signal)));
  for await (const line of createInterface({ input: child.stderr })) {
    expect(line).toMatch(/^copying: \d+ of \d+$/);
    child.kill('SIGKILL');
    break;
  }
  expect(await ended).toBe('SIGKILL');

  const db = await openDatabase(url);
  onTestFinished(() => db.destroy());
  expect(await db.selectFrom('merchants').selectAll().execute()).toEqual([]);
  const { tables } = await home.runJson<{ tables: Record<string, number> }>('copy', '--to', target);
  expect(tables).toMatchObject({
    merchants: 2,
    payments: 5_000,
    deposits: 5_000,
    events: 10_000,
    deliveries: 5_000,
  });
  expect(await listAudit(db, { beforeId: null, limit: 10 })).toMatchObject([
    { actor: 'cli', action: 'database.copied', detail: { payments: 5_000, deposits: 5_000 } },
  ]);
  expect(await home.run('copy', '--to', target)).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(
      /^depositd: nothing was copied: the target holds rows already \(merchants, /,
    ),
  });
}, 150_000);

test('a target that cannot be one is refused in a plain line, without its password', async () => {
  const { home } = await homeToCopy();
  const copyTo = async (to: string) => {
    const { code, stdout, stderr } = await home.run('copy', '--to', to);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).not.toContain('hunter2');
    return stderr;
  };
  expect(await copyTo('postgres://127.0.0.1:1/x')).toMatch(
    /^depositd: there is no database .*depositd\.db to copy\n$/,
  );
  await home.run('merchant', 'list');
  expect(await copyTo('sqlite:./other.db')).toBe(
    'depositd: --to: expected postgres://user:password@host/name\n',
  );
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the configuration's own syntax
  expect(await copyTo('${DEPOSITD_NOBODY}')).toBe(
    'depositd: the environment variable DEPOSITD_NOBODY is not set, nor in the file .env beside the configuration\n',
  );
  expect(await copyTo('postgres://me:hunter2hunter2@127.0.0.1:1/pay')).toMatch(
    /^depositd: nothing was copied: cannot use the database 127\.0\.0\.1:1\/pay: [^\n]*ECONNREFUSED[^\n]*\n$/,
  );
  rmSync(join(home.folder, '.env'));
}, 150_000);
