import type { AddressKey } from '../../core/address.ts';
import type { Network } from '../../core/networks.ts';
import type { Db } from '../schema.ts';

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
