import type { Clock } from '../clock.ts';
import { inTransaction, serializeInserts } from '../storage/database.ts';
import { recordAudit } from '../storage/operators/audit.ts';
import { findAddressById, restoreAddress, retireAddress } from '../storage/pool/retire.ts';
import type { Db } from '../storage/schema.ts';

/**
 * Retires an address, or makes it active again. A payment that holds it is finished in either case, and a
 * transfer to it is still seen for some time, see `watchers/watchlist.ts`. Repeating it changes nothing.
 *
 * @returns false when the merchant has no such address.
 */
export async function setRetired(
  { db, clock }: { db: Db; clock: Clock },
  change: { merchantId: string; addressId: number; retired: boolean; actor: string },
): Promise<boolean> {
  const { merchantId, addressId, retired, actor } = change;
  return inTransaction(db, async (trx) => {
    await serializeInserts(trx, 'addresses');
    const address = await findAddressById(trx, merchantId, addressId);
    if (address === null) return false;
    const at = clock();
    const changed = retired
      ? await retireAddress(trx, merchantId, addressId)
      : await restoreAddress(trx, merchantId, addressId, at);
    if (!changed) return true;
    await recordAudit(trx, {
      at,
      actor,
      action: retired ? 'address.retired' : 'address.restored',
      subject: merchantId,
      detail: { network: address.network, address: address.address },
    });
    return true;
  });
}
