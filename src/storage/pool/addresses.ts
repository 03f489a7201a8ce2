import { sql } from 'kysely';
import type { Address, AddressKey } from '../../core/address.ts';
import type { Currency } from '../../core/assets.ts';
import type { Network } from '../../core/networks.ts';
import type { Quarantine } from '../../core/pool.ts';
import type { Db, Trx } from '../schema.ts';

/** A receive address in a merchant's pool. */
export type PoolAddress = {
  id: number;
  merchantId: string;
  network: Network;
  address: Address;
  /** The one currency it serves; null: every currency of its network. */
  currency: Currency | null;
  label: string;
  source: 'static' | 'derived';
  /** Where a derived one comes from: its pool, and its index in it. */
  derived: { poolId: number; index: number } | null;
  active: boolean;
  /** The pending payment that holds it. */
  lockedBy: number | null;
  /** When the last payment let it go, Unix ms; 0: none ever held it. */
  releasedAt: number | null;
  createdAt: number;
};

export type NewAddress = Pick<PoolAddress, 'network' | 'address' | 'currency' | 'label' | 'source'> & {
  key: AddressKey;
};

/** Who has an address already, on whatever network. */
export type AddressHolder = {
  key: AddressKey;
  network: Network;
  merchantId: string;
  currency: Currency | null;
  active: boolean;
};

export async function findAddressHolders(db: Db, keys: readonly AddressKey[]): Promise<AddressHolder[]> {
  if (keys.length === 0) return [];
  const rows = await db
    .selectFrom('addresses')
    .select(['address_key', 'network', 'merchant_id', 'currency', 'active'])
    .where('address_key', 'in', keys)
    .execute();
  return rows.map((row) => ({
    key: row.address_key as AddressKey,
    network: row.network as Network,
    merchantId: row.merchant_id,
    currency: toCurrency(row.currency),
    active: row.active === 1,
  }));
}

/** Adds checked addresses; the answer holds their ids in the order given. Call `serializeInserts` before. */
export async function addAddresses(
  trx: Trx,
  merchantId: string,
  addresses: readonly NewAddress[],
  at: number,
): Promise<number[]> {
  if (addresses.length === 0) return [];
  const rows = await trx
    .insertInto('addresses')
    .values(
      addresses.map((address) => ({
        merchant_id: merchantId,
        network: address.network,
        address: address.address,
        address_key: address.key,
        currency: address.currency ?? '',
        label: address.label,
        source: address.source,
        active: 1,
        released_at: 0,
        created_at: at,
      })),
    )
    .returning(['id', 'network', 'address_key'])
    .execute();
  const ids = new Map(rows.map((row) => [`${row.network} ${row.address_key}`, row.id]));
  return addresses.map((address) => ids.get(`${address.network} ${address.key}`) as number);
}

/** In the order they were added. */
export async function listAddresses(
  db: Db,
  filter: { merchantId: string; network: Network | null; afterId: number; limit: number },
): Promise<PoolAddress[]> {
  let query = db
    .selectFrom('addresses')
    .select([
      'id',
      'merchant_id',
      'network',
      'address',
      'currency',
      'label',
      'source',
      'derived_pool_id',
      'derivation_index',
      'active',
      'locked_by',
      'released_at',
      'created_at',
    ])
    .where('merchant_id', '=', filter.merchantId)
    .where('id', '>', filter.afterId)
    .orderBy('id')
    .limit(filter.limit);
  if (filter.network !== null) query = query.where('network', '=', filter.network);
  const rows = await query.execute();
  return rows.map((row) => ({
    id: row.id,
    merchantId: row.merchant_id,
    network: row.network as Network,
    address: row.address as Address,
    currency: toCurrency(row.currency),
    label: row.label,
    source: row.source,
    derived:
      row.derived_pool_id === null ? null : { poolId: row.derived_pool_id, index: row.derivation_index ?? 0 },
    active: row.active === 1,
    lockedBy: row.locked_by,
    releasedAt: row.released_at,
    createdAt: row.created_at,
  }));
}

/**
 * Free addresses that serve one currency alone (null: every currency), and are not in this quarantine. Counts no further than `atMost`, so that a large pool costs no more.
 */
export async function countFreeAddresses(
  db: Db,
  pool: { merchantId: string; network: Network; currency: Currency | null },
  { releasedAfter, heldBackUpTo }: Quarantine,
  atMost: number,
): Promise<number> {
  let free = db
    .selectFrom('addresses')
    .select('id')
    .where('merchant_id', '=', pool.merchantId)
    .where('network', '=', pool.network)
    .where('currency', '=', pool.currency ?? '')
    .where('active', '=', sql.lit(1))
    .where('locked_by', 'is', null)
    .limit(atMost);
  if (releasedAfter !== null) free = free.where('released_at', '<=', releasedAfter);
  if (heldBackUpTo > 0) free = free.where('id', '>', heldBackUpTo);
  const row = await db
    .selectFrom(free.as('free'))
    .select((eb) => eb.fn.countAll<number>().as('n'))
    .executeTakeFirstOrThrow();
  return Number(row.n);
}

/** The addresses with these ids, as their merchant listed them. */
export async function findAddressTexts(db: Db, ids: readonly number[]): Promise<Map<number, Address>> {
  if (ids.length === 0) return new Map();
  const rows = await db.selectFrom('addresses').select(['id', 'address']).where('id', 'in', ids).execute();
  return new Map(rows.map((row) => [row.id, row.address as Address]));
}

/** The one that addresses serve; null: every currency of their network. */
export function toCurrency(text: string): Currency | null {
  return text === '' ? null : (text as Currency);
}
