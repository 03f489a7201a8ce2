import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import Sqlite from 'better-sqlite3';
import { type Insertable, type Kysely, sql } from 'kysely';
import pg from 'pg';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import * as initial from '../../migrations/0001_initial.ts';
import { CommandError } from '../../src/errors.ts';
import { inTransaction, openDatabase, serializeInserts, writeTrouble } from '../../src/storage/database.ts';
import { isStorageFault } from '../../src/storage/faults.ts';
import { isUpToDate, listMigrations, migrateToLatest } from '../../src/storage/migrate.ts';
import { noteDaemon, noteDaemonStopped } from '../../src/storage/operators/daemons.ts';
import { openPostgres, runningLimits } from '../../src/storage/postgres.ts';
import type { Db, Schema, Trx } from '../../src/storage/schema.ts';
import { describeDatabases, freshDatabaseUrl, testFolder } from '../support/databases.ts';
import { startTransactionPooler } from '../support/transaction-pooler.ts';
import { waitFor } from '../support/wait.ts';

async function open(url: string): Promise<Db> {
  const db = await openDatabase(url);
  onTestFinished(() => db.destroy());
  return db;
}

/** What opening `url` fails with; fails the test when it succeeds, or fails with anything but a message for people. */
async function refusal(url: string): Promise<CommandError> {
  try {
    await (await openDatabase(url)).destroy();
  } catch (error) {
    expect(error).toBeInstanceOf(CommandError);
    return error as CommandError;
  }
  throw new Error('the database was accepted');
}

/** As in a running daemon, only sooner. */
const impatient = { idleInTransaction: 500, lock: 1_500, statement: 2_500, answer: 4_000, connect: 1_000 };

const databaseModule = join(import.meta.dirname, '../../src/storage/database.ts');

/** Runs a program in a process of its own. */
function run(program: string, argument: string): Promise<unknown> {
  const options = { timeout: 20_000, cwd: import.meta.dirname };
  return promisify(execFile)(process.execPath, ['--input-type=module', '--eval', program, argument], options);
}

/** Permission bits in octal. */
const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8);

async function addMerchantWithAddress(trx: Trx): Promise<number> {
  await trx.insertInto('merchants').values({ id: 'mer_1', name: 'Shop', created_at: 0 }).execute();
  const address = await trx
    .insertInto('addresses')
    .values({
      merchant_id: 'mer_1',
      network: 'bsc',
      address: '0x742d35Cc6634C0532925a3b844Bc9e7595f7E5a3',
      address_key: '742d35cc6634c0532925a3b844bc9e7595f7e5a3',
      currency: '',
      label: '',
      source: 'static',
      active: 1,
      locked_by: null,
      released_at: 0,
      created_at: 0,
    })
    .returning('id')
    .executeTakeFirstOrThrow();
  return address.id;
}

async function addPayment(
  trx: Trx,
  number: string,
  addressId: number,
  releasedAt: number | null,
): Promise<void> {
  const payment: Insertable<Schema['payments']> = {
    payment_number: number,
    merchant_id: 'mer_1',
    kind: 'onchain',
    status: releasedAt === null ? 'pending' : 'expired',
    reason: null,
    network: 'bsc',
    chain: 'BNB Smart Chain',
    currency: 'usdt',
    decimals: 18,
    expected_amount: '50000000000000000000',
    price_amount: 5000,
    price_currency: 'USD',
    amount_usd_cents: 5000,
    external_order_id: '',
    customer_email: '',
    redirect_url: '',
    metadata: '{}',
    payment_token: `token of ${number}`,
    token_hash: `hash of ${number}`,
    created_at: 0,
    expires_at: 0,
    confirmed_at: null,
    ended_at: null,
    accepted_at: null,
  };
  const { id } = await trx.insertInto('payments').values(payment).returning('id').executeTakeFirstOrThrow();
  const onchain: Schema['onchain_payments'] = {
    payment_id: id,
    network: 'bsc',
    coin: 'usdt',
    token: '55d398326f99059ff775485246999027b3197955',
    usd_per_coin: '1',
    required_amount: '50000000000000000000',
    dust_amount: '1',
    required_confirmations: 15,
    tier_confirmations: null,
    tier_amount: null,
    exceeds_tier: 0,
    counted_amount: '0',
    told_amount: '0',
    reopened: 0,
    completed_by: null,
    address_id: addressId,
    address: '0x742d35Cc6634C0532925a3b844Bc9e7595f7E5a3',
    lock_height: 0,
    lock_hash: '0x0',
    lock_time: 0,
    lock_chain_time: 0,
    block_time_limit: 0,
    released_at: releasedAt,
  };
  await trx.insertInto('onchain_payments').values(onchain).execute();
}

