import { expect, test } from 'vitest';
import { inTransaction, serializeInserts } from '../../../src/storage/database.ts';
import { sumReceived } from '../../../src/storage/payments/report.ts';
import type { Db } from '../../../src/storage/schema.ts';
import { describeDatabases } from '../../support/databases.ts';

const dayMs = 24 * 60 * 60 * 1000;
const start = 20_000 * dayMs;

let made = 0;

async function insert(db: Db, more: object): Promise<number> {
  made += 1;
  const { id } = await db
    .insertInto('payments')
    .values({
      payment_number: `PAY-${made}`,
      merchant_id: 'mer_1',
      kind: 'onchain',
      status: 'pending',
      network: 'bsc',
      chain: 'bsc',
      currency: 'usdt',
      decimals: 18,
      expected_amount: '1',
      price_amount: 100,
      price_currency: 'USD',
      amount_usd_cents: 100 + made,
      external_order_id: '',
      customer_email: '',
      redirect_url: '',
      metadata: '{}',
      payment_token: String(made),
      token_hash: `received ${made}`,
      created_at: start,
      expires_at: start,
      ...more,
    })
    .returning('id')
    .executeTakeFirstOrThrow();
  return id;
}

/** What the sums say, and what the payments themselves do. */
async function both(db: Db, since: number, until: number) {
  const rows = await db
    .selectFrom('payments')
    .select(['confirmed_at', 'network', 'currency', 'merchant_id', 'amount_usd_cents'])
    .where('status', '=', 'confirmed')
    .where('confirmed_at', '>=', since)
    .where('confirmed_at', '<', until)
    .execute();
  const counted = new Map<string, [number, number]>();
  for (const row of rows) {
    const key = `${Math.floor((row.confirmed_at ?? 0) / dayMs)} ${row.merchant_id} ${row.network} ${row.currency}`;
    const [count, cents] = counted.get(key) ?? [0, 0];
    counted.set(key, [count + 1, cents + row.amount_usd_cents]);
  }
  const kept = new Map<string, [number, number]>();
  for (const sum of await sumReceived(db, { merchantId: null, since, until })) {
    const key = `${sum.day / dayMs} ${sum.merchantId} ${sum.network} ${sum.currency}`;
    const [count, cents] = kept.get(key) ?? [0, 0];
    kept.set(key, [count + sum.count, cents + sum.usdCents]);
  }
  return { counted, kept };
}

describeDatabases('what was received', (openTestDb) => {
  test('is kept as a sum of each day, however payments are confirmed, reverted and confirmed again', async () => {
    const db = await openTestDb();
    await db
      .insertInto('merchants')
      .values([
        { id: 'mer_1', name: 'A', created_at: 0 },
        { id: 'mer_2', name: 'B', created_at: 0 },
      ])
      .execute();
    const ids: number[] = [];
    for (let n = 0; n < 12; n++) {
      ids.push(
        await insert(db, {
          merchant_id: n % 4 === 0 ? 'mer_2' : 'mer_1',
          currency: n % 3 === 0 ? 'native' : 'usdt',
          ...(n < 4 ? { status: 'confirmed', confirmed_at: start + n * dayMs } : {}),
        }),
      );
    }
    const change = (id: number | undefined, set: object) =>
      db
        .updateTable('payments')
        .set(set)
        .where('id', '=', id ?? 0)
        .execute();
    for (const [n, id] of ids.entries()) {
      await change(id, { status: 'confirmed', confirmed_at: start + n * (dayMs / 3), ended_at: start });
    }
    // Taken back by the chain; confirmed again on another day; what else changes is nothing to the sums.
    await change(ids[2], { status: 'failed', reason: 'reorged' });
    await change(ids[5], { status: 'failed', reason: 'reorged' });
    await change(ids[5], { status: 'confirmed', confirmed_at: start + 9 * dayMs });
    await change(ids[6], { reason: 'overpaid' });
    for (const [since, until] of [
      [start, start + 10 * dayMs],
      [start + dayMs / 2, start + 2.5 * dayMs],
      [start + 0.1 * dayMs, start + 0.9 * dayMs],
      [start + dayMs, start + dayMs],
      [start + 0.5 * dayMs, start + 1.2 * dayMs],
    ] as const) {
      const { counted, kept } = await both(db, since, until);
      expect(kept).toEqual(counted);
    }
    const all = await both(db, start, start + 10 * dayMs);
    expect([...all.kept.values()].reduce((sum, [count]) => sum + count, 0)).toBe(11);
  });

  test('is added up by two who confirm payments of the same days in opposite order, neither of whom waits for ever', async () => {
    const db = await openTestDb();
    await db.insertInto('merchants').values({ id: 'mer_1', name: 'A', created_at: 0 }).execute();
    const ids = await Promise.all([0, 1, 2, 3].map(() => insert(db, {})));
    const confirm = (first: number | undefined, second: number | undefined, days: readonly number[]) =>
      inTransaction(db, async (trx) => {
        for (const [n, id] of [first, second].entries()) {
          const confirmed = { status: 'confirmed', confirmed_at: start + (days[n] ?? 0) * dayMs };
          await trx
            .updateTable('payments')
            .set(confirmed)
            .where('id', '=', id ?? 0)
            .execute();
          await serializeInserts(trx, 'events');
        }
      });
    await Promise.all([confirm(ids[0], ids[1], [0, 1]), confirm(ids[2], ids[3], [1, 0])]);
    const { counted, kept } = await both(db, start, start + 2 * dayMs);
    expect(kept).toEqual(counted);
    expect([...kept.values()].map(([count]) => count)).toEqual([2, 2]);
  });
});
