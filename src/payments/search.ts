import { type Address, parseAddress } from '../core/address.ts';
import { chainFamilies, type Network } from '../core/networks.ts';
import type { PaymentView } from '../core/payment.ts';
import { listMerchants } from '../storage/operators/merchants.ts';
import { findPaymentId } from '../storage/payments/numbers.ts';
import { findByAddress, findByOrder, findByTransaction } from '../storage/payments/search.ts';
import { viewsById } from '../storage/payments/views.ts';
import type { Db } from '../storage/schema.ts';

/**
 * The latest payments that a text names, newest first: by their number, an address, a transaction or an order id. Whatever
 * it looks like, it may also be an order id: those are the shop's own. `merchantId`: of this one alone.
 */
export async function searchPayments(
  db: Db,
  networks: readonly string[],
  text: string,
  merchantId: string | null,
): Promise<PaymentView[]> {
  const wanted = text.trim();
  const ids = new Set<number>();
  const number = await findPaymentId(db, wanted.toUpperCase());
  if (number !== null) ids.add(number);
  const keys = chainFamilies.flatMap((family) => {
    const parsed = parseAddress(family, wanted as Address);
    return 'key' in parsed ? [parsed.key] : [];
  });
  for (const id of await findByAddress(db, keys)) ids.add(id);
  const hex = /^(?:0x)?([0-9a-f]{64})$/i.exec(wanted)?.[1]?.toLowerCase();
  if (hex !== undefined) {
    const hashes = [hex, `0x${hex}`];
    for (const id of await findByTransaction(db, networks as readonly Network[], hashes)) ids.add(id);
  }
  const merchants = merchantId === null ? (await listMerchants(db)).map(({ id }) => id) : [merchantId];
  for (const id of await findByOrder(db, merchants, wanted)) ids.add(id);
  const views = [...(await viewsById(db, [...ids])).values()];
  return views
    .filter(({ payment }) => merchantId === null || payment.merchantId === merchantId)
    .toSorted((a, b) => b.payment.createdAt - a.payment.createdAt || b.payment.id - a.payment.id)
    .slice(0, 50);
}
