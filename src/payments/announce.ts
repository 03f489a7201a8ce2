import type { ChainConfig } from '../config.ts';
import type { Deposit } from '../core/payment.ts';
import { InvariantError } from '../errors.ts';
import { unmatchedEventBody } from '../present/event-body.ts';
import { findPaymentById } from '../storage/payments/payments.ts';
import { findRecipients } from '../storage/pool/recipients.ts';
import type { Trx } from '../storage/schema.ts';
import { appendEvent } from '../storage/webhooks/events.ts';
import type { Recorded } from './arrivals.ts';
import { announcePayment, type SettleContext } from './settle.ts';

export type AnnounceContext = Pick<SettleContext, 'now'> & {
  /** The chain that what was recorded is on. */
  chain: Pick<ChainConfig, 'name' | 'native' | 'livemode'>;
};

/** Unmatched deposits of one merchant that are told one by one. What else came at the same time is told in one event. */
const mostUnmatched = 50;

/**
 * Tells the merchant what was recorded, by what is known of the payments now. Several transfers to one payment would
 * be told in the very same words: whoever sends a thousand grains of dust must not cause a thousand events.
 */
export async function announceAll(
  trx: Trx,
  all: readonly Recorded[],
  context: AnnounceContext,
): Promise<void> {
  const told = new Set<string>();
  for (const { event, paymentId } of all) {
    if (event === null || paymentId === null || told.has(`${event} ${paymentId}`)) continue;
    told.add(`${event} ${paymentId}`);
    await announcePayment(trx, await findPaymentById(trx, paymentId), event, context.now);
  }
  const unmatched = all.filter(({ event, paymentId }) => event !== null && paymentId === null);
  for (const ofOne of Map.groupBy(unmatched, ({ deposit }) => deposit.merchantId).values()) {
    await announceUnmatched(trx, ofOne, context);
  }
}

/** The largest by themselves, in the order in which they came; all others together. */
async function announceUnmatched(
  trx: Trx,
  unmatched: readonly Recorded[],
  context: AnnounceContext,
): Promise<void> {
  if (unmatched.length <= mostUnmatched) {
    for (const one of unmatched) await announceDeposit(trx, one, [], context);
    return;
  }
  const sorted = bySize(unmatched);
  const single = new Set(sorted.slice(0, mostUnmatched));
  for (const one of unmatched) if (single.has(one)) await announceDeposit(trx, one, [], context);
  const [largest, ...others] = sorted.slice(mostUnmatched);
  if (largest !== undefined) await announceDeposit(trx, largest, others, context);
}

/** In whole coins, whatever these are worth. */
function bySize(recorded: readonly Recorded[]): Recorded[] {
  const sized = recorded.map((one) => {
    const { amount, decimals } = one.deposit;
    return { one, size: amount * 10n ** BigInt(36 - decimals) };
  });
  return sized.toSorted((a, b) => (a.size === b.size ? 0 : a.size > b.size ? -1 : 1)).map(({ one }) => one);
}

async function announceDeposit(
  trx: Trx,
  { deposit, expectedId }: Recorded,
  others: readonly Recorded[],
  { chain, now }: AnnounceContext,
): Promise<void> {
  const expected = expectedId === null ? null : await findPaymentById(trx, expectedId);
  const shown = await Promise.all(
    [deposit, ...others.slice(0, mostUnmatched - 1).map((other) => other.deposit)].map(
      async (each) => [each, await addressOf(trx, each)] as const,
    ),
  );
  await appendEvent(trx, {
    merchantId: deposit.merchantId,
    type: 'deposit.unmatched',
    paymentId: null,
    body: unmatchedEventBody(shown, 1 + others.length, chain, expected),
    at: now,
  });
}

async function addressOf(trx: Trx, deposit: Deposit): Promise<string> {
  const recipients = await findRecipients(trx, deposit.recipient);
  const address = recipients.find((recipient) => recipient.id === deposit.addressId);
  if (address === undefined) throw new InvariantError('a deposit at an address that nobody listed');
  return address.address;
}
