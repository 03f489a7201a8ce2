import { sql } from 'kysely';
import type { OnchainPayment } from '../../core/payment.ts';
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
  const lastAddressId = await lastIdOf(trx, 'addresses');
  const lastPaymentId = await lastIdOf(trx, 'payments');
  await trx
    .insertInto('address_holds')
    .values({ at, until, last_address_id: lastAddressId, last_payment_id: lastPaymentId, reason })
    .execute();
  return { lastAddressId };
}

/** Whatever holds back addresses at `now` (Unix ms) holds back every one that there is. Call {@link lockAddressTable} before. */
export async function extendHolds(trx: Trx, now: number): Promise<void> {
  await trx
    .updateTable('address_holds')
    .set({ last_address_id: await lastIdOf(trx, 'addresses') })
    .where('until', '>', now)
    .execute();
}

async function lastIdOf(trx: Trx, table: 'addresses' | 'payments'): Promise<number> {
  const last = await trx.selectFrom(table).select('id').orderBy('id', 'desc').limit(1).executeTakeFirst();
  return last?.id ?? 0;
}

/** How many of the newest payments tell how long one could be paid. */
const newestPayments = 1_000;

/** The longest time that one of the newest payments had from its beginning to its end, ms. */
export async function longestLifetimeMs(db: Db): Promise<number> {
  const lifetimes = db
    .selectFrom('onchain_payments')
    .innerJoin('payments', 'payments.id', 'onchain_payments.payment_id')
    .select((eb) => eb('payments.expires_at', '-', eb.ref('payments.created_at')).as('lifetime'))
    .orderBy('onchain_payments.payment_id', 'desc')
    .limit(newestPayments)
    .as('newest');
  const row = await db
    .selectFrom(lifetimes)
    .select((eb) => eb.fn.max('lifetime').as('longest'))
    .executeTakeFirst();
  return row?.longest ?? 0;
}

/** Makes those that last as if they had never been: nothing was lost. @returns how many they were. */
export async function voidHolds(trx: Trx, now: number): Promise<number> {
  const result = await trx
    .updateTable('address_holds')
    .set({ until: 0 })
    .where('until', '>', now)
    .executeTakeFirst();
  return Number(result.numUpdatedRows);
}

/**
 * Whether a payment that was lost may have been given the address after this one: then what comes there, past this one's own time,
 * may be somebody else's money.
 */
export async function mayHaveBeenGivenSince(
  db: Db,
  { id, addressId }: Pick<OnchainPayment, 'id' | 'addressId'>,
): Promise<boolean> {
  const row = await db
    .selectFrom('address_holds')
    .select('id')
    .where('last_payment_id', '>=', id)
    .where('last_address_id', '>=', addressId)
    .where('until', '>', 0)
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
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