describeDatabases('a database', (openTestDb, kind) => {
  test('is migrated when it is opened first, and keeps what it holds when it is opened again', async () => {
    const url = await freshDatabaseUrl(kind);
    const first = await openDatabase(url);
    await inTransaction(first, (trx) =>
      trx
        .insertInto('merchants')
        .values({ id: 'mer_1', name: 'Shop', created_at: 1_790_000_000_000 })
        .execute(),
    );
    await first.destroy();
    const second = await open(url);
    expect(await second.selectFrom('merchants').select(['id', 'created_at']).execute()).toEqual([
      { id: 'mer_1', created_at: 1_790_000_000_000 },
    ]);
  });

  test('can be opened first by several processes at once', async () => {
    const url = await freshDatabaseUrl(kind);
    const program = `
      import { openDatabase } from ${JSON.stringify(databaseModule)};
      const db = await openDatabase(process.argv[1]);
      await db.destroy();`;
    await Promise.all([1, 2, 3, 4].map(() => run(program, url)));
    const db = await open(url);
    expect(await db.selectFrom('payments').select('id').execute()).toEqual([]);
  });

  test('written by a newer version is refused and named', async () => {
    const url = await freshDatabaseUrl(kind);
    const db = await openDatabase(url);
    await sql`insert into depositd_migrations (name, timestamp) values ('9999_later', 'now')`.execute(db);
    await db.destroy();
    expect((await refusal(url)).message).toMatch(/newer depositd.*9999_later/);
  });

  test('to which a newer version has only added is used, and what that version removed next is refused', async () => {
    const url = await freshDatabaseUrl(kind);
    const db = await openDatabase(url);
    const label = async (trx: Kysely<unknown>) => {
      await sql`alter table merchants add column label text`.execute(trx);
    };
    const newer = { '0001_initial': initial, '0002_labels_from_0001': { up: label } };
    await migrateToLatest(db, newer);
    await db.destroy();
    const older = await open(url);
    await inTransaction(older, addMerchantWithAddress);
    const less = { ...newer, '0003_less_from_0002': { up: async () => {} } };
    await migrateToLatest(older, less);
    expect((await refusal(url)).message).toMatch(/newer depositd \(it has 0003_less_from_0002\)/);
    expect(await isUpToDate(older, newer)).toBe(true);
  });

  test('is not changed under running daemons in what they use', async () => {
    const db = await open(await freshDatabaseUrl(kind));
    const beat = {
      id: 'one',
      version: '0.1.0',
      host: 'web-1',
      pid: 4711,
      roles: ['api'],
      prices: [],
      configuration: {},
    } as const;
    await inTransaction(db, (trx) => noteDaemon(trx, beat, { clock: Date.now }));
    const adds = { '0001_initial': initial, '0002_labels_from_0001': { up: async () => {} } };
    await migrateToLatest(db, adds);
    const breaks = { ...adds, '0003_less': { up: async () => {} } };
    await expect(migrateToLatest(db, breaks)).rejects.toThrow(
      /running \(on web-1, process 4711\); stop it first/,
    );
    await inTransaction(db, (trx) => noteDaemonStopped(trx, 'one', { clock: Date.now }));
    await migrateToLatest(db, breaks);
    expect(await listMigrations(db)).toEqual(Object.keys(breaks));
  });

  test('refuses a second live lock on one address by itself', async () => {
    const db = await openTestDb();
    const addressId = await inTransaction(db, addMerchantWithAddress);
    await inTransaction(db, (trx) => addPayment(trx, 'PAY-1', addressId, null));
    await expect(inTransaction(db, (trx) => addPayment(trx, 'PAY-2', addressId, null))).rejects.toThrow(
      /unique/i,
    );
    await inTransaction(db, (trx) => addPayment(trx, 'PAY-3', addressId, 1));
    const payments = await db.selectFrom('payments').select('payment_number').orderBy('id').execute();
    expect(payments.map((row) => row.payment_number)).toEqual(['PAY-1', 'PAY-3']);
  });

  test('refuses a payment on an address that does not exist', async () => {
    const db = await openTestDb();
    await inTransaction(db, addMerchantWithAddress);
    await expect(inTransaction(db, (trx) => addPayment(trx, 'PAY-1', 999, null))).rejects.toThrow(
      /foreign key/i,
    );
  });

  test('keeps nothing of a transaction that throws', async () => {
    const db = await openTestDb();
    const failed = inTransaction(db, async (trx) => {
      await addMerchantWithAddress(trx);
      throw new Error('changed my mind');
    });
    await expect(failed).rejects.toThrow('changed my mind');
    expect(await db.selectFrom('merchants').select('id').orderBy('id').execute()).toEqual([]);
  });

  test('is written only within a transaction: anything else does not compile', async () => {
    const db = await openTestDb();
    // @ts-expect-error a Db is not a Trx
    await addMerchantWithAddress(db);
    // A transaction can be read from like the database.
    const read = (from: Db) => from.selectFrom('merchants').select('id').execute();
    expect(await inTransaction(db, (trx) => read(trx))).toEqual([{ id: 'mer_1' }]);
  });
});

