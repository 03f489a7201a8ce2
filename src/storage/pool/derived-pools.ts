import type { Selectable } from 'kysely';
import type { ParsedAddress } from '../../core/address.ts';
import type { Currency } from '../../core/assets.ts';
import { dayMs } from '../../core/day.ts';
import type { Network } from '../../core/networks.ts';
import { isPostgres } from '../database.ts';
import type { Db, Schema, Trx } from '../schema.ts';
import { toCurrency } from './addresses.ts';
import type { Pool } from './locks.ts';

/** An account from whose public key addresses are derived when none is free. */
export type DerivedPool = {
  id: number;
  merchantId: string;
  network: Network;
  /** Null: for every currency of its network. */
  currency: Currency | null;
  label: string;
  xpub: string;
  /** The index of the next address; all below were derived, or passed over because somebody had them already. */
  nextIndex: number;
  /** Indexes from this one on are never derived. */
  limit: number;
  createdAt: number;
  /** Since then nothing is derived from it; null: in use. */
  removedAt: number | null;
};

const columns = [
  'id',
  'merchant_id',
  'network',
  'currency',
  'label',
  'xpub',
  'next_index',
  'address_limit',
  'created_at',
  'removed_at',
] as const;

type NewPool = Omit<DerivedPool, 'id' | 'nextIndex' | 'removedAt'>;

export async function addDerivedPool(trx: Trx, pool: NewPool): Promise<DerivedPool> {
  const row = await trx
    .insertInto('derived_pools')
    .values({
      merchant_id: pool.merchantId,
      network: pool.network,
      currency: pool.currency ?? '',
      label: pool.label,
      xpub: pool.xpub,
      next_index: 0,
      address_limit: pool.limit,
      created_at: pool.createdAt,
    })
    .returning(columns)
    .executeTakeFirstOrThrow();
  return toPool(row);
}

/** Takes a removed pool into use again; what was derived stays derived. */
export async function renewDerivedPool(trx: Trx, id: number, pool: NewPool): Promise<DerivedPool> {
  const row = await trx
    .updateTable('derived_pools')
    .set({
      currency: pool.currency ?? '',
      label: pool.label,
      address_limit: pool.limit,
      removed_at: null,
    })
    .where('id', '=', id)
    .returning(columns)
    .executeTakeFirstOrThrow();
  return toPool(row);
}

/**
 * Ends a pool: nothing more is derived, and what was is retired.
 *
 * @returns how many addresses were retired, and how many of these a payment still holds; null when the
 *   merchant has no such pool.
 */
export async function removeDerivedPool(
  trx: Trx,
  removal: { merchantId: string; poolId: number; at: number },
): Promise<{ retired: number; held: number } | null> {
  const { merchantId, poolId, at } = removal;
  const removed = await trx
    .updateTable('derived_pools')
    // With a limit of 0 every query sees that there is no room.
    .set({ removed_at: at, address_limit: 0 })
    .where('id', '=', poolId)
    .where('merchant_id', '=', merchantId)
    .where('removed_at', 'is', null)
    .executeTakeFirst();
  if (removed.numUpdatedRows !== 1n) return null;
  const retired = await trx
    .updateTable('addresses')
    .set({ active: 0 })
    .where('derived_pool_id', '=', poolId)
    .where('active', '=', 1)
    .returning('locked_by')
    .execute();
  return { retired: retired.length, held: retired.filter((row) => row.locked_by !== null).length };
}

/** Those in use, in the order they were added. */
export async function listDerivedPools(db: Db, merchantId: string | null): Promise<DerivedPool[]> {
  let query = db.selectFrom('derived_pools').select(columns).where('removed_at', 'is', null).orderBy('id');
  if (merchantId !== null) query = query.where('merchant_id', '=', merchantId);
  return (await query.execute()).map(toPool);
}

/** Every pool with this key, whoever's and on whatever network, removed ones included. */
export async function findPoolsOfKey(db: Db, xpub: string): Promise<DerivedPool[]> {
  const rows = await db.selectFrom('derived_pools').select(columns).where('xpub', '=', xpub).execute();
  return rows.map(toPool);
}

/** The oldest pool from which a payment like these can be given a new address, held until the transaction ends. */
export async function lockPoolWithRoom(
  trx: Trx,
  { merchantId, network, currency }: Pool,
): Promise<DerivedPool | null> {
  let query = trx
    .selectFrom('derived_pools')
    .select(columns)
    .where('merchant_id', '=', merchantId)
    .where('network', '=', network)
    .where('currency', 'in', [currency, ''])
    .where('derive_ahead', '=', 0)
    .whereRef('next_index', '<', 'address_limit')
    .orderBy('id')
    .limit(1);
  if (isPostgres(trx)) query = query.forUpdate();
  const row = await query.executeTakeFirst();
  return row === undefined ? null : toPool(row);
}

/** No payment is given a new address of the pools in use on these networks until they have derived ahead. */
export async function askToDeriveAhead(trx: Trx, networks: readonly Network[]): Promise<void> {
  if (networks.length === 0) return;
  await trx
    .updateTable('derived_pools')
    .set({ derive_ahead: 1 })
    .where('removed_at', 'is', null)
    .where('network', 'in', networks)
    .execute();
}

