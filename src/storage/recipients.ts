import type { Address, AddressKey } from '../core/address.ts';
import type { Network } from '../core/networks.ts';
import type { Db } from './schema.ts';

/** An address somebody may have paid to, as its merchant listed it. */
export type Recipient = { id: number; merchantId: string; network: Network; address: Address };

/** The address with this key on each network where it is listed, active or not. */
export async function findRecipients(db: Db, key: AddressKey): Promise<Recipient[]> {
  const rows = await db
    .selectFrom('addresses')
    .select(['id', 'merchant_id', 'network', 'address'])
    .where('address_key', '=', key)
    .orderBy('id')
    .execute();
  return rows.map((row) => ({
    id: row.id,
    merchantId: row.merchant_id,
    network: row.network as Network,
    address: row.address as Address,
  }));
}
