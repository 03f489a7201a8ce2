import type { EventType } from '../core/events.ts';
import type { Network } from '../core/networks.ts';
import {
  type DepositSum,
  isOpen,
  type OnchainPayment,
  type Payment,
  type PaymentStatus,
} from '../core/payment.ts';
import { InvariantError } from '../errors.ts';
import { paymentEventBody, sessionEventBody } from '../present/event-body.ts';
import { endSession, sessionById } from '../storage/checkout/sessions.ts';
import { acceptLateDeposits } from '../storage/deposits/attachments.ts';
import { readTally } from '../storage/deposits/tally.ts';
import {
  lockPayment,
  setExceedsTier,
  updateCounted,
  updatePaymentStatus,
} from '../storage/payments/payments.ts';
import { viewOf } from '../storage/payments/views.ts';
import { mayHaveBeenGivenSince } from '../storage/pool/holds.ts';
import { lockAddressAgain, releaseAddress } from '../storage/pool/locks.ts';
import type { Trx } from '../storage/schema.ts';
import { appendEvent } from '../storage/webhooks/events.ts';
import { type ChainFacts, type Decision, decide, forgottenHeight } from './decide.ts';
import { countedAmount, receivedAmount } from './tally.ts';

export type SettleContext = {
  /** The chain that `chain` tells of. */
  network: Network;
  chain: ChainFacts;
  latePolicy: 'flag' | 'confirm';
  now: number;
};

const unreadChain: ChainFacts = { cursor: { height: 0, time: 0 }, requiredConfirmations: 0 };

/** What a settlement changed: the payment as it is now, and what it was. */
export type Settlement = {
  payment: OnchainPayment;
  from: PaymentStatus;
  /** Whether something has come that counts and is too little so far, of which the merchant was not told yet. */
  partiallyPaid: boolean;
};

/**
 * Decides about one payment and writes what follows (status, address, event) in the caller's transaction.
 * Null when nothing follows: settling twice changes nothing.
 */
export async function settlePayment(
  trx: Trx,
  paymentId: number,
  context: SettleContext,
): Promise<Settlement | null> {
  const before = await lockPayment(trx, paymentId);
  // An operator may have attached a deposit of another chain. By that chain's time nobody's payment ends.
  const chain = before.network === context.network ? context.chain : unreadChain;
  const latePolicy = await latePolicyOf(trx, before, context.latePolicy);
  let payment = before;
  // A decision may lead to another: what was reverted may be confirmed by late money at once.
  for (let decisions = 0; ; decisions++) {
    const completes = mayBecomeConfirmed(payment) ? (latePolicy === 'confirm' ? 'all' : 'counted') : null;
    const tally = await readTally(trx, payment, { forgotten: forgottenHeight(chain), completes });
    payment = await noteTier(trx, payment, tally.sums);
    const decision = decide(payment, tally, chain, latePolicy, context.now);
    if (decision === null) {
      const partiallyPaid = await noteCounted(trx, payment, tally.sums);
      return decisions === 0 && !partiallyPaid ? null : { payment, from: before.status, partiallyPaid };
    }
    if (decisions === 3) throw new InvariantError(`payment ${paymentId} does not come to rest`);
    const changed = await changePayment(trx, payment, decision, context);
    if (changed === null) throw new InvariantError(`payment ${paymentId} changed while it was held`);
    payment = changed;
  }
}

/** Where a lost payment may have had the address since, an operator says whose late money it is. */
async function latePolicyOf(
  trx: Trx,
  payment: OnchainPayment,
  policy: SettleContext['latePolicy'],
): Promise<SettleContext['latePolicy']> {
  return policy === 'confirm' && (await mayHaveBeenGivenSince(trx, payment)) ? 'flag' : policy;
}

function mayBecomeConfirmed({ status }: Payment): boolean {
  return status !== 'confirmed' && status !== 'cancelled';
}

/**
 * Notes whether more has come than what fewer confirmations are enough for: nobody gets a large sum past a reorg as the
 * payment of a coffee. Once the payment has ended nothing is confirmed with fewer.
 */
async function noteTier(
  trx: Trx,
  payment: OnchainPayment,
  sums: readonly DepositSum[],
): Promise<OnchainPayment> {
  if (payment.tier === null || !isOpen(payment)) return payment;
  const exceedsTier = receivedAmount(payment, sums) > payment.tier.upToAmount;
  if (exceedsTier === payment.exceedsTier) return payment;
  await setExceedsTier(trx, payment.id, exceedsTier);
  return { ...payment, exceedsTier };
}

