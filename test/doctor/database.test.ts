import { sql } from 'kysely';
import { expect, onTestFinished, test } from 'vitest';
import { checkPostgres, checkServer, checkSignals } from '../../src/doctor/database.ts';
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

test('doctor says that PostgreSQL takes no writes, or may lose what it has answered', async () => {
  const url = await freshDatabaseUrl('PostgreSQL', { migrated: true });
  const name = new URL(url).pathname.slice(1);
  // Settings of a database are those of the sessions after it.
  const after = async (...statements: string[]) => {
    const admin = openPostgres(url, runningLimits);
    for (const statement of statements) await sql.raw(statement).execute(admin);
    await admin.destroy();
    const db = openPostgres(url, runningLimits);
    onTestFinished(() => db.destroy());
    return checkServer(db, 'here');
  };
  const found = async (...statements: string[]) => (await after(...statements)).map((one) => one.found);
  // The server of these tests writes nothing to the disk.
  const fsync = 'fsync is off: a power cut can destroy it';
  expect(await found()).toEqual([fsync, 'synchronous_commit is off: it answers before it has written']);
  expect(await found(`alter database ${name} set synchronous_commit = on`)).toEqual([fsync]);

  const [refused] = await after(`alter database ${name} set default_transaction_read_only = on`);
  expect(refused).toMatchObject({
    outcome: 'danger',
    found: 'it is read-only',
    money: expect.stringContaining('no payment can be made'),
    todo: expect.stringContaining('default_transaction_read_only'),
  });

  const role = `reader_${name}`;
  const reading = openPostgres(url.replace('test@', `${role}@`), runningLimits);
  onTestFinished(() => reading.destroy());
  await after(
    `set transaction_read_only = off; create role ${role} login; grant pg_read_all_data to ${role}; alter database ${name} reset default_transaction_read_only`,
  );
  expect((await checkServer(reading, 'here'))[0]).toMatchObject({
    outcome: 'danger',
    found: expect.stringContaining('permission denied'),
  });
  await reading.destroy();
  await after(`drop role ${role}`);
});
