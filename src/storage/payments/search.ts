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

/** `merchantId` null: of all merchants, each by the index. */
export async function findByOrder(db: Db, merchantId: string | null, order: string): Promise<number[]> {
  const whose = merchantId === null ? db.selectFrom('merchants').select('id') : [merchantId];
  const rows = await db
    .selectFrom('payments')
    .select('id')
    .where('merchant_id', 'in', whose)
    .where('external_order_id', '=', order)
    .orderBy('created_at', 'desc')
    .orderBy('id', 'desc')
    .limit(most)
    .execute();
  return rows.map((row) => row.id);
}

/** An amount of a coin, in its base units. */
export type CoinAmount = { currency: Currency; decimals: number; amount: bigint };

/** Of a price in dollars; `merchantId` null: of all merchants. */
export async function findByUsd(db: Db, merchantId: string | null, usdCents: number): Promise<number[]> {
  const asked = db
    .selectFrom('payments')
    .select(['id', 'merchant_id', 'created_at'])
    .where('amount_usd_cents', '=', usdCents);
  return latestOf(merchantId, asked, ['payments.created_at', 'payments.id']);
}

/** That asked for an amount, or to which it was sent. */
export async function findByCoinAmount(
  db: Db,
  merchantId: string | null,
  { currency, decimals, amount }: CoinAmount,
): Promise<number[]> {
  const text = amount.toString();
  const asked = db
    .selectFrom('payments')
    .select(['id', 'merchant_id', 'created_at'])
    .where('currency', '=', currency)
    .where('expected_amount', '=', text)
    .where('decimals', '=', decimals);
  const sent = db
    .selectFrom('deposits')
    .select(['payment_id as id', 'merchant_id', 'seen_at as created_at'])
    .where('currency', '=', currency)
    .where('amount', '=', text)
    .where('decimals', '=', decimals)
    .where('payment_id', 'is not', null);
  return [
    ...(await latestOf(merchantId, asked, ['payments.created_at', 'payments.id'])),
    ...(await latestOf(merchantId, sent, ['deposits.id'])),
  ];
}

type Row = { id: number | null; merchant_id: string | null; created_at: number };
type Matching = SelectQueryBuilder<Schema, 'payments' | 'deposits', Row>;

/**
 * The latest in the order of these columns. Each merchant's are found by the index, and so is the next merchant: an operator, who
 * asks for those of all, waits for two short reads for each merchant that has such an amount.
 */
async function latestOf(
  merchantId: string | null,
  matching: Matching,
  order: readonly ('payments.created_at' | 'payments.id' | 'deposits.id')[],
): Promise<number[]> {
  const newestFirst = order.reduce((query, column) => query.orderBy(column, 'desc'), matching).limit(most);
  const latest = (merchant: string) => newestFirst.where('merchant_id', '=', merchant).execute();
  if (merchantId !== null) return idsOf(await latest(merchantId));
  let rows: Row[] = [];
  for (let last = ''; ; ) {
    const next = await matching
      .where('merchant_id', '>', last)
      .orderBy('merchant_id')
      .limit(1)
      .executeTakeFirst();
    if (next === undefined || next.merchant_id === null) break;
    last = next.merchant_id;
    const all = [...rows, ...(await latest(last))];
    rows = all.toSorted((a, b) => b.created_at - a.created_at).slice(0, most);
  }
  return idsOf(rows);
}

function idsOf(rows: readonly Row[]): number[] {
  return rows.flatMap(({ id }) => id ?? []);
}
