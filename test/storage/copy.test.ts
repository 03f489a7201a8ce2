import { sql } from 'kysely';
import { expect, onTestFinished, test } from 'vitest';
import { copyToPostgres } from '../../src/storage/copy.ts';
import { inTransaction, openDatabase } from '../../src/storage/database.ts';
import { noteDaemon } from '../../src/storage/operators/daemons.ts';
import { migrationLimits, openPostgres } from '../../src/storage/postgres.ts';
import type { Db, Schema } from '../../src/storage/schema.ts';
import { beatOf } from '../support/beats.ts';
import { freshDatabaseUrl } from '../support/databases.ts';
import { fillDatabase } from '../support/filled-database.ts';

const mostOfUint256 = (2n ** 256n - 1n).toString();

/** Texts that a database, a driver or a protocol may take for something else. */
const oddTexts = [
  'Zoë 🛍 商店 \u202e',
  '',
  ' ',
  "'; drop table payments; --",
  '{"a":[1,"\\u0000",null],"b":{"c":"\\\\"}}',
  '\\N',
  '{}',
  'null',
  '\\x00ff',
  'a\r\n\tb',
];

/** A database of SQLite with a migrated one of PostgreSQL to copy it to. */
async function openBoth() {
  const sqliteUrl = await freshDatabaseUrl('SQLite');
  const postgresUrl = await freshDatabaseUrl('PostgreSQL', { migrated: true });
  const source = await openDatabase(sqliteUrl);
  const target = openPostgres(postgresUrl, migrationLimits);
  onTestFinished(async () => {
    await source.destroy();
    await target.destroy();
  });
  const copy = (options: { note?: () => Promise<void>; progress?: () => void } = {}) =>
    copyToPostgres(sqliteUrl.slice('sqlite:'.length), target, {
      note: async () => {},
      progress: () => {},
      ...options,
    });
  return { source, target, copy };
}

/** Rows in each table that is empty, every other one with as many nulls as it takes. */
async function fillTheRest(db: Db): Promise<void> {
  type Column = { name: string; type: string; notnull: number; pk: number };
  const special: Record<string, string> = {
    merchant_id: 'mer_1',
    user_id: 'usr_1',
    level: 'low',
    last_signer: 'current',
    mode: 'test',
    capture: 'none',
    status: 'sending',
    'checkout_sessions.status': 'open',
    'refund_records.status': 'verified',
    'rescans.status': 'done',
    amount: '7',
    fee: '7',
    net: '7',
    refunded: '7',
    refunded_before: '7',
  };
  // Other tables refer to them.
  const users = oddTexts.map((text, i) => ({
    id: `usr_${i + 1}`,
    name: text,
    name_key: `${i}`,
    role: 'viewer' as const,
    merchant_id: i % 2 === 0 ? null : 'mer_1',
    created_at: i,
  }));
  await db.insertInto('users').values(users).execute();
  for (const { name } of await db.introspection.getTables()) {
    const table = name as keyof Schema;
    if ((await db.selectFrom(table).selectAll().limit(1).execute()).length > 0) continue;
    const columns =
      await sql<Column>`select name, type, "notnull", pk from pragma_table_info(${name})`.execute(db);
    for (const [i, text] of oddTexts.entries()) {
      const values = columns.rows.map(({ name, type, notnull, pk }) => {
        if (i % 2 === 0 && notnull === 0 && pk === 0) return null;
        return special[`${table}.${name}`] ?? special[name] ?? (type === 'text' ? `${i} ${text}` : i + 1);
      });
      const names = columns.rows.map((column) => sql.ref(column.name));
      await sql`insert or ignore into ${sql.table(name)} (${sql.join(names)}) values (${sql.join(values)})`.execute(
        db,
      );
    }
  }
}

/** What every table holds, whatever the order. */
async function contentsOf(db: Db): Promise<Record<string, unknown[]>> {
  const contents: Record<string, unknown[]> = {};
  for (const { name } of await db.introspection.getTables()) {
    if (name.startsWith('depositd_migrations')) continue;
    const rows = await db
      .selectFrom(name as keyof Schema)
      .selectAll()
      .execute();
    contents[name] = rows.map((row) => JSON.stringify(Object.entries(row).toSorted())).toSorted();
  }
  return contents;
}

