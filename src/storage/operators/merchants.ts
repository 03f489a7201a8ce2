import { createHash, randomBytes } from 'node:crypto';
import type { Db, Trx } from '../schema.ts';

export type Merchant = { id: string; name: string; createdAt: number };

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
  const row = { id: `mer_${randomBytes(8).toString('hex')}`, name: merchant.name, created_at: merchant.at };
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

/** Oldest first. */
export async function listMerchants(db: Db): Promise<Merchant[]> {
  const rows = await db
    .selectFrom('merchants')
    .select(merchantColumns)
    .orderBy('created_at')
    .orderBy('id')
    .execute();
  return rows.map(toMerchant);
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

const merchantColumns = ['id', 'name', 'created_at'] as const;
const apiKeyColumns = ['id', 'merchant_id', 'prefix', 'created_at', 'revoked_at'] as const;

function toMerchant(row: { id: string; name: string; created_at: number }): Merchant {
  return { id: row.id, name: row.name, createdAt: row.created_at };
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
