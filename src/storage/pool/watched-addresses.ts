import { sql } from 'kysely';
import { type Address, type AddressKey, familyOf } from '../../core/address.ts';
import type { ChainFamily } from '../../core/networks.ts';
import type { Db } from '../schema.ts';

/** A row of the table, by which it is known again. */
export type WatchedRow = { id: number; key: AddressKey };

export type WatchedPage = {
  addresses: { key: AddressKey }[];
  /** Where the next page begins. */
  last: WatchedRow | null;
  more: boolean;
};

/**
 * Addresses of a chain family that come after a row, of the next `limit` ones in the order of their ids. Null where that row is
 * not there any more: the table has lost its end, and other rows may have the ids that followed. With `usedAfter` (Unix ms), of the retired ones only the ones that were added, or let go by a payment, later.
 */
export async function listWatchedAddresses(
  db: Db,
  family: ChainFamily,
  { after, usedAfter }: { after: WatchedRow | null; usedAfter: number | null },
  limit: number,
): Promise<WatchedPage | null> {
  const found = await db
    .selectFrom('addresses')
    .select(['id', 'address', 'address_key', 'active', 'locked_by', 'released_at', 'created_at'])
    .where('id', '>=', after?.id ?? 0)
    .orderBy('id')
    .limit(limit + 1)
    .execute();
  const [first] = found;
  if (after !== null && (first?.id !== after.id || first.address_key !== after.key)) return null;
  const rows = after === null ? found.slice(0, limit) : found.slice(1);
  const last = rows.at(-1);
  const watched = rows.filter(
    (row) =>
      familyOf(row.address as Address) === family &&
      (usedAfter === null ||
        row.active === 1 ||
        row.locked_by !== null ||
        Math.max(row.released_at, row.created_at) > usedAfter),
  );
  return {
    addresses: watched.map((row) => ({ key: row.address_key as AddressKey })),
    last: last === undefined ? after : { id: last.id, key: last.address_key as AddressKey },
    more: rows.length === limit,
  };
}

/**
 * Addresses of a chain family that a payment holds, or has let go after `releasedAfter` (Unix ms). Costs as much as there
 * are of these.
 */
export async function listUsedAddresses(
  db: Db,
  family: ChainFamily,
  releasedAfter: number,
): Promise<AddressKey[]> {
  const rows = [
    ...(await heldAddresses(db).execute()),
    ...(await releasedAddresses(db, releasedAfter).execute()),
  ];
  return rows
    .filter(({ address }) => familyOf(address as Address) === family)
    .map((row) => row.address_key as AddressKey);
}

export function heldAddresses(db: Db) {
  return db.selectFrom('addresses').select(['address', 'address_key']).where('locked_by', 'is not', null);
}

export function releasedAddresses(db: Db, after: number) {
  return (
    db
      .selectFrom('addresses')
      .select(['address', 'address_key'])
      // As the index says it.
      .where('released_at', '>', sql.lit(0))
      .where('released_at', '>', after)
  );
}

/** Whether any address is retired. */
export async function hasRetiredAddress(db: Db): Promise<boolean> {
  const row = await db
    .selectFrom('addresses')
    .select('id')
    .where('active', '=', sql.lit(0))
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}

/** The id of the last return to service; 0 when there was none. */
export async function latestReturn(db: Db): Promise<number> {
  const row = await db
    .selectFrom('address_returns')
    .select('id')
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirst();
  return row?.id ?? 0;
}

/** Addresses of a chain family that became active again since the return with the id `after`, in that order. */
export async function listReturnedAddresses(
  db: Db,
  family: ChainFamily,
  after: number,
): Promise<{ id: number; key: AddressKey }[]> {
  const rows = await db
    .selectFrom('address_returns')
    .innerJoin('addresses', 'addresses.id', 'address_returns.address_id')
    .select(['address_returns.id', 'addresses.address', 'addresses.address_key'])
    .where('address_returns.id', '>', after)
    .orderBy('address_returns.id')
    .execute();
  return rows
    .filter((row) => familyOf(row.address as Address) === family)
    .map((row) => ({ id: row.id, key: row.address_key as AddressKey }));
}
