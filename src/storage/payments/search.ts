import type { SelectQueryBuilder } from 'kysely';
import type { AddressKey } from '../../core/address.ts';
import type { Currency } from '../../core/assets.ts';
import type { Network } from '../../core/networks.ts';
import type { Db, Schema } from '../schema.ts';

/** At most so many payments of one address or order: who searches looks at the latest. */
const most = 50;

/** Ids of the latest payments that used an address, newest first. */
export async function findByAddress(db: Db, keys: readonly AddressKey[]): Promise<number[]> {
  if (keys.length === 0) return [];
  const rows = await db
    .selectFrom('addresses')
    .innerJoin('onchain_payments', 'onchain_payments.address_id', 'addresses.id')
    .select('onchain_payments.payment_id')
    .where('addresses.address_key', 'in', keys)
    .orderBy('onchain_payments.payment_id', 'desc')
    .limit(most)
    .execute();
  return rows.map((row) => row.payment_id);
}

/** Of a transaction, on whichever of these chains. */
export async function findByTransaction(
  db: Db,
  networks: readonly Network[],
  hashes: readonly string[],
): Promise<number[]> {
  const rows = await db
    .selectFrom('deposits')
    .select('payment_id')
    .distinct()
    .where('network', 'in', networks)
    .where('tx_hash', 'in', hashes)
    .where('payment_id', 'is not', null)
    .limit(most)
    .execute();
  return rows.flatMap((row) => row.payment_id ?? []);
}

export async function findByOrder(db: Db, merchantIds: readonly string[], order: string): Promise<number[]> {
  if (merchantIds.length === 0) return [];
  const rows = await db
    .selectFrom('payments')
    .select('id')
    .where('merchant_id', 'in', merchantIds)
    .where('external_order_id', '=', order)
    .orderBy('created_at', 'desc')
    .orderBy('id', 'desc')
    .limit(most)
    .execute();
  return rows.map((row) => row.id);
}

/** An amount of a coin, in its base units. */
export type CoinAmount = { currency: Currency; decimals: number; amount: bigint };

/** Of a price in dollars. */
export async function findByUsd(db: Db, merchantIds: readonly string[], usdCents: number): Promise<number[]> {
  return latestOf(
    db,
    merchantIds.map((merchantId) =>
      db
        .selectFrom('payments')
        .select(['id', 'created_at'])
        .where('merchant_id', '=', merchantId)
        .where('amount_usd_cents', '=', usdCents)
        .orderBy('created_at', 'desc')
        .orderBy('id', 'desc')
        .limit(most),
    ),
  );
}

/** That asked for one of these amounts, or to which one was sent. */
export async function findByCoinAmount(
  db: Db,
  merchantIds: readonly string[],
  amounts: readonly CoinAmount[],
): Promise<number[]> {
  const wanted = merchantIds.flatMap((merchantId) => amounts.map((one) => ({ ...one, merchantId })));
  const asked = await latestOf(
    db,
    wanted.map(({ merchantId, currency, decimals, amount }) =>
      db
        .selectFrom('payments')
        .select(['id', 'created_at'])
        .where('merchant_id', '=', merchantId)
        .where('currency', '=', currency)
        .where('expected_amount', '=', amount.toString())
        .where('decimals', '=', decimals)
        .orderBy('created_at', 'desc')
        .orderBy('id', 'desc')
        .limit(most),
    ),
  );
  const sent = await latestOf(
    db,
    wanted.map(({ merchantId, currency, decimals, amount }) =>
      db
        .selectFrom('deposits')
        .select(['payment_id as id', 'seen_at as created_at'])
        .where('merchant_id', '=', merchantId)
        .where('currency', '=', currency)
        .where('amount', '=', amount.toString())
        .where('decimals', '=', decimals)
        .where('payment_id', 'is not', null)
        .orderBy('deposits.id', 'desc')
        .limit(most),
    ),
  );
  return [...asked, ...sent];
}

type Latest = SelectQueryBuilder<Schema, 'payments' | 'deposits', { id: number | null; created_at: number }>;

/** Lists asked for in one query: SQLite takes 500 at most. */
const together = 100;

/** Each list is walked along its own index: one amount may be that of every payment there is. */
async function latestOf(db: Db, lists: readonly Latest[]): Promise<number[]> {
  const found: { id: number; at: number }[] = [];
  for (let begin = 0; begin < lists.length; begin += together) {
    const [first, ...others] = lists
      .slice(begin, begin + together)
      .map((list) => db.selectFrom(list.as('latest')).select(['latest.id', 'latest.created_at']));
    if (first === undefined) continue;
    const rows = await others.reduce((all, list) => all.unionAll(list), first).execute();
    found.push(...rows.flatMap(({ id, created_at }) => (id === null ? [] : [{ id, at: created_at }])));
  }
  return found
    .toSorted((a, b) => b.at - a.at || b.id - a.id)
    .slice(0, most)
    .map(({ id }) => id);
}
