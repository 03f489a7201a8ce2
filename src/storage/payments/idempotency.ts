import { sql } from 'kysely';
import { InvariantError } from '../../errors.ts';
import type { Db, Trx } from '../schema.ts';

/** How long an idempotency key is remembered, ms. */
const idempotencyLifeMs = 24 * 60 * 60 * 1000;

/** What was made with it, one of the two. */
type Made = { paymentId: number; checkoutSession?: never } | { checkoutSession: string; paymentId?: never };

export type RememberedKey = { fingerprint: string } & Made;

/** What a merchant's key stood for within the last 24 hours. */
export async function findIdempotencyKey(
  db: Db,
  merchantId: string,
  key: string,
  now: number,
): Promise<RememberedKey | null> {
  const row = await db
    .selectFrom('idempotency_keys')
    .select(['fingerprint', 'payment_id', 'checkout_session'])
    .where('merchant_id', '=', merchantId)
    .where('key', '=', key)
    .where('created_at', '>', now - idempotencyLifeMs)
    .executeTakeFirst();
  if (row === undefined) return null;
  const { fingerprint, payment_id: paymentId, checkout_session: checkoutSession } = row;
  if (paymentId !== null) return { fingerprint, paymentId };
  if (checkoutSession !== null) return { fingerprint, checkoutSession };
  throw new InvariantError('an idempotency key that stands for nothing');
}

/**
 * Remembers what a key stands for from now on. Only for a key found unused in the same transaction, after
 * `serializeByName`: one remembered longer ago is overwritten.
 */
export async function rememberIdempotencyKey(
  trx: Trx,
  remembered: { merchantId: string; key: string; at: number } & RememberedKey,
): Promise<void> {
  const values = keyColumns(remembered);
  await trx
    .insertInto('idempotency_keys')
    .values({ merchant_id: remembered.merchantId, key: remembered.key, ...values })
    .onConflict((conflict) => conflict.columns(['merchant_id', 'key']).doUpdateSet(values))
    .execute();
}

export function keyColumns(remembered: {
  fingerprint: string;
  at: number;
  paymentId?: number;
  checkoutSession?: string;
}) {
  return {
    fingerprint: remembered.fingerprint,
    payment_id: remembered.paymentId ?? null,
    checkout_session: remembered.checkoutSession ?? null,
    created_at: remembered.at,
  };
}

/** Deletes keys that are remembered no longer, up to `limit`; answers how many. */
export async function pruneIdempotencyKeys(trx: Trx, now: number, limit: number): Promise<number> {
  const result = await sql`
    delete from idempotency_keys where (merchant_id, key) in (
      select merchant_id, key from idempotency_keys
      where created_at <= ${now - idempotencyLifeMs} order by created_at limit ${limit}
    )`.execute(trx);
  return Number(result.numAffectedRows ?? 0);
}
