import { expect, test } from 'vitest';
import type { Currency } from '../../../src/core/assets.ts';
import { findByCoinAmount, findByUsd } from '../../../src/storage/payments/search.ts';
import { describeDatabases } from '../../support/databases.ts';
import { fillDatabase } from '../../support/filled-database.ts';

const payments = 2_500;

describeDatabases('a search by amount', (openTestDb) => {
  test('finds the payment of a merchant behind thousands of others of the same amount, and of all the latest 50', async () => {
    const db = await openTestDb();
    await fillDatabase(db, { payments, now: Date.UTC(2026, 4, 24) });
    const { id } = await db
      .selectFrom('payments')
      .select('id')
      .where('merchant_id', '=', 'mer_2')
      .executeTakeFirstOrThrow();
    const inCoin = { currency: 'usdt' as Currency, decimals: 18, amount: 5_000n };
    expect(await findByUsd(db, 'mer_2', 5_000)).toEqual([id]);
    expect(new Set(await findByCoinAmount(db, 'mer_2', inCoin))).toEqual(new Set([id]));

    const latest = Array.from({ length: 50 }, (_, n) => payments - n);
    expect(await findByUsd(db, null, 5_000)).toEqual(latest);
    expect(await findByUsd(db, null, 5_001)).toEqual([]);
    await db
      .updateTable('payments')
      .set({ created_at: Date.UTC(2026, 4, 25) })
      .where('id', '=', id)
      .execute();
    expect(await findByUsd(db, null, 5_000)).toEqual([id, ...latest.slice(0, 49)]);
  });
});