/** The pools in use that have to derive ahead, on these networks. */
export async function listPoolsToDeriveAhead(db: Db, networks: readonly Network[]): Promise<DerivedPool[]> {
  if (networks.length === 0) return [];
  const rows = await db
    .selectFrom('derived_pools')
    .select(columns)
    .where('removed_at', 'is', null)
    .where('derive_ahead', '=', 1)
    .where('network', 'in', networks)
    .orderBy('id')
    .execute();
  return rows.map(toPool);
}

/** Ends that a pool has to derive ahead. @returns false when it had not, is removed, or has gone on since it was read. */
export async function endDerivingAhead(trx: Trx, { id, nextIndex }: DerivedPool): Promise<boolean> {
  const result = await trx
    .updateTable('derived_pools')
    .set({ derive_ahead: 0 })
    .where('id', '=', id)
    .where('derive_ahead', '=', 1)
    .where('removed_at', 'is', null)
    .where('next_index', '=', nextIndex)
    .executeTakeFirst();
  return result.numUpdatedRows === 1n;
}

/** Whether a payment like these may be given a new address as soon as the pool has derived ahead. */
export async function isDerivingAhead(db: Db, { merchantId, network, currency }: Pool): Promise<boolean> {
  const row = await db
    .selectFrom('derived_pools')
    .select('id')
    .where('merchant_id', '=', merchantId)
    .where('network', '=', network)
    .where('currency', 'in', [currency, ''])
    .where('derive_ahead', '=', 1)
    .whereRef('next_index', '<', 'address_limit')
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}

/** How many addresses can still be derived for payments like these. */
export async function countDerivable(db: Db, { merchantId, network, currency }: Pool): Promise<number> {
  const rows = await db
    .selectFrom('derived_pools')
    .select(['next_index', 'address_limit'])
    .where('merchant_id', '=', merchantId)
    .where('network', '=', network)
    .where('currency', 'in', [currency, ''])
    .execute();
  return rows.reduce((sum, row) => sum + Math.max(0, row.address_limit - row.next_index), 0);
}

export async function setNextIndex(trx: Trx, id: number, nextIndex: number): Promise<void> {
  await trx.updateTable('derived_pools').set({ next_index: nextIndex }).where('id', '=', id).execute();
}

/** @returns false when the merchant has no such pool. */
export async function setPoolLimit(
  trx: Trx,
  merchantId: string,
  id: number,
  limit: number,
): Promise<boolean> {
  const result = await trx
    .updateTable('derived_pools')
    .set({ address_limit: limit })
    .where('id', '=', id)
    .where('merchant_id', '=', merchantId)
    .where('removed_at', 'is', null)
    .executeTakeFirst();
  return result.numUpdatedRows === 1n;
}

/** Adds derived addresses to their pool; the answer holds their ids in the order given. Call `serializeInserts` before. */
export async function addDerivedAddresses(
  trx: Trx,
  pool: DerivedPool,
  derived: readonly ({ index: number } & ParsedAddress)[],
  at: number,
): Promise<number[]> {
  if (derived.length === 0) return [];
  const rows = await trx
    .insertInto('addresses')
    .values(
      derived.map(({ index, address, key }) => ({
        merchant_id: pool.merchantId,
        network: pool.network,
        address,
        address_key: key,
        currency: pool.currency ?? '',
        label: pool.label,
        source: 'derived' as const,
        derived_pool_id: pool.id,
        derivation_index: index,
        active: 1,
        released_at: 0,
        created_at: at,
      })),
    )
    .returning(['id', 'derivation_index'])
    .execute();
  const ids = new Map(rows.map((row) => [row.derivation_index, row.id]));
  return derived.map(({ index }) => ids.get(index) as number);
}

/** How many addresses of a pool were derived in the day before the last one; counts no further than `atMost`. */
export async function countDerivedLately(db: Db, poolId: number, atMost: number): Promise<number> {
  const newest = db
    .selectFrom('addresses')
    .select('created_at')
    .where('derived_pool_id', '=', poolId)
    .orderBy('derivation_index', 'desc');
  const last = await newest.limit(1).executeTakeFirst();
  if (last === undefined) return 0;
  const row = await db
    .selectFrom(newest.limit(atMost).as('newest'))
    .select((eb) => eb.fn.countAll<number>().as('n'))
    .where('created_at', '>', last.created_at - dayMs)
    .executeTakeFirstOrThrow();
  return Number(row.n);
}

/** The indexes of a pool's addresses, in order, and whether anything ever reached each. */
export async function listDerivedIndexes(
  db: Db,
  poolId: number,
): Promise<{ index: number; used: boolean }[]> {
  const rows = await db
    .selectFrom('addresses')
    .select((eb) => [
      'derivation_index',
      eb
        .exists(
          eb
            .selectFrom('deposits')
            .select('deposits.id')
            .whereRef('deposits.address_id', '=', 'addresses.id')
            .where('deposits.status', '!=', 'orphaned'),
        )
        .as('used'),
    ])
    .where('derived_pool_id', '=', poolId)
    .orderBy('derivation_index')
    .execute();
  return rows.map((row) => ({ index: row.derivation_index ?? 0, used: Boolean(row.used) }));
}

function toPool(row: Omit<Selectable<Schema['derived_pools']>, 'derive_ahead'>): DerivedPool {
  return {
    id: row.id,
    merchantId: row.merchant_id,
    network: row.network as Network,
    currency: toCurrency(row.currency),
    label: row.label,
    xpub: row.xpub,
    nextIndex: row.next_index,
    limit: row.address_limit,
    createdAt: row.created_at,
    removedAt: row.removed_at,
  };
}
