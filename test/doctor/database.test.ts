import { expect, onTestFinished, test } from 'vitest';
import { checkPostgres, checkSignals } from '../../src/doctor/database.ts';
import { openPostgres, runningLimits } from '../../src/storage/postgres.ts';
import { freshDatabaseUrl } from '../support/databases.ts';
import { startTransactionPooler } from '../support/transaction-pooler.ts';

test('doctor says whether NOTIFY arrives, and behind a pooler names the setting that helps', async () => {
  const url = await freshDatabaseUrl('PostgreSQL');
  const { hostname, port } = new URL(url);
  const pooler = await startTransactionPooler({ host: hostname, port: Number(port) });
  onTestFinished(() => pooler.close());
  const database = url.replace(`:${port}`, `:${pooler.port}`);
  const db = openPostgres(database, runningLimits);
  onTestFinished(() => db.destroy());
  const check = (databaseDirect: string | null) => checkSignals(db, { database, databaseDirect }, 300);
  expect(await check(url)).toEqual({
    part: 'database signals',
    subject: `${hostname}:${port}`,
    outcome: 'well',
    found: 'NOTIFY arrives',
  });
  expect(await check(null)).toMatchObject({
    outcome: 'warning',
    found: expect.stringContaining('NOTIFY does not arrive: there is a pooler'),
    money: expect.stringContaining('none is lost'),
    todo: 'set "databaseDirect" to the URL of this database without its pooler',
  });
  const otherDatabase = await freshDatabaseUrl('PostgreSQL');
  expect(await check(otherDatabase)).toMatchObject({
    outcome: 'warning',
    todo: expect.stringContaining('let "databaseDirect" name the same database'),
  });
  expect(await check('postgres://test@127.0.0.1:1/nowhere')).toMatchObject({
    outcome: 'warning',
    found: expect.stringMatching(/^nobody can listen: nothing listens there/),
  });
});

test('doctor does not bring tables up to date, and says that they are not', async () => {
  const url = await freshDatabaseUrl('PostgreSQL');
  const { db, finding } = await checkPostgres(url);
  expect(db).toBeNull();
  expect(finding).toMatchObject({
    outcome: 'warning',
    found: 'its tables are not those of this version yet',
    todo: 'start the daemon, which brings them up to date',
  });
  const empty = openPostgres(url, runningLimits);
  onTestFinished(() => empty.destroy());
  expect(await empty.introspection.getTables()).toEqual([]);
});
