import type { Trx } from '../schema.ts';
import type { Pool } from './locks.ts';

/** How bad it is with a pool that somebody was told about. */
export type PoolLevel = 'low' | 'exhausted';

/**
 * Notes that somebody was told of a pool, until {@link clearPoolLevels}.
 *
 * @returns false when it was noted already, by whatever process: then nobody is told again.
 */
export async function notePoolLevel(trx: Trx, pool: Pool, level: PoolLevel, at: number): Promise<boolean> {
  const result = await trx
    .insertInto('pool_levels')
    .values({
      merchant_id: pool.merchantId,
      network: pool.network,
      currency: pool.currency,
      level,
      since: at,
    })
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst();
  return result.numInsertedOrUpdatedRows === 1n;
}

/** @returns whether anything was noted. */
export async function clearPoolLevels(trx: Trx, pool: Pool): Promise<boolean> {
  const result = await trx
    .deleteFrom('pool_levels')
    .where('merchant_id', '=', pool.merchantId)
    .where('network', '=', pool.network)
    .where('currency', '=', pool.currency)
    .executeTakeFirst();
  return result.numDeletedRows > 0n;
}
