import { sql } from 'kysely';
import { isPostgres } from '../database.ts';
import type { Db, Trx } from '../schema.ts';

/*
 * Which payments of a provider are asked about next. A claim moves the time of the next fetch on: a process that dies
 * leaves its payments to be asked about again a little later.
 */

export type DuePayment = { paymentId: number; fetches: number };

/** Up to `limit` whose time has come, the longest waiting first; nobody else gets them before `leaseUntil`. */
export async function claimDueFetches(
  trx: Trx,
  provider: string,
  { now, leaseUntil, limit }: { now: number; leaseUntil: number; limit: number },
): Promise<DuePayment[]> {
  let query = trx
    .selectFrom('provider_payments')
    .select(['payment_id', 'fetches'])
    .where('provider', '=', provider)
    .where('next_fetch_at', '<=', now)
    .orderBy('next_fetch_at')
    .limit(limit);
  if (isPostgres(trx)) query = query.forUpdate().skipLocked();
  const rows = await query.execute();
  if (rows.length === 0) return [];
  await trx
    .updateTable('provider_payments')
    .set({ next_fetch_at: leaseUntil })
    .where(
      'payment_id',
      'in',
      rows.map((row) => row.payment_id),
    )
    .execute();
  return rows.map((row) => ({ paymentId: row.payment_id, fetches: row.fetches }));
}

/** When the next payment of a provider is due, Unix ms; null when none is waited for. */
export async function nextFetchAt(db: Db, provider: string): Promise<number | null> {
  const row = await db
    .selectFrom('provider_payments')
    .select((eb) => eb.fn.min('next_fetch_at').as('next'))
    .where('provider', '=', provider)
    .where('next_fetch_at', 'is not', null)
    .executeTakeFirst();
  return row?.next ?? null;
}

/**
 * Since when the open payment that was asked about longest ago has had no answer, Unix ms: of one that never had any, since
 * it was made. Null when none is waited for.
 */
export async function oldestAnswerAt(db: Db, provider: string): Promise<number | null> {
  const row = await db
    .selectFrom('provider_payments')
    .innerJoin('payments', 'payments.id', 'provider_payments.payment_id')
    .select((eb) =>
      eb.fn.min(eb.fn.coalesce('provider_payments.fetched_at', 'payments.created_at')).as('oldest'),
    )
    .where('provider_payments.provider', '=', provider)
    .where('provider_payments.next_fetch_at', 'is not', null)
    .executeTakeFirst();
  return row?.oldest ?? null;
}

/** What one fetch leaves: when the next is, null for never; and why its answer was not taken. */
export async function noteFetch(
  trx: Trx,
  paymentId: number,
  note: { fetches: number; nextAt: number | null; fetchedAt: number | null; mismatch: string | null },
): Promise<void> {
  await trx
    .updateTable('provider_payments')
    .set({
      fetches: note.fetches,
      next_fetch_at: note.nextAt,
      mismatch: note.mismatch,
      ...(note.fetchedAt === null ? {} : { fetched_at: note.fetchedAt }),
    })
    .where('payment_id', '=', paymentId)
    .execute();
}

/** Somebody says that there is news: it is asked about at once, and again at the pace of a new payment. */
export async function hastenFetch(trx: Trx, paymentId: number, now: number): Promise<void> {
  await trx
    .updateTable('provider_payments')
    .set({ next_fetch_at: now, fetches: 0 })
    .where('payment_id', '=', paymentId)
    .execute();
}

/** The same on a word that cannot be verified: once in `everyMs`, and the pace stays. Answers whether it was heard. */
export async function hastenUnverified(
  trx: Trx,
  paymentId: number,
  { now, everyMs }: { now: number; everyMs: number },
): Promise<boolean> {
  const result = await trx
    .updateTable('provider_payments')
    .set({ next_fetch_at: now, unverified_at: now })
    .where('payment_id', '=', paymentId)
    .where(sql<boolean>`coalesce(unverified_at, 0) <= ${now - everyMs}`)
    .executeTakeFirst();
  return result.numUpdatedRows === 1n;
}
