import type { Address } from '../core/address.ts';
import type { Currency } from '../core/assets.ts';
import type { Network } from '../core/networks.ts';
import { isPostgres } from './database.ts';
import type { Db, Trx } from './schema.ts';

/** The addresses of one merchant that can be given to payments in one currency of one chain. */
export type Pool = { merchantId: string; network: Network; currency: Currency };

type FreeAddress = { id: number; address: Address; releasedAt: number };

/**
 * The free address of a pool that has rested longest, of those let go no later than `releasedBefore` (Unix
 * ms). On PostgreSQL the row is held until the transaction ends and rows that others hold are passed over,
 * so that parallel creations never wait for, or get, the same address.
 */
export async function findFreeAddress(
  trx: Trx,
  pool: Pool,
  releasedBefore: number,
): Promise<FreeAddress | null> {
  // Two small index reads: one that asks for either currency would sort the whole pool.
  const own = await findFree(trx, pool, pool.currency, releasedBefore);
  const shared = await findFree(trx, pool, '', releasedBefore);
  if (own === null || shared === null) return own ?? shared;
  return own.releasedAt <= shared.releasedAt ? own : shared;
}

async function findFree(
  trx: Trx,
  pool: Pool,
  currency: string,
  releasedBefore: number,
): Promise<FreeAddress | null> {
  let query = trx
    .selectFrom('addresses')
    .select(['id', 'address', 'released_at'])
    .where('merchant_id', '=', pool.merchantId)
    .where('network', '=', pool.network)
    .where('currency', '=', currency)
    .where('active', '=', 1)
    .where('locked_by', 'is', null)
    .where('released_at', '<=', releasedBefore)
    .orderBy('released_at')
    .orderBy('id')
    .limit(1);
  if (isPostgres(trx)) query = query.forUpdate().skipLocked();
  const row = await query.executeTakeFirst();
  return row === undefined
    ? null
    : { id: row.id, address: row.address as Address, releasedAt: row.released_at };
}

export async function lockAddress(trx: Trx, addressId: number, paymentId: number): Promise<void> {
  await trx.updateTable('addresses').set({ locked_by: paymentId }).where('id', '=', addressId).execute();
}

/** Lets go of an address, if this payment still holds it. */
export async function releaseAddress(
  trx: Trx,
  addressId: number,
  paymentId: number,
  at: number,
): Promise<void> {
  await trx
    .updateTable('addresses')
    .set({ locked_by: null, released_at: at })
    .where('id', '=', addressId)
    .where('locked_by', '=', paymentId)
    .execute();
}

/** Whether the pool has an active address at all, free or not. */
export async function hasActiveAddress(db: Db, pool: Pool): Promise<boolean> {
  for (const currency of [pool.currency, '']) {
    const row = await db
      .selectFrom('addresses')
      .select('id')
      .where('merchant_id', '=', pool.merchantId)
      .where('network', '=', pool.network)
      .where('currency', '=', currency)
      .where('active', '=', 1)
      .limit(1)
      .executeTakeFirst();
    if (row !== undefined) return true;
  }
  return false;
}

/** Active addresses of a pool, and how many of them payments hold. Reads the whole pool: not for each request. */
export async function countPool(db: Db, pool: Pool): Promise<{ total: number; held: number }> {
  const inPool = db
    .selectFrom('addresses')
    .where('merchant_id', '=', pool.merchantId)
    .where('network', '=', pool.network)
    .where('currency', 'in', [pool.currency, '']);
  const total = await inPool
    .where('active', '=', 1)
    .select((eb) => eb.fn.countAll<number>().as('n'))
    .executeTakeFirstOrThrow();
  const held = await inPool
    .where('active', '=', 1)
    .where('locked_by', 'is not', null)
    .select((eb) => eb.fn.countAll<number>().as('n'))
    .executeTakeFirstOrThrow();
  return { total: Number(total.n), held: Number(held.n) };
}

/** When the first of a pool's holders runs out of time, Unix ms; null when none holds an address. */
export async function earliestExpiry(db: Db, pool: Pool): Promise<number | null> {
  const row = await db
    .selectFrom('addresses')
    .innerJoin('payments', 'payments.id', 'addresses.locked_by')
    .where('addresses.merchant_id', '=', pool.merchantId)
    .where('addresses.network', '=', pool.network)
    .where('addresses.currency', 'in', [pool.currency, ''])
    .select((eb) => eb.fn.min('payments.expires_at').as('expires_at'))
    .executeTakeFirst();
  return row?.expires_at ?? null;
}
