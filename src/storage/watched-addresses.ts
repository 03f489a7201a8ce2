import type { AddressKey } from '../core/address.ts';
import type { Network } from '../core/networks.ts';
import type { Db } from './schema.ts';

/** Addresses of `networks` with an id above `afterId`, in the order of their ids, at most `limit`. */
export async function listWatchedAddresses(
  db: Db,
  networks: readonly Network[],
  afterId: number,
  limit: number,
): Promise<{ id: number; key: AddressKey }[]> {
  const rows = await db
    .selectFrom('addresses')
    .select(['id', 'address_key'])
    .where('id', '>', afterId)
    .where('network', 'in', networks)
    .orderBy('id')
    .limit(limit)
    .execute();
  return rows.map((row) => ({ id: row.id, key: row.address_key as AddressKey }));
}
