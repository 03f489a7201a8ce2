import type { Network } from '../../core/networks.ts';
import type { PoolCount, PoolKey } from '../../core/pool.ts';
import type { Db, Trx } from '../schema.ts';
import { toCurrency } from './addresses.ts';

/** How a pool stood in an interval that began at `at` (Unix ms). */
export type PoolMeasurement = PoolKey &
  Pick<PoolCount, 'free' | 'held' | 'quarantined' | 'retired'> & { at: number };

/** Whether any process has measured in this interval. */
export async function hasPoolMeasurement(db: Db, at: number): Promise<boolean> {
  const row = await db
    .selectFrom('pool_measurements')
    .select('at')
    .where('at', '=', at)
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}

/** Whoever is first in an interval is right. */
export async function insertPoolMeasurements(trx: Trx, rows: readonly PoolMeasurement[]): Promise<void> {
  if (rows.length === 0) return;
  await trx
    .insertInto('pool_measurements')
    .values(
      rows.map((row) => ({
        merchant_id: row.merchantId,
        at: row.at,
        network: row.network,
        currency: row.currency ?? '',
        free: row.free,
        held: row.held,
        quarantined: row.quarantined,
        retired: row.retired,
      })),
    )
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

/** Of a merchant's pools in the span [since, until), Unix ms, the oldest first. */
export async function listPoolMeasurements(
  db: Db,
  { merchantId, since, until }: { merchantId: string; since: number; until: number },
): Promise<PoolMeasurement[]> {
  const rows = await db
    .selectFrom('pool_measurements')
    .select(['merchant_id', 'at', 'network', 'currency', 'free', 'held', 'quarantined', 'retired'])
    .where('merchant_id', '=', merchantId)
    .where('at', '>=', since)
    .where('at', '<', until)
    .orderBy('at')
    .orderBy('network')
    .orderBy('currency')
    .execute();
  return rows.map((row) => ({
    merchantId: row.merchant_id,
    at: row.at,
    network: row.network as Network,
    currency: toCurrency(row.currency),
    free: row.free,
    held: row.held,
    quarantined: row.quarantined,
    retired: row.retired,
  }));
}