describe('an SQLite database', () => {
  test('takes nothing while its file is not in its place, and goes on when it is back', async () => {
    const folder = testFolder();
    const [path, away, other] = [
      join(folder, 'depositd.db'),
      join(folder, 'away.db'),
      join(folder, 'other.db'),
    ];
    const db = await openDatabase(`sqlite:${path}`);
    onTestFinished(() => db.destroy());
    await (await openDatabase(`sqlite:${other}`)).destroy();
    const add = (id: string) =>
      inTransaction(db, (trx) =>
        trx.insertInto('merchants').values({ id, name: id, created_at: 1 }).execute(),
      );
    const isRefused = async () => {
      const refused = await add('refused').catch((error: unknown) => error);
      expect(isStorageFault(refused)).toBe(true);
      expect(writeTrouble(db)).toBe('its file was moved or replaced while it was open');
    };
    await add('before');
    renameSync(path, away);
    await isRefused();
    renameSync(other, path);
    await isRefused();
    expect(await db.selectFrom('merchants').select('id').orderBy('id').execute()).toEqual([{ id: 'before' }]);
    renameSync(away, path);
    await add('after');
    expect(await db.selectFrom('merchants').select('id').orderBy('id').execute()).toEqual([
      { id: 'after' },
      { id: 'before' },
    ]);
  });

  test('is created for its owner alone: folders 0700, files 0600', async () => {
    const folder = join(testFolder(), 'var/depositd');
    const path = join(folder, 'depositd.db');
    const db = await open(`sqlite:${path}`);
    await inTransaction(db, addMerchantWithAddress);
    expect(modeOf(folder)).toBe('700');
    expect([path, `${path}-wal`, `${path}-shm`].map(modeOf)).toEqual(['600', '600', '600']);
  });

  test('survives power loss: write-ahead log, every commit synced, foreign keys on', async () => {
    const db = await open(await freshDatabaseUrl('SQLite'));
    const pragma = async (name: string) =>
      (await sql.raw<Record<string, unknown>>(`pragma ${name}`).execute(db)).rows[0];
    expect(await pragma('journal_mode')).toEqual({ journal_mode: 'wal' });
    expect(await pragma('synchronous')).toEqual({ synchronous: 2 });
    expect(await pragma('foreign_keys')).toEqual({ foreign_keys: 1 });
  });

  test('is whole after a crash in the middle of its first migration', async () => {
    const url = await freshDatabaseUrl('SQLite');
    const program = `
      import Sqlite from 'better-sqlite3';
      const prepare = Sqlite.prototype.prepare;
      Sqlite.prototype.prepare = function (text) {
        if (text.startsWith('create table deliveries')) process.kill(process.pid, 'SIGKILL');
        return prepare.call(this, text);
      };
      const { openDatabase } = await import(${JSON.stringify(databaseModule)});
      await openDatabase(process.argv[1]);`;
    await expect(run(program, url)).rejects.toMatchObject({ signal: 'SIGKILL' });
    const db = await open(url);
    expect(await db.selectFrom('deliveries').select('id').execute()).toEqual([]);
  });

  test('of another program is refused and left as it was', async () => {
    const path = join(testFolder(), 'other.db');
    const other = new Sqlite(path);
    other.exec('create table notes (text text)');
    other.close();
    const before = readFileSync(path);
    expect((await refusal(`sqlite:${path}`)).message).toBe(
      `${path} is a database of another program; choose another file for depositd`,
    );
    expect(readFileSync(path)).toEqual(before);
  });

  test('signed by another program is refused even while it is empty', async () => {
    const path = join(testFolder(), 'other.db');
    const other = new Sqlite(path);
    other.pragma('application_id = 7');
    other.close();
    expect((await refusal(`sqlite:${path}`)).message).toContain('a database of another program');
  });

  test('that is no SQLite file is refused and left as it was', async () => {
    const path = join(testFolder(), 'notes.txt');
    const text = 'Dear diary, '.repeat(1000);
    writeFileSync(path, text);
    expect((await refusal(`sqlite:${path}`)).message).toBe(
      `cannot open the database ${path}: it is no SQLite database (SQLITE_NOTADB)`,
    );
    expect(readFileSync(path, 'utf8')).toBe(text);
    expect(existsSync(`${path}-wal`)).toBe(false);
  });

  test('in a place that is a folder is refused', async () => {
    const path = join(testFolder(), 'depositd.db');
    mkdirSync(path);
    expect((await refusal(`sqlite:${path}`)).message).toContain(`cannot open the database ${path}`);
  });

  test('is locked for writing from the start of a transaction, before its first write', async () => {
    const url = await freshDatabaseUrl('SQLite');
    const db = await open(url);
    const other = new Sqlite(url.slice('sqlite:'.length), { timeout: 0 });
    onTestFinished(() => {
      other.close();
    });
    const beginOther = () => {
      other.exec('begin immediate');
      other.exec('rollback');
    };
    await inTransaction(db, async (trx) => {
      await trx.selectFrom('merchants').select('id').execute();
      expect(beginOther).toThrow('database is locked');
    });
    expect(beginOther).not.toThrow();
  });
});

