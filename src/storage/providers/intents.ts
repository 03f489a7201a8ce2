import type { FiatCode } from '../../core/fiat.ts';
import type { Db, Trx } from '../schema.ts';

/** A payment that a provider was asked for, until it is one. */
export type StoredIntent = {
  id: number;
  merchantId: string;
  provider: string;
  idempotencyKey: string | null;
  fingerprint: string;
  reference: string;
  providerKey: string;
  amount: bigint;
  currency: FiatCode;
  createdAt: number;
  claimedUntil: number;
};

export async function findIntentByKey(db: Db, merchantId: string, key: string): Promise<StoredIntent | null> {
  const row = await db
    .selectFrom('provider_intents')
    .selectAll()
    .where('merchant_id', '=', merchantId)
    .where('idempotency_key', '=', key)
    .executeTakeFirst();
  return row === undefined ? null : toIntent(row);
}

export async function hasIntent(db: Db, reference: string): Promise<boolean> {
  const row = await db
    .selectFrom('provider_intents')
    .select('id')
    .where('reference', '=', reference)
    .executeTakeFirst();
  return row !== undefined;
}

export async function insertIntent(trx: Trx, intent: Omit<StoredIntent, 'id'>): Promise<StoredIntent> {
  const { id } = await trx
    .insertInto('provider_intents')
    .values({
      merchant_id: intent.merchantId,
      provider: intent.provider,
      idempotency_key: intent.idempotencyKey,
      fingerprint: intent.fingerprint,
      reference: intent.reference,
      provider_key: intent.providerKey,
      amount: intent.amount.toString(),
      currency: intent.currency,
      created_at: intent.createdAt,
      claimed_until: intent.claimedUntil,
    })
    .returning('id')
    .executeTakeFirstOrThrow();
  return { ...intent, id };
}

/** Says until when its answer is awaited; 0: by nobody any more. */
export async function claimIntent(trx: Trx, id: number, claimedUntil: number): Promise<void> {
  await trx
    .updateTable('provider_intents')
    .set({ claimed_until: claimedUntil })
    .where('id', '=', id)
    .execute();
}

export async function deleteIntent(trx: Trx, id: number): Promise<void> {
  await trx.deleteFrom('provider_intents').where('id', '=', id).execute();
}

/** Deletes those made before `before` (Unix ms), up to `limit`; answers how many. Nobody has their links. */
export async function pruneIntents(trx: Trx, before: number, limit: number): Promise<number> {
  const old = trx
    .selectFrom('provider_intents')
    .select('id')
    .where('created_at', '<', before)
    .orderBy('created_at')
    .limit(limit);
  const result = await trx.deleteFrom('provider_intents').where('id', 'in', old).executeTakeFirst();
  return Number(result.numDeletedRows);
}

function toIntent(row: {
  id: number;
  merchant_id: string;
  provider: string;
  idempotency_key: string | null;
  fingerprint: string;
  reference: string;
  provider_key: string;
  amount: string;
  currency: string;
  created_at: number;
  claimed_until: number;
}): StoredIntent {
  return {
    id: row.id,
    merchantId: row.merchant_id,
    provider: row.provider,
    idempotencyKey: row.idempotency_key,
    fingerprint: row.fingerprint,
    reference: row.reference,
    providerKey: row.provider_key,
    amount: BigInt(row.amount),
    currency: row.currency as FiatCode,
    createdAt: row.created_at,
    claimedUntil: row.claimed_until,
  };
}
