import { sql } from 'kysely';
import type { Network } from '../../core/networks.ts';
import type { PoolKey } from '../../core/pool.ts';
import type { Db } from '../schema.ts';
import { toCurrency } from './addresses.ts';

const hourMs = 60 * 60 * 1000;

/** What payments made of a pool's addresses since some time. */
export type PoolUse = PoolKey & {
  payments: number;
  /** Payments in the busiest of the hours since then. */
  busiestHour: number;
  /** How long the ended ones held their address on average, ms; null when none has ended. */
  meanLockMs: number | null;
};

/** Of every pool from which a payment got an address after `since` (Unix ms), or of one merchant's. */
export async function readPoolUse(db: Db, merchantId: string | null, since: number): Promise<PoolUse[]> {
  // SQLite takes parameters for floating-point numbers.
  const hour = sql<number>`cast((payments.created_at - ${since}) / ${sql.lit(hourMs)} as integer)`;
  // A payment that was settled long after its end held its address no longer for that.
  const lockEnd = sql<number>`case when ended_at < expires_at then ended_at else expires_at end`;
  let query = db
    .selectFrom('payments')
    .innerJoin('onchain_payments', 'onchain_payments.payment_id', 'payments.id')
    .innerJoin('addresses', 'addresses.id', 'onchain_payments.address_id')
    .select((eb) => [
      'addresses.merchant_id',
      'addresses.network',
      'addresses.currency',
      hour.as('hour'),
      eb.fn.countAll<number>().as('n'),
      eb.fn.count<number>('payments.ended_at').as('ended'),
      sql<number>`sum(case when ended_at is null then 0 else ${lockEnd} - payments.created_at end)`.as(
        'locked_ms',
      ),
    ])
    .where('payments.created_at', '>', since)
    .groupBy(['addresses.merchant_id', 'addresses.network', 'addresses.currency', 'hour']);
  if (merchantId !== null) query = query.where('addresses.merchant_id', '=', merchantId);
  const hours = await query.execute();
  const byPool = Map.groupBy(hours, (row) => `${row.merchant_id} ${row.network} ${row.currency}`);
  return [...byPool.values()].flatMap((rows) => {
    const [first] = rows;
    if (first === undefined) return [];
    const ended = sum(rows.map((row) => Number(row.ended)));
    return [
      {
        merchantId: first.merchant_id,
        network: first.network as Network,
        currency: toCurrency(first.currency),
        payments: sum(rows.map((row) => Number(row.n))),
        busiestHour: Math.max(...rows.map((row) => Number(row.n))),
        meanLockMs: ended === 0 ? null : sum(rows.map((row) => Number(row.locked_ms))) / ended,
      },
    ];
  });
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
