import { createHash, randomBytes } from 'node:crypto';
import type { Db, Schema, Trx } from '../schema.ts';

export type Merchant = {
  id: string;
  name: string;
  createdAt: number;
  /** When it was taken out of use; null: it is in use. */
  removedAt: number | null;
};

/** An API key as it may be shown again: never the key itself. */
export type ApiKey = {
  id: string;
  merchantId: string;
  /** The first characters, for people to recognise it by. */
  prefix: string;
  createdAt: number;
  revokedAt: number | null;
};

/** How much of a key is kept readable: `pk_` and 8 of its 64 hex digits. */
const prefixLength = 11;

/** What is stored of a key and looked up. A fast hash suffices: a key is 256 random bits, not a password. */
export function hashApiKey(key: string): string {
  return createHash('sha256').update(key).digest('hex');
}

export async function addMerchant(trx: Trx, merchant: { name: string; at: number }): Promise<Merchant> {
  const id = `mer_${randomBytes(8).toString('hex')}`;
  const row = { id, name: merchant.name, created_at: merchant.at, removed_at: null };
  await trx.insertInto('merchants').values(row).execute();
  return toMerchant(row);
}

export async function getMerchant(db: Db, id: string): Promise<Merchant | null> {
  const row = await db
    .selectFrom('merchants')
    .select(merchantColumns)
    .where('id', '=', id)
    .executeTakeFirst();
  return row === undefined ? null : toMerchant(row);
}

/** Oldest first, removed ones included. */
export async function listMerchants(db: Db, part?: { offset: number; limit: number }): Promise<Merchant[]> {
  const all = db.selectFrom('merchants').select(merchantColumns).orderBy('created_at').orderBy('id');
  const rows = await (part === undefined ? all : all.limit(part.limit).offset(part.offset)).execute();
  return rows.map(toMerchant);
}

/** The oldest merchant in use that has this name. */
export async function findNamesake(db: Db, name: string): Promise<Merchant | null> {
  const row = await db
    .selectFrom('merchants')
    .select(merchantColumns)
    .where('name', '=', name)
    .where('removed_at', 'is', null)
    .orderBy('created_at')
    .orderBy('id')
    .limit(1)
    .executeTakeFirst();
  return row === undefined ? null : toMerchant(row);
}

/** Null when there is no such merchant, or it is removed already. */
export async function markMerchantRemoved(trx: Trx, id: string, at: number): Promise<Merchant | null> {
  const row = await trx
    .updateTable('merchants')
    .set({ removed_at: at })
    .where('id', '=', id)
    .where('removed_at', 'is', null)
    .returning(merchantColumns)
    .executeTakeFirst();
  return row === undefined ? null : toMerchant(row);
}

/** What a merchant has besides keys, of addresses and endpoints those in use. Named as the audit log names it. */
export type Belongings = { payments: number; addresses: number; derived_pools: number; endpoints: number };

export async function countBelongings(db: Db, merchantId: string): Promise<Belongings> {
  const one = await db
    .selectNoFrom((eb) => {
      const of = (table: 'payments' | 'addresses' | 'derived_pools' | 'webhook_endpoints') =>
        eb.selectFrom(table).select(eb.fn.countAll<number>().as('n')).where('merchant_id', '=', merchantId);
      return [
        of('payments').as('payments'),
        of('addresses').where('active', '=', 1).as('addresses'),
        of('derived_pools').where('removed_at', 'is', null).as('derived_pools'),
        of('webhook_endpoints').where('deleted_at', 'is', null).as('endpoints'),
      ];
    })
    .executeTakeFirstOrThrow();
  return {
    payments: Number(one.payments),
    addresses: Number(one.addresses),
    derived_pools: Number(one.derived_pools),
    endpoints: Number(one.endpoints),
  };
}

/** Payments for which money may still come in time: pending ones, and those that were reverted and are open again. */
export async function countOpenPayments(db: Db, merchantId: string): Promise<number> {
  const { n } = await db
    .selectFrom('payments')
    .leftJoin('onchain_payments', 'onchain_payments.payment_id', 'payments.id')
    .select((eb) => eb.fn.countAll<number>().as('n'))
    .where('payments.merchant_id', '=', merchantId)
    .where((eb) => eb.or([eb('payments.status', '=', 'pending'), eb('onchain_payments.reopened', '=', 1)]))
    .executeTakeFirstOrThrow();
  return Number(n);
}

/** @returns how many were live. */
export async function revokeKeysOf(trx: Trx, merchantId: string, at: number): Promise<number> {
  const result = await trx
    .updateTable('api_keys')
    .set({ revoked_at: at })
    .where('merchant_id', '=', merchantId)
    .where('revoked_at', 'is', null)
    .executeTakeFirst();
  return Number(result.numUpdatedRows);
}

/** Makes a key. `secret` is the key itself and exists only in this answer. */
export async function addApiKey(
  trx: Trx,
  key: { merchantId: string; at: number },
): Promise<{ apiKey: ApiKey; secret: string }> {
  const secret = `pk_${randomBytes(32).toString('hex')}`;
  const row = {
    id: `key_${randomBytes(8).toString('hex')}`,
    merchant_id: key.merchantId,
    prefix: secret.slice(0, prefixLength),
    created_at: key.at,
    revoked_at: null,
  };
  await trx
    .insertInto('api_keys')
    .values({ ...row, hash: hashApiKey(secret) })
    .execute();
  return { apiKey: toApiKey(row), secret };
}

/** The key with this hash, unless it was revoked. */
export async function findMerchantByKeyHash(
  db: Db,
  hash: string,
): Promise<{ merchantId: string; keyId: string } | null> {
  const row = await db
    .selectFrom('api_keys')
    .select(['id', 'merchant_id'])
    .where('hash', '=', hash)
    .where('revoked_at', 'is', null)
    .executeTakeFirst();
  return row === undefined ? null : { merchantId: row.merchant_id, keyId: row.id };
}

/** Oldest first, revoked ones included. */
export async function listKeys(db: Db, merchantId: string): Promise<ApiKey[]> {
  const rows = await db
    .selectFrom('api_keys')
    .select(apiKeyColumns)
    .where('merchant_id', '=', merchantId)
    .orderBy('created_at')
    .orderBy('id')
    .execute();
  return rows.map(toApiKey);
}

/**
 * Revokes a key, if `merchantId` is given only when it is that merchant's. Null when there is no such key, or
 * it is revoked already.
 */
export async function revokeKey(
  trx: Trx,
  key: { id: string; merchantId?: string; at: number },
): Promise<ApiKey | null> {
  let query = trx
    .updateTable('api_keys')
    .set({ revoked_at: key.at })
    .where('id', '=', key.id)
    .where('revoked_at', 'is', null);
  if (key.merchantId !== undefined) query = query.where('merchant_id', '=', key.merchantId);
  const row = await query.returning(apiKeyColumns).executeTakeFirst();
  return row === undefined ? null : toApiKey(row);
}

const merchantColumns = ['id', 'name', 'created_at', 'removed_at'] as const;
const apiKeyColumns = ['id', 'merchant_id', 'prefix', 'created_at', 'revoked_at'] as const;

function toMerchant(row: Schema['merchants']): Merchant {
  return { id: row.id, name: row.name, createdAt: row.created_at, removedAt: row.removed_at };
}

function toApiKey(row: {
  id: string;
  merchant_id: string;
  prefix: string;
  created_at: number;
  revoked_at: number | null;
}): ApiKey {
  return {
    id: row.id,
    merchantId: row.merchant_id,
    prefix: row.prefix,
    createdAt: row.created_at,
    revokedAt: row.revoked_at,
  };
}
