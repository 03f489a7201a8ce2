import { sql } from 'kysely';
import type { OnchainPayment } from '../../core/payment.ts';
import type { PoolKey, Quarantine } from '../../core/pool.ts';
import { isPostgres } from '../database.ts';
import type { Db, Trx } from '../schema.ts';

/*
 * When a database has lost its last payments, their customers still have the addresses of these. While a hold lasts, no payment
 * is given an address that existed when it began.
 */

/** What all holds that last now hold back together. Times are Unix ms. */
export type AddressHold = {
  /** Addresses with an id up to this one are held back. */
  lastAddressId: number;
  /** When the first of the holds began. */
  at: number;
  /** When the last of them ends. */
  until: number;
  /** Why: what the newest of them says. */
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

/** For use within another statement: the highest id that is held back at `now` (Unix ms), or null. */
export function heldBackUpTo(now: number) {
  return sql<number | null>`(select max(last_address_id) from address_holds where until > ${now})`;
}

/** Which addresses are in quarantine: those let go after `releasedAfter` (Unix ms; null: none because of that), and those held back. */
export async function readQuarantine<T extends number | null>(
  db: Db,
  releasedAfter: T,
  now: number,
): Promise<Quarantine & { releasedAfter: T }> {
  const hold = await readHold(db, now);
  return { releasedAfter, heldBackUpTo: hold?.lastAddressId ?? 0 };
}

/**
 * Until the transaction ends nobody else can give an address to a payment, or add one. Waits for transactions that are doing so.
 * Call it before the transaction locks anything else that those lock too, or they wait for each other.
 */
export async function lockAddressTable(trx: Trx): Promise<void> {
  if (isPostgres(trx)) await sql`lock table addresses in exclusive mode`.execute(trx);
}

/** Holds back every address that exists. Call {@link lockAddressTable} before. */
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

/** Extends the holds that last at `now` (Unix ms) over every address that exists by now. Call {@link lockAddressTable} before. */
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

/** So many of the newest payments are looked at for how long a payment could be paid. */
const newestPayments = 1_000;

/** The longest lifetime among the newest payments, ms; 0 where there are none. */
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

/** Voids the holds that last at `now`: from then on they count as if they had never been, because nothing was lost. @returns how many. */
export async function voidHolds(trx: Trx, now: number): Promise<number> {
  const result = await trx
    .updateTable('address_holds')
    .set({ until: 0 })
    .where('until', '>', now)
    .executeTakeFirst();
  return Number(result.numUpdatedRows);
}

/**
 * Whether a lost payment may have been given the address after this payment. Money that comes there after this payment's own time may
 * then be that other customer's.
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

/** What is held back, where that includes a free address of this pool; null where a hold is not why the pool has none. */
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