test('a copy holds every row of every table as it was, and gives its next keys after the last ever given', async () => {
  const { source, target, copy } = await openBoth();
  await fillDatabase(source, { payments: 1_200, now: 1_800_000_000_000 });
  await fillTheRest(source);
  await inTransaction(source, async (trx) => {
    for (const [i, text] of oddTexts.entries()) {
      const id = `odd_${i}`;
      await trx
        .insertInto('merchants')
        .values({ id, name: text, created_at: 2 ** 52 + i })
        .execute();
      await trx
        .updateTable('payments')
        .set({ external_order_id: text, metadata: text, price_amount: 2 ** 52 + i })
        .where('id', '=', 100 + i)
        .execute();
      await trx
        .updateTable('delivery_attempts')
        .set({ response: text, error: null })
        .where('delivery_id', '=', 100 + i)
        .execute();
    }
    await trx.updateTable('deposits').set({ amount: mostOfUint256 }).where('id', '<', 9).execute();
    // Larger than a number of JavaScript's can be.
    await sql`update payments set price_amount = 9223372036854775807 where id = 99`.execute(trx);
    await sql`delete from deliveries where id > 1100`.execute(trx);
  });

  const counts = await copy();
  const before = await contentsOf(source);
  expect(await contentsOf(target)).toEqual(before);
  expect(Object.keys(counts).toSorted()).toEqual(Object.keys(before).toSorted());
  expect(counts).toEqual(
    Object.fromEntries(Object.entries(before).map(([name, rows]) => [name, rows.length])),
  );
  expect(
    Object.entries(counts)
      .filter(([, rows]) => rows === 0)
      .map(([name]) => name),
  ).toEqual([]);
  const exact = sql<{
    amount: string;
  }>`select cast(price_amount as text) as amount from payments where id = 99`;
  expect((await exact.execute(target)).rows).toEqual([{ amount: '9223372036854775807' }]);

  const lastEver = await sql<{
    seq: number;
  }>`select seq from sqlite_sequence where name = 'deliveries'`.execute(source);
  const delivery = await inTransaction(target, (trx) =>
    trx
      .insertInto('deliveries')
      .values({
        endpoint_id: 'we_1',
        merchant_id: 'mer_1',
        event_sequence: 1,
        event_type: 'payment.detected',
        state: 'pending',
        lane: 'fresh',
        next_attempt_at: 0,
        created_at: 0,
      })
      .returning('id')
      .executeTakeFirstOrThrow(),
  );
  expect(delivery.id).toBe((lastEver.rows[0]?.seq ?? 0) + 1);
});

test('a copy that fails in the middle leaves the target empty, and the next one is whole', async () => {
  const { source, target, copy } = await openBoth();
  await fillDatabase(source, { payments: 50, now: 1_800_000_000_000 });
  const empty = await contentsOf(target);
  const note = () => Promise.reject(new Error('the network is gone'));
  await expect(copy({ note })).rejects.toThrow('the network is gone');
  // What only SQLite stores: PostgreSQL refuses it, and says of which table.
  await sql`update merchants set name = cast(x'610062' as text) where id = 'mer_2'`.execute(source);
  await expect(copy()).rejects.toThrow(/^rows of merchants cannot be written: /);
  expect(await contentsOf(target)).toEqual(empty);
  await sql`update merchants set name = 'Other' where id = 'mer_2'`.execute(source);
  await copy();
  expect(await contentsOf(target)).toEqual(await contentsOf(source));
});

test('nothing is written to the source while it is copied', async () => {
  const { source, copy } = await openBoth();
  await fillDatabase(source, { payments: 20, now: 1_800_000_000_000 });
  const write = () => sql`update merchants set name = 'changed'`.execute(source);
  await copy({ note: async () => expect(write()).rejects.toThrow('database is locked') });
  await write();
});

test('a target that holds anything is refused, and stays as it is', async () => {
  const { source, target, copy } = await openBoth();
  await fillDatabase(source, { payments: 20, now: 1_800_000_000_000 });
  await copy();
  const copied = await contentsOf(target);
  await expect(copy()).rejects.toThrow(
    /^the target holds rows already \(merchants, .*, …\); copy into a new database. A copy that was interrupted leaves none behind$/,
  );
  expect(await contentsOf(target)).toEqual(copied);
});

test('a target that a daemon serves is refused, and two copies at once are one copy', async () => {
  const { source, target, copy } = await openBoth();
  await fillDatabase(source, { payments: 20, now: 1_800_000_000_000 });
  await inTransaction(target, (trx) => noteDaemon(trx, beatOf('d'), { clock: Date.now }));
  await expect(copy()).rejects.toThrow('a daemon serves the target already');
  await sql`delete from daemons`.execute(target);
  const outcomes = await Promise.allSettled([copy(), copy()]);
  expect(outcomes.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
  expect(await contentsOf(target)).toEqual(await contentsOf(source));
});

test('a copy that does not hold what was read is not kept', async () => {
  const { source, target, copy } = await openBoth();
  await fillDatabase(source, { payments: 20, now: 1_800_000_000_000 });
  const empty = await contentsOf(target);
  await sql
    .raw(`create function lose() returns trigger language plpgsql as
    $$ begin new.amount = '1'; return new; end $$`)
    .execute(target);
  await sql`create trigger lose before insert on deposits for each row execute function lose()`.execute(
    target,
  );
  await expect(copy()).rejects.toThrow(
    /^deposits differs: 20 rows, read .*"amount":"100000".* written .*"amount":"20"/,
  );
  await sql
    .raw('create or replace function lose() returns trigger language plpgsql as $$ begin return null; end $$')
    .execute(target);
  await expect(copy()).rejects.toThrow(/^deposits differs: .*written \{"rows":0/);
  expect(await contentsOf(target)).toEqual(empty);
});
