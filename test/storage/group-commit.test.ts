import { statSync } from 'node:fs';
import { sql } from 'kysely';
import { expect, onTestFinished, test } from 'vitest';
import { inTransaction, openDatabase } from '../../src/storage/database.ts';
import { isStorageFault } from '../../src/storage/faults.ts';
import { addMerchant, listMerchants } from '../../src/storage/operators/merchants.ts';
import type { Db } from '../../src/storage/schema.ts';
import { describeDatabases, freshDatabaseUrl } from '../support/databases.ts';

const add = (db: Db, name: string) => inTransaction(db, (trx) => addMerchant(trx, { name, at: 1 }));
const names = async (db: Db) => (await listMerchants(db)).map((merchant) => merchant.name).sort();

describeDatabases('changes at the same time', (openTestDb) => {
  test('each gets its own result, and all are kept', async () => {
    const db = await openTestDb();
    const wanted = Array.from({ length: 100 }, (_, n) => `Shop ${n}`);
    const added = await Promise.all(wanted.map((name) => add(db, name)));
    expect(added.map((merchant) => merchant.name)).toEqual(wanted);
    expect(await names(db)).toEqual(wanted.toSorted());
  });

  test('one that throws is undone alone, whatever it wrote before, and gets its own error', async () => {
    const db = await openTestDb();
    const failing = (name: string) =>
      inTransaction(db, async (trx) => {
        await addMerchant(trx, { name, at: 1 });
        throw new Error(`${name} failed`);
      });
    const outcomes = await Promise.allSettled([
      add(db, 'a'),
      failing('b'),
      add(db, 'c'),
      inTransaction(db, async (trx) => {
        await addMerchant(trx, { name: 'd', at: 1 });
        await sql`insert into merchants (id) values ('incomplete')`.execute(trx);
      }),
      failing('e'),
      add(db, 'f'),
    ]);
    expect(outcomes.map((outcome) => outcome.status)).toEqual([
      'fulfilled',
      'rejected',
      'fulfilled',
      'rejected',
      'rejected',
      'fulfilled',
    ]);
    expect(outcomes[1]).toMatchObject({ reason: { message: 'b failed' } });
    expect(outcomes[4]).toMatchObject({ reason: { message: 'e failed' } });
    expect(await names(db)).toEqual(['a', 'c', 'f']);
  });

  test('one that is asked for by another’s answer is done, too', async () => {
    const db = await openTestDb();
    await Promise.all([add(db, 'a').then(() => add(db, 'b')), add(db, 'c').then(() => add(db, 'd'))]);
    expect(await names(db)).toEqual(['a', 'b', 'c', 'd']);
  });
});

async function openFile(): Promise<{ db: Db; path: string }> {
  const url = await freshDatabaseUrl('SQLite');
  const db = await openDatabase(url);
  onTestFinished(() => db.destroy());
  return { db, path: url.slice('sqlite:'.length) };
}

test('on SQLite changes at the same time share their commits', async () => {
  const { db, path } = await openFile();
  const walBytes = () => statSync(`${path}-wal`).size;
  const begun = walBytes();
  await add(db, 'alone');
  const one = walBytes() - begun;
  const before = walBytes();
  await Promise.all(Array.from({ length: 32 }, (_, n) => add(db, `Shop ${n}`)));
  // Each commit writes the pages it changed: apart, 32 changes would take 32 times what one takes.
  expect(walBytes() - before).toBeLessThan(one * 8);
});

test('on SQLite a disk that is full fails every change of the commit, and the database goes on once there is room', async () => {
  const { db } = await openFile();
  await add(db, 'before');
  const { rows } = await sql<{ page_count: number }>`pragma page_count`.execute(db);
  await sql.raw(`pragma max_page_count = ${rows[0]?.page_count ?? 0}`).execute(db);
  const large = 'x'.repeat(20_000);
  const outcomes = await Promise.allSettled([add(db, 'a'), add(db, large), add(db, 'c')]);
  for (const outcome of outcomes) {
    expect(outcome.status === 'rejected' && isStorageFault(outcome.reason)).toBe(true);
  }
  expect(await names(db)).toEqual(['before']);
  await sql`pragma max_page_count = 1000000`.execute(db);
  await Promise.all([add(db, 'd'), add(db, 'e')]);
  expect(await names(db)).toEqual(['before', 'd', 'e']);
});
