import type { Address, AddressKey } from '../../core/address.ts';
import type { BlockRef } from '../../core/chain.ts';
import { lockSlackMs } from '../../core/chain-time.ts';
import type { Network } from '../../core/networks.ts';
import type { Db } from '../schema.ts';

/** An address somebody may have paid to, as its merchant listed it. */
export type Recipient = {
  id: number;
  merchantId: string;
  network: Network;
  address: Address;
  /** Unix ms. */
  createdAt: number;
};

/** The address with this key on each network where it is listed, active or not. */
export async function findRecipients(db: Db, key: AddressKey): Promise<Recipient[]> {
  const rows = await db
    .selectFrom('addresses')
    .select(['id', 'merchant_id', 'network', 'address', 'created_at'])
    .where('address_key', '=', key)
    .orderBy('id')
    .execute();
  return rows.map((row) => ({
    id: row.id,
    merchantId: row.merchant_id,
    network: row.network as Network,
    address: row.address as Address,
    createdAt: row.created_at,
  }));
}

/** The last payment that was given an address before this block, whatever came of it; null when none was. */
export async function findHolderBefore(
  db: Db,
  addressId: number,
  block: Pick<BlockRef, 'time'>,
): Promise<number | null> {
  const row = await db
    .selectFrom('onchain_payments')
    .select('payment_id')
    .where('address_id', '=', addressId)
    .where('lock_chain_time', '<=', block.time * 1000 + lockSlackMs)
    .orderBy('payment_id', 'desc')
    .limit(1)
    .executeTakeFirst();
  return row?.payment_id ?? null;
}

/** Whether a payment held one of the addresses with this key at a time (Unix ms), or had let go of it not long before. */
export async function wasInUse(db: Db, key: AddressKey, at: number, latelyMs: number): Promise<boolean> {
  const row = await db
    .selectFrom('addresses')
    .innerJoin('onchain_payments', 'onchain_payments.address_id', 'addresses.id')
    .innerJoin('payments', 'payments.id', 'onchain_payments.payment_id')
    .select('payments.id')
    .where('addresses.address_key', '=', key)
    .where('payments.created_at', '<=', at)
    .where((eb) =>
      eb.or([
        eb('onchain_payments.released_at', 'is', null),
        eb('onchain_payments.released_at', '>', at - latelyMs),
      ]),
    )
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}
