import { nativeCoin } from '../core/assets.ts';
import type { Transfer } from '../core/chain.ts';
import { InvariantError } from '../errors.ts';
import { findPaymentById } from '../storage/payments/payments.ts';
import { findRecipients } from '../storage/pool/recipients.ts';
import type { Trx } from '../storage/schema.ts';
import { appendEvent } from '../storage/webhooks/events.ts';
import { unmatchedEventBody } from './event-body.ts';
import type { Recorded } from './record.ts';
import { announcePayment, type SettleContext } from './settle.ts';

/**
 * Tells the merchant what was recorded, by what is known of the payments now. Several transfers to one payment would
 * be told in the very same words: whoever sends it a thousand grains of dust must not cause a thousand long events.
 */
export async function announceAll(
  trx: Trx,
  all: readonly Recorded[],
  context: Pick<SettleContext, 'publicUrl' | 'now'>,
): Promise<void> {
  const told = new Set<string>();
  for (const recorded of all) {
    const { event, paymentId } = recorded;
    const what = `${event} ${paymentId}`;
    if (paymentId !== null && told.has(what)) continue;
    told.add(what);
    await announceRecorded(trx, recorded, context);
  }
}

async function announceRecorded(
  trx: Trx,
  { deposit, paymentId, expectedId, event }: Recorded,
  { publicUrl, now }: Pick<SettleContext, 'publicUrl' | 'now'>,
): Promise<void> {
  if (event === null) return;
  if (paymentId !== null) {
    return announcePayment(trx, await findPaymentById(trx, paymentId), event, publicUrl, now);
  }
  const recipients = await findRecipients(trx, deposit.recipient);
  const address = recipients.find((recipient) => recipient.id === deposit.addressId);
  if (address === undefined) throw new InvariantError('a deposit at an address that nobody listed');
  const expected = expectedId === null ? null : await findPaymentById(trx, expectedId);
  await appendEvent(trx, {
    merchantId: deposit.merchantId,
    type: event,
    paymentId: null,
    body: unmatchedEventBody(deposit, coinOf(deposit), address.address, expected),
    at: now,
  });
}

function coinOf(transfer: Pick<Transfer, 'network' | 'currency'>): string {
  return transfer.currency === 'native' ? nativeCoin[transfer.network].coin : transfer.currency;
}
