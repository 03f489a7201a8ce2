import type { Network } from '../../core/networks.ts';
import type { Trx } from '../schema.ts';

/**
 * Retires a merchant's address: no further payment gets it. One that holds it goes on.
 *
 * @returns false when it was retired already, or is not the merchant's.
 */
export async function retireAddress(trx: Trx, merchantId: string, addressId: number): Promise<boolean> {
  return setActive(trx, merchantId, addressId, 0);
}

/** Retires all addresses of a merchant; see {@link retireAddress}. */
export async function retireAddressesOf(trx: Trx, merchantId: string): Promise<void> {
  await trx
    .updateTable('addresses')
    .set({ active: 0 })
    .where('merchant_id', '=', merchantId)
    .where('active', '=', 1)
    .execute();
}

/**
 * Makes a retired address active again; watchlists take it in again. Call `serializeInserts` for addresses before.
 *
 * @returns false when it was active already, or is not the merchant's.
 */
export async function restoreAddress(
  trx: Trx,
  merchantId: string,
  addressId: number,
  at: number,
): Promise<boolean> {
  if (!(await setActive(trx, merchantId, addressId, 1))) return false;
  await trx.insertInto('address_returns').values({ address_id: addressId, at }).execute();
  return true;
}

/** An address of a merchant by its id. */
export async function findAddressById(
  trx: Trx,
  merchantId: string,
  addressId: number,
): Promise<{ network: Network; address: string; active: boolean } | null> {
  const row = await trx
    .selectFrom('addresses')
    .select(['network', 'address', 'active'])
    .where('id', '=', addressId)
    .where('merchant_id', '=', merchantId)
    .executeTakeFirst();
  if (row === undefined) return null;
  return { network: row.network as Network, address: row.address, active: row.active === 1 };
}

async function setActive(trx: Trx, merchantId: string, addressId: number, active: 0 | 1): Promise<boolean> {
  const result = await trx
    .updateTable('addresses')
    .set({ active })
    .where('id', '=', addressId)
    .where('merchant_id', '=', merchantId)
    .where('active', '=', 1 - active)
    .executeTakeFirst();
  return result.numUpdatedRows === 1n;
}
