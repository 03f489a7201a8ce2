import { sql } from 'kysely';
import { type Address, type AddressKey, familyOf } from '../../core/address.ts';
import type { ChainFamily } from '../../core/networks.ts';
import type { Db } from '../schema.ts';

/**
 * A row that was read, and what tells it from another that is given its id: a database that was restored, or whose last commits
 * were lost in a failover, gives ids anew.
 */
export type ReadRow = { id: number; identity: string };

export type WatchedPage = {
  addresses: { key: AddressKey }[];
  /** The row from which the page was wanted, as it is now; null where there is none. */
  first: ReadRow | null;
  /** From which the next page is wanted; null where the page is empty. */
  last: ReadRow | null;
  more: boolean;
};

/**
 * Addresses of a chain family with an id of at least `fromId`, of the next `limit` ones in the order of their ids. With
 * `usedAfter` (Unix ms), of the retired ones only the ones that were added, or let go by a payment, later.
 */
export async function listWatchedAddresses(
  db: Db,
  family: ChainFamily,
  { fromId, usedAfter }: { fromId: number; usedAfter: number | null },
  limit: number,
): Promise<WatchedPage> {
  const rows = await db
    .selectFrom('addresses')
    .select(['id', 'network', 'address', 'address_key', 'active', 'locked_by', 'released_at', 'created_at'])
    .where('id', '>=', fromId)
    .orderBy('id')
    .limit(limit)
    .execute();
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
    first: rows[0]?.id === fromId ? toReadRow(rows[0]) : null,
    last: toReadRow(rows.at(-1)),
    more: rows.length === limit,
  };
}

function toReadRow(
  row: { id: number; network: string; address_key: string; created_at: number } | undefined,
): ReadRow | null {
  if (row === undefined) return null;
  return { id: row.id, identity: `${row.network} ${row.address_key} ${row.created_at}` };
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

function heldAddresses(db: Db) {
  return db.selectFrom('addresses').select(['address', 'address_key']).where('locked_by', 'is not', null);
}

function releasedAddresses(db: Db, after: number) {
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

/** The last return to service; null when there was none. */
export async function latestReturn(db: Db): Promise<ReadRow | null> {
  const row = await db
    .selectFrom('address_returns')
    .select(['id', 'address_id', 'at'])
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirst();
  return row === undefined ? null : toReturn(row);
}

/** Returns to service from the one with the id `from` on, in their order; `key`: of an address of the chain family, else null. */
export async function listReturns(
  db: Db,
  family: ChainFamily,
  from: number,
): Promise<(ReadRow & { key: AddressKey | null })[]> {
  const rows = await db
    .selectFrom('address_returns')
    .innerJoin('addresses', 'addresses.id', 'address_returns.address_id')
    .select(['address_returns.id', 'address_id', 'at', 'addresses.address', 'addresses.address_key'])
    .where('address_returns.id', '>=', from)
    .orderBy('address_returns.id')
    .execute();
  return rows.map((row) => ({
    ...toReturn(row),
    key: familyOf(row.address as Address) === family ? (row.address_key as AddressKey) : null,
  }));
}

function toReturn({ id, address_id, at }: { id: number; address_id: number; at: number }): ReadRow {
  return { id, identity: `${address_id} ${at}` };
}