async function askMerchant(db: Db) {
  return db.selectFrom('merchants').select('name').where('id', '=', 'mer_nobody').executeTakeFirst();
}

async function listPrepared(db: Db): Promise<string[]> {
  const { rows } = await sql<{ statement: string }>`select statement from pg_prepared_statements`.execute(db);
  return rows.map(({ statement }) => statement);
}

describe('a PostgreSQL database', () => {
  test('that daemons work on is migrated when it can be, and no statement of theirs waits until it gives up', async () => {
    const url = await freshDatabaseUrl('PostgreSQL', { migrated: false });
    const [db, theirs] = [await open(url), await open(url)];
    const reader = new pg.Client({ connectionString: url });
    await reader.connect();
    onTestFinished(() => reader.end());
    await reader.query('begin; select 1 from merchants');
    const label = async (trx: Kysely<unknown>) => {
      await sql`alter table merchants add column label text`.execute(trx);
    };
    const migrated = migrateToLatest(db, { '0001_initial': initial, '0002_labels_from_0001': { up: label } });
    await waitFor('it to wait for the table', async () => {
      const { rows } = await reader.query('select 1 from pg_locks where not granted');
      return rows.length > 0;
    });
    // Behind the migration, which waits for the reader.
    await theirs.selectFrom('merchants').select('id').execute();
    await reader.query('commit');
    await migrated;
    expect(await listMigrations(db)).toEqual(['0001_initial', '0002_labels_from_0001']);
  }, 30_000);

  test('with tables of another program is refused and left as it was', async () => {
    const url = await freshDatabaseUrl('PostgreSQL');
    const other = new pg.Client({ connectionString: url });
    await other.connect();
    onTestFinished(() => other.end());
    await other.query('create table notes (text text)');
    expect((await refusal(url)).message).toContain('tables of another program');
    const tables = await other.query(`select tablename from pg_tables where schemaname = 'public'`);
    expect(tables.rows).toEqual([{ tablename: 'notes' }]);
  });

  test('that cannot be reached is reported by host and name, without the password', async () => {
    // Port 1 of this machine: nothing listens there.
    const error = await refusal('postgres://depositd:hunter2@127.0.0.1:1/shop');
    expect(error.message).toBe(
      'cannot use the database 127.0.0.1:1/shop: nothing listens there (ECONNREFUSED)',
    );
    expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain('hunter2');
  });

  test('whose URL cannot be read is reported without the password', async () => {
    const error = await refusal('postgres://depositd:hunter2@127.0.0.1:port/shop');
    expect(error.message).toContain("the database's URL cannot be used");
    expect(JSON.stringify([error.message, error.stack, error.cause])).not.toContain('hunter2');
  });

  test('that does not exist is reported', async () => {
    const url = await freshDatabaseUrl('PostgreSQL');
    expect((await refusal(`${url}_missing`)).message).toMatch(
      /database "test_[0-9]+_missing" does not exist/,
    );
  });

  test('ends a transaction that is silent for too long: whoever holds it gets a fault, not a crash, and others go on', async () => {
    const url = await freshDatabaseUrl('PostgreSQL', { migrated: true });
    const [silent, other] = [openPostgres(url, impatient), openPostgres(url, impatient)];
    onTestFinished(() => Promise.all([silent.destroy(), other.destroy()]).then(() => {}));
    const holding = Promise.withResolvers<void>();
    const over = Promise.withResolvers<void>();
    const fault = inTransaction(silent, async (trx) => {
      await serializeInserts(trx, 'events');
      holding.resolve();
      await over.promise;
      await trx.selectFrom('merchants').select('id').execute();
    }).catch((error) => error);
    await holding.promise;
    await inTransaction(other, (trx) => serializeInserts(trx, 'events'));
    over.resolve();
    expect(await fault).toMatchObject({ code: '25P03' });
    expect(isStorageFault(await fault)).toBe(true);
    expect(await silent.selectFrom('merchants').select('id').execute()).toEqual([]);
  });

  test('gives up what waits for a lock, and what waits behind that for a connection', async () => {
    const url = await freshDatabaseUrl('PostgreSQL', { migrated: true });
    const locking = new pg.Client({ connectionString: url });
    await locking.connect();
    onTestFinished(() => locking.end());
    await locking.query('begin');
    await locking.query('lock table merchants');
    const db = openPostgres(url, impatient);
    onTestFinished(() => db.destroy());
    const read = () => db.selectFrom('merchants').select('id').orderBy('id').execute();
    const faults = await Promise.all(Array.from({ length: 30 }, () => read().catch((error) => error)));
    expect(faults.every(isStorageFault)).toBe(true);
    expect(new Set(faults.map(({ code, message }) => code ?? message))).toEqual(
      new Set(['55P03', 'timeout exceeded when trying to connect']),
    );
    await locking.query('rollback');
    expect(await read()).toEqual([]);
  });

  test('gives up a statement that takes too long, on the server as well', async () => {
    const url = await freshDatabaseUrl('PostgreSQL', { migrated: true });
    const db = openPostgres(url, impatient);
    onTestFinished(() => db.destroy());
    const fault = await sql`select pg_sleep(60)`.execute(db).catch((error) => error);
    expect(fault).toMatchObject({ code: '57014' });
    expect(isStorageFault(fault)).toBe(true);
  });

  test('prepares a statement that comes again, once for each connection, and plans it for the values that come', async () => {
    const db = await open(await freshDatabaseUrl('PostgreSQL'));
    await inTransaction(db, async (trx) => {
      // With the sixth the server would begin to choose.
      for (let n = 0; n < 10; n++) await askMerchant(trx);
      expect(await listPrepared(trx)).toEqual([expect.stringContaining('"merchants"')]);
      const { rows } = await sql<{
        n: number;
      }>`select generic_plans as n from pg_prepared_statements`.execute(trx);
      expect(rows).toEqual([{ n: 0 }]);
    });
  });

  test('knows a prepared statement by its text, so that no process ever runs what another has prepared', async () => {
    const texts = ['select $1::int', 'select $1::text', 'delete from merchants where id = $1'];
    const namesIn = async (order: readonly string[]) => {
      vi.resetModules();
      const { statementName } = await import('../../src/storage/prepared.ts');
      const names = [...order, ...order].map((text) => [text, statementName(text, 1, 0)] as const);
      return new Map(names);
    };
    const [one, other] = [await namesIn(texts), await namesIn(texts.toReversed())];
    expect(texts.map((text) => one.get(text))).toEqual(texts.map((text) => other.get(text)));
    expect(new Set(one.values()).size).toBe(3);
  });

  test('behind a pooler in transaction mode prepares nothing: the next transaction has another session', async () => {
    const url = await freshDatabaseUrl('PostgreSQL');
    const { hostname, port } = new URL(url);
    const pooler = await startTransactionPooler({ host: hostname, port: Number(port) }, { size: 2 });
    const db = await openDatabase(url.replace(`:${port}`, `:${pooler.port}`));
    try {
      const asked = Array.from({ length: 12 }, () =>
        inTransaction(db, async (trx) => {
          for (let n = 0; n < 3; n++) await askMerchant(trx);
          return listPrepared(trx);
        }),
      );
      expect((await Promise.all(asked)).flat()).toEqual([]);
    } finally {
      await db.destroy();
      await pooler.close();
    }
  });

  test('that has lost what was prepared, as behind a pooler that hides, is asked again by a new connection without names', async () => {
    const db = await open(await freshDatabaseUrl('PostgreSQL'));
    await inTransaction(db, async (trx) => {
      for (let n = 0; n < 3; n++) await askMerchant(trx);
      await sql.raw('deallocate all').execute(trx);
    });
    expect(await inTransaction(db, askMerchant)).toBeUndefined();
    await inTransaction(db, async (trx) => {
      for (let n = 0; n < 3; n++) await askMerchant(trx);
      expect(await listPrepared(trx)).toEqual([]);
    });
  });

  test('whose machine takes a connection and says nothing is away, for the pool and for a connection of its own', async () => {
    const silent = createServer();
    silent.listen(0, '127.0.0.1');
    await once(silent, 'listening');
    onTestFinished(() => void silent.close());
    const { port } = silent.address() as AddressInfo;
    const url = `postgres://test@127.0.0.1:${port}/pay`;
    const db = openPostgres(url, { ...runningLimits, connect: 100 });
    onTestFinished(() => db.destroy());
    const alone = new pg.Client({ connectionString: url, connectionTimeoutMillis: 100 });
    alone.on('error', () => {});
    for (const ask of [() => askMerchant(db), () => alone.connect()]) {
      const failure = await ask().then(
        () => null,
        (error: unknown) => error,
      );
      expect(isStorageFault(failure), String(failure)).toBe(true);
    }
  });

  test('of which a table was changed prepares its statements anew: nobody notices, and no connection answers with what was', async () => {
    const url = await freshDatabaseUrl('PostgreSQL');
    const db = await open(url);
    const askAll = (trx: Db) =>
      trx.selectFrom('merchants').selectAll().where('id', '=', 'mer_1').executeTakeFirst();
    await inTransaction(db, (trx) =>
      trx.insertInto('merchants').values({ id: 'mer_1', name: 'Shop', created_at: 1 }).execute(),
    );
    // Two connections at a time, each of which has it prepared.
    const bothAsk = async () => {
      let meet = () => {};
      let here = 0;
      const bothHere = new Promise<void>((resolve) => {
        meet = resolve;
      });
      const ask = () =>
        inTransaction(db, async (trx) => {
          here += 1;
          if (here === 2) meet();
          await bothHere;
          for (let n = 0; n < 2; n++) await askAll(trx);
          return { row: await askAll(trx), prepared: await listPrepared(trx) };
        });
      return Promise.all([ask(), ask()]);
    };
    await bothAsk();
    const operator = await open(url);
    await sql`alter table merchants add column label text default 'new'`.execute(operator);
    expect(await askAll(db)).toMatchObject({ label: 'new' });
    await bothAsk();
    await sql`alter table merchants add column place text default 'here'`.execute(operator);
    // Transactions, which are rolled back and run again.
    for (const { row, prepared } of await bothAsk()) {
      expect(row).toMatchObject({ id: 'mer_1', label: 'new', place: 'here' });
      expect(prepared).toContainEqual(expect.stringContaining('from "merchants"'));
    }
  });

  test('runs a transaction again that a deadlock rolled back', async () => {
    const db = await open(await freshDatabaseUrl('PostgreSQL', { migrated: true }));
    await inTransaction(db, async (trx) => {
      for (const id of ['a', 'b']) {
        await trx.insertInto('merchants').values({ id, name: '0', created_at: 0 }).execute();
      }
    });
    let attempts = 0;
    let waiting = 0;
    let meet = () => {};
    const bothHoldOne = new Promise<void>((resolve) => {
      meet = resolve;
    });
    const crossing = (first: string, second: string) =>
      inTransaction(db, async (trx) => {
        attempts++;
        const increment = (id: string) =>
          trx
            .updateTable('merchants')
            .set({ created_at: sql`created_at + 1` })
            .where('id', '=', id)
            .execute();
        await increment(first);
        waiting++;
        if (waiting === 2) meet();
        await bothHoldOne;
        await increment(second);
      });
    await Promise.all([crossing('a', 'b'), crossing('b', 'a')]);
    // PostgreSQL may roll back both.
    expect(attempts).toBeGreaterThanOrEqual(3);
    expect(await db.selectFrom('merchants').select(['id', 'created_at']).orderBy('id').execute()).toEqual([
      { id: 'a', created_at: 2 },
      { id: 'b', created_at: 2 },
    ]);
  });
});
