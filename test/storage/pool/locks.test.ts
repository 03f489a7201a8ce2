import { type Compilable, CompiledQuery } from 'kysely';
import { describe, expect, onTestFinished, test } from 'vitest';
import { inTransaction } from '../../../src/storage/database.ts';
import { findFreeAddress, freeAddresses, lockAddress } from '../../../src/storage/pool/locks.ts';
import type { Db } from '../../../src/storage/schema.ts';
import { describeDatabases, openTestSqlite } from '../../support/databases.ts';
import { addTestAddresses, addTestMerchant, createdAt } from '../../support/payments.ts';

/** The steps of SQLite's plan for a query, with the very parameters it runs with. */
async function planOf(db: Db, query: Compilable): Promise<string[]> {
  const { sql, parameters } = query.compile();
  const plan = await db.executeQuery<{ detail: string }>(
    CompiledQuery.raw(`explain query plan ${sql}`, [...parameters]),
  );
  return plan.rows.map(({ detail }) => detail);
}

describe('finding a free address', () => {
  test.each([
    ["of the currency's own", 'usdt', null],
    ["of the currency's own, out of quarantine", 'usdt', createdAt],
    ['for every currency', '', null],
  ])(
    '%s reads the first row of an index, whatever the size of the pool',
    async (_which, currency, before) => {
      const db = await openTestSqlite();
      onTestFinished(() => db.destroy());
      const pool = { merchantId: await addTestMerchant(db), network: 'bsc', currency: 'usdt' } as const;
      const plan = await planOf(db, freeAddresses(db, pool, currency, before));
      expect(plan).toHaveLength(1);
      expect(plan[0]).toMatch(
        /^SEARCH addresses USING INDEX addresses_free \(merchant_id=\? AND network=\? AND currency=\?/,
      );
    },
  );
});

const anyTime = { releasedBefore: null, heldAt: createdAt };

describeDatabases('an address', (openTestDb) => {
  test('that a payment holds cannot be locked for another', async () => {
    const db = await openTestDb();
    const merchantId = await addTestMerchant(db);
    await addTestAddresses(db, merchantId, { count: 1 });
    const pool = { merchantId, network: 'bsc', currency: 'usdt' } as const;
    const free = await inTransaction(db, (trx) => findFreeAddress(trx, pool, anyTime));
    if (free === null) throw new Error('no free address');
    await inTransaction(db, (trx) => lockAddress(trx, free.id, 1));
    await expect(inTransaction(db, (trx) => lockAddress(trx, free.id, 2))).rejects.toThrow('locked twice');
    expect(await inTransaction(db, (trx) => findFreeAddress(trx, pool, anyTime))).toBeNull();
  });
});
