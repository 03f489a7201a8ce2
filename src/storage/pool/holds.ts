import { sql } from 'kysely';
import type { PoolKey, Quarantine } from '../../core/pool.ts';
import { isPostgres } from '../database.ts';
import type { Db, Trx } from '../schema.ts';

/*
 * Where a database has lost its last payments, their customers still have the addresses. While a hold lasts, no payment is given
 * an address that was there when it began.
 */

/** What is held back now, by however many holds. Unix ms. */
export type AddressHold = {
  /** Addresses with an id up to this one are held back. */
  lastAddressId: number;
  /** When the first of the holds began. */
  at: number;
  /** When the last of them ends. */
  until: number;
  /** Why, as the newest says it. */
  reason: string;
};

/** Null when nothing is held back. */
export async function readHold(db: Db, now: number): Promise<AddressHold | null> {
  const rows = await db
    .selectFrom('address_holds')
    .select(['at', 'until', 'last_address_id', 'reason'])
    .where('until', '>', now)
    .orderBy('id')
    .execute();
  const newest = rows.at(-1);
  if (newest === undefined) return null;
  return {
    lastAddressId: Math.max(...rows.map((row) => row.last_address_id)),
    at: Math.min(...rows.map((row) => row.at)),
    until: Math.max(...rows.map((row) => row.until)),
    reason: newest.reason,
  };
}

/** Within another statement: up to which id addresses are held back at `now` (Unix ms); null: none is. */
export function heldBackUpTo(now: number) {
  return sql<number | null>`(select max(last_address_id) from address_holds where until > ${now})`;
}

/** Which addresses are in quarantine: what was let go after `releasedAfter` (Unix ms; null: whenever), and what is held back. */
export async function readQuarantine<T extends number | null>(
  db: Db,
  releasedAfter: T,
  now: number,
): Promise<Quarantine & { releasedAfter: T }> {
  const hold = await readHold(db, now);
  return { releasedAfter, heldBackUpTo: hold?.lastAddressId ?? 0 };
}

/**
 * Lets nobody else give an address to a payment, or add one, until the transaction ends; waits for whoever is doing so. Comes
 * before anything that those hold as well.
 */
export async function lockAddressTable(trx: Trx): Promise<void> {
  if (isPostgres(trx)) await sql`lock table addresses in exclusive mode`.execute(trx);
}

/** Holds back every address that there is. Call {@link lockAddressTable} before. */
export async function addHold(
  trx: Trx,
  { at, until, reason }: { at: number; until: number; reason: string },
): Promise<{ lastAddressId: number }> {
  const lastAddressId = await readLastAddressId(trx);
  await trx
    .insertInto('address_holds')
    .values({ at, until, last_address_id: lastAddressId, reason })
    .execute();
  return { lastAddressId };
}

/** Whatever holds back addresses at `now` (Unix ms) holds back every one that there is. Call {@link lockAddressTable} before. */
export async function extendHolds(trx: Trx, now: number): Promise<void> {
  await trx
    .updateTable('address_holds')
    .set({ last_address_id: await readLastAddressId(trx) })
    .where('until', '>', now)
    .execute();
}

async function readLastAddressId(trx: Trx): Promise<number> {
  const last = await trx
    .selectFrom('addresses')
    .select('id')
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirst();
  return last?.id ?? 0;
}

/** @returns how many were ended. */
export async function endHolds(trx: Trx, now: number): Promise<number> {
  const result = await trx
    .updateTable('address_holds')
    .set({ until: now })
    .where('until', '>', now)
    .executeTakeFirst();
  return Number(result.numUpdatedRows);
}

/** The hold that keeps an address from payments like these; null where no address of the pool is kept by one. */
export async function findHoldOf(db: Db, pool: PoolKey, now: number): Promise<AddressHold | null> {
  const hold = await readHold(db, now);
  if (hold === null) return null;
  const row = await db
    .selectFrom('addresses')
    .select('id')
    .where('merchant_id', '=', pool.merchantId)
    .where('network', '=', pool.network)
    .where('currency', 'in', [pool.currency ?? '', ''])
    .where('active', '=', sql.lit(1))
    .where('locked_by', 'is', null)
    .where('id', '<=', hold.lastAddressId)
    .limit(1)
    .executeTakeFirst();
  return row === undefined ? null : hold;
}