/**
 * Notes what counts now. Answers whether the merchant is to be told that it is too little so far: once for each sum.
 * What a reorg takes away altogether is nothing to tell, and what comes back just so was told.
 */
export async function noteCounted(
  trx: Trx,
  payment: OnchainPayment,
  sums: readonly DepositSum[],
): Promise<boolean> {
  const counted = countedAmount(payment, sums);
  const ended = !isOpen(payment);
  const partial = !ended && counted >= payment.dustAmount && counted < payment.requiredAmount;
  const told = partial ? counted : ended ? 0n : payment.toldAmount;
  if (counted !== payment.countedAmount || told !== payment.toldAmount) {
    await updateCounted(trx, payment.id, { countedAmount: counted, toldAmount: told });
  }
  return partial && counted !== payment.toldAmount;
}

/** Writes a decision; null when the payment was no longer as the decision found it. */
export async function changePayment(
  trx: Trx,
  payment: OnchainPayment,
  decision: Decision,
  { now, chain }: Pick<SettleContext, 'now'> & Partial<Pick<SettleContext, 'chain'>>,
): Promise<OnchainPayment | null> {
  const moves = decision.status !== payment.status;
  const changed: OnchainPayment = {
    ...payment,
    status: decision.status,
    reason: decision.reason,
    completedBy: decision.completedBy,
    confirmedAt: moves && decision.status === 'confirmed' ? now : payment.confirmedAt,
    endedAt: moves ? now : payment.endedAt,
  };
  if (!(await updatePaymentStatus(trx, payment.id, payment.status, changed))) return null;
  if (decision.event === 'payment.reverted') {
    Object.assign(changed, await reopen(trx, payment, chain?.cursor.time ?? 0, now));
  } else if (moves || decision.closes) {
    changed.reopened = false;
  }
  if (isOpen(payment) && !isOpen(changed)) await releaseAddress(trx, payment.addressId, payment.id, now);
  if (decision.takesLate) await acceptLateDeposits(trx, payment.id);
  if (decision.event !== null) await announcePayment(trx, changed, decision.event, now);
  return changed;
}

/**
 * Lets a payment that was reverted be paid anew, as long as it could be paid at first. Not where its address was given
 * to another since, or may have been: what comes there now is meant for that one.
 */
async function reopen(
  trx: Trx,
  payment: OnchainPayment,
  chainTime: number,
  now: number,
): Promise<Pick<OnchainPayment, 'reopened' | 'blockTimeLimit'>> {
  const lifetimeMs = payment.expiresAt - payment.createdAt;
  // The chain's time or ours, whichever is later: a clock that is slow takes nothing from the customer.
  const until = Math.ceil((Math.max(now, chainTime * 1000) + lifetimeMs) / 1000);
  const blockTimeLimit = Math.max(payment.blockTimeLimit, until);
  const reopened =
    !(await mayHaveBeenGivenSince(trx, payment)) &&
    (await lockAddressAgain(trx, payment.addressId, payment.id, blockTimeLimit));
  return { reopened, blockTimeLimit: reopened ? blockTimeLimit : payment.blockTimeLimit };
}

/**
 * Freezes the event's body from the payment as it stands in this transaction. A payment that is confirmed completes its
 * checkout session, whatever had become of that: the money is there.
 */
export async function announcePayment(
  trx: Trx,
  payment: Payment,
  type: EventType,
  now: number,
): Promise<void> {
  const { merchantId, checkoutSession } = payment;
  const view = await viewOf(trx, payment);
  // Before the event: who writes one makes others wait, and must not wait for a session then.
  const completed =
    type === 'payment.confirmed' &&
    checkoutSession !== null &&
    (await endSession(trx, checkoutSession, {
      from: ['open', 'expired', 'cancelled'],
      to: 'completed',
      at: now,
    }));
  const body = paymentEventBody(type, view);
  await appendEvent(trx, { merchantId, type, paymentId: payment.id, body, at: now });
  if (completed) await announceSession(trx, checkoutSession, 'checkout_session.completed', now);
}

/** The same of a checkout session. */
export async function announceSession(
  trx: Trx,
  id: string,
  type: Extract<EventType, `checkout_session.${string}`>,
  now: number,
): Promise<void> {
  const view = await sessionById(trx, id);
  const { merchantId } = view.session;
  const body = sessionEventBody(type, view, now);
  await appendEvent(trx, { merchantId, type, paymentId: null, body, at: now });
}
