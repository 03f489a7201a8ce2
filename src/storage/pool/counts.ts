import { sql } from 'kysely';
import type { Network } from '../../core/networks.ts';
import type { PoolCount, PoolKey, Quarantine } from '../../core/pool.ts';
import type { Db, Trx } from '../schema.ts';
import { toCurrency } from './addresses.ts';
import { countDerivable, listDerivedPools } from './derived-pools.ts';
import type { Pool } from './locks.ts';

/**
 * Every pool of every merchant in use, or of one, in order. Reads an index over all addresses: for the operator, not for each request.
 */
export async function countPools(
  db: Db,
  merchantId: string | null,
  quarantine: Quarantine,
): Promise<PoolCount[]> {
  const groups = await countGroups(db, merchantId);
  const derived = await listDerivedPools(db, merchantId);
  for (const pool of derived)
    if (!groups.has(nameOf(pool))) groups.set(nameOf(pool), { ...pool, active: 0, retired: 0 });
  const counts: PoolCount[] = [];
  for (const [name, group] of groups) {
    const { merchantId: merchant, network, currency } = group;
    const key = { merchantId: merchant, network, currency };
    const held = await countHeldActive(db, key);
    const quarantined = await countQuarantined(db, key, quarantine);
    const heldBack = await countQuarantined(db, key, { ...quarantine, releasedAfter: null });
    const room = derived.filter((pool) => nameOf(pool) === name);
    counts.push({
      ...key,
      total: group.active,
      free: group.active - held - quarantined,
      quarantined,
      heldBack,
      held,
      retired: group.retired,
      derivable: room.reduce((sum, pool) => sum + Math.max(0, pool.limit - pool.nextIndex), 0),
    });
  }
  return counts.toSorted((a, b) => compare(nameOf(a), nameOf(b)));
}

/**
 * Of the addresses that payments in one currency can get: how many there are, and how many cannot be had now. Of a
 * pool with plenty left, `total` is only as many as were counted.
 */
export type PoolLoad = { total: number; held: number };

/** With so many times as many addresses as are held, or with so many, there is plenty left. */
const plentyTimes = 2;
const plenty = 1_000;

/**
 * The load of a pool. Those that can still be derived are part of it; what is in this quarantine counts as held. Costs as
 * much as are held, however large the pool is.
 */
export async function countPool(db: Db, pool: Pool, quarantine: Quarantine): Promise<PoolLoad> {
  const keys = [pool.currency, null].map((currency) => ({ ...pool, currency }));
  let held = 0;
  for (const key of keys) {
    held += await countHeldActive(db, key);
    held += await countQuarantined(db, key, quarantine);
  }
  const atMost = Math.max(plenty, held * plentyTimes);
  let total = await countDerivable(db, pool);
  for (const key of keys) if (total < atMost) total += await countActive(db, key, atMost - total);
  return { total, held };
}

type Group = PoolKey & { active: number; retired: number };

/** From an index alone, however many addresses there are. */
async function countGroups(db: Db, merchantId: string | null): Promise<Map<string, Group>> {
  let query = db
    .selectFrom('addresses')
    .select((eb) => ['merchant_id', 'network', 'currency', 'active', eb.fn.countAll<number>().as('n')])
    .groupBy(['merchant_id', 'network', 'currency', 'active']);
  if (merchantId !== null) query = query.where('merchant_id', '=', merchantId);
  const removed = await db.selectFrom('merchants').select('id').where('removed_at', 'is not', null).execute();
  const removedIds = new Set(removed.map(({ id }) => id));
  const groups = new Map<string, Group>();
  for (const row of await query.execute()) {
    if (removedIds.has(row.merchant_id)) continue;
    const key = {
      merchantId: row.merchant_id,
      network: row.network as Network,
      currency: toCurrency(row.currency),
    };
    const group = groups.get(nameOf(key)) ?? { ...key, active: 0, retired: 0 };
    group[row.active === 1 ? 'active' : 'retired'] = Number(row.n);
    groups.set(nameOf(key), group);
  }
  return groups;
}

/** Costs as much as there are; where some are held back, as much as the pool has. */
async function countQuarantined(
  db: Db,
  key: PoolKey,
  { releasedAfter, heldBackUpTo }: Quarantine,
): Promise<number> {
  if (releasedAfter === null && heldBackUpTo === 0) return 0;
  const free = addressesOf(db, key).where('active', '=', sql.lit(1)).where('locked_by', 'is', null);
  const counted = free.where((eb) => {
    const lately = releasedAfter === null ? [] : [eb('released_at', '>', releasedAfter)];
    return eb.or(heldBackUpTo === 0 ? lately : [...lately, eb('id', '<=', heldBackUpTo)]);
  });
  return Number((await counted.executeTakeFirstOrThrow()).n);
}

async function countActive(
  db: Db,
  { merchantId, network, currency }: PoolKey,
  atMost: number,
): Promise<number> {
  const row = await db
    .selectFrom((from) =>
      from
        .selectFrom('addresses')
        .select('id')
        .where('merchant_id', '=', merchantId)
        .where('network', '=', network)
        .where('currency', '=', currency ?? '')
        .where('active', '=', 1)
        .limit(atMost)
        .as('active_ones'),
    )
    .select((eb) => eb.fn.countAll<number>().as('n'))
    .executeTakeFirstOrThrow();
  return Number(row.n);
}

async function countHeldActive(db: Db, key: PoolKey): Promise<number> {
  const row = await addressesOf(db, key)
    .where('active', '=', 1)
    .where('locked_by', 'is not', null)
    .executeTakeFirstOrThrow();
  return Number(row.n);
}

function addressesOf(db: Db, { merchantId, network, currency }: PoolKey) {
  return db
    .selectFrom('addresses')
    .select((eb) => eb.fn.countAll<number>().as('n'))
    .where('merchant_id', '=', merchantId)
    .where('network', '=', network)
    .where('currency', '=', currency ?? '');
}

function nameOf({ merchantId, network, currency }: PoolKey): string {
  return `${merchantId} ${network} ${currency ?? ''}`;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Whether the pool has an active address at all, free or not, or can derive one. */
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
  return (await countDerivable(db, pool)) > 0;
}

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
