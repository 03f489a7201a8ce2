import { type Deposit, type DepositSum, isOwnAsset, type OnchainPayment } from '../core/payment.ts';
import { InvariantError } from '../errors.ts';
import { inTransaction } from '../storage/database.ts';
import { attachToPayment, detachLost, lockDeposit } from '../storage/deposits/attachments.ts';
import { listSums } from '../storage/deposits/sums.ts';
import { readTally } from '../storage/deposits/tally.ts';
import { recordAudit } from '../storage/operators/audit.ts';
import { findNumbered } from '../storage/payments/numbers.ts';
import { lockPayment, lockPayments } from '../storage/payments/payments.ts';
import type { Trx } from '../storage/schema.ts';
import { acceptSums, byHand, type OperatorAct, type OperatorDeps } from './accept.ts';
import { acceptance, type Decision, reasonOnly } from './decide.ts';
import { announcePayment, changePayment, noteCounted } from './settle.ts';
import { receivedAmount, substitutesOf } from './tally.ts';

export type AttachOutcome =
  | { outcome: 'attached'; deposit: Deposit; payment: OnchainPayment }
  | { outcome: 'not_found' }
  | { outcome: 'unknown_payment' }
  | { outcome: 'not_attachable'; why: string };

/**
 * Gives an unmatched deposit, or one that came late for another payment and counts for none, to the payment that it was meant for.
 * In the payment's own asset it is added to what came, and confirms the payment when that suffices. In another asset it is the
 * operator's word that it settles the payment: it is never added to amounts of another unit. Repeating it changes nothing.
 */
export async function attachDeposit(
  deps: OperatorDeps,
  act: OperatorAct & { depositId: number; paymentNumber: string },
): Promise<AttachOutcome> {
  const { db } = deps;
  const found = await findNumbered(db, act.paymentNumber);
  return inTransaction(db, async (trx): Promise<AttachOutcome> => {
    // First the deposit, then the payment: the order in which the watchers hold them.
    const deposit = await lockDeposit(trx, act.depositId);
    if (deposit === null) return { outcome: 'not_found' };
    if (found === null) return { outcome: 'unknown_payment' };
    if (found.kind === 'provider')
      return { outcome: 'not_attachable', why: 'the payment is made by a provider' };
    await lockPayments(trx, deposit.paymentId === null ? [found.id] : [found.id, deposit.paymentId]);
    const payment = await lockPayment(trx, found.id);
    if (isAttached(deposit, payment)) return { outcome: 'attached', deposit, payment };
    const why = whyNot(deposit, payment, await listSums(trx, payment.id));
    if (why !== null) return { outcome: 'not_attachable', why };
    await detachLost(trx, payment);
    return attach(trx, deps, act, deposit, payment);
  });
}

async function attach(
  trx: Trx,
  { clock }: OperatorDeps,
  act: OperatorAct,
  deposit: Deposit,
  payment: OnchainPayment,
): Promise<AttachOutcome> {
  const now = clock();
  const former = deposit.paymentId === null ? null : await lockPayment(trx, deposit.paymentId);
  const ended = payment.status !== 'pending' && payment.status !== 'confirmed';
  const role = ended && isOwnAsset(payment, deposit) ? 'late' : 'accepted';
  if (!(await attachToPayment(trx, deposit.id, { paymentId: payment.id, role }))) {
    throw new InvariantError(`deposit ${deposit.id} changed while it was held`);
  }
  await recordAudit(trx, {
    at: now,
    actor: act.actor,
    action: 'deposit.attached',
    subject: String(deposit.id),
    detail: {
      reason: act.reason,
      payment_number: payment.paymentNumber,
      network: deposit.network,
      tx_hash: deposit.txHash,
      status: payment.status,
      ...(former === null ? {} : { from_payment: former.paymentNumber }),
    },
  });
  if (former !== null) await settleFormer(trx, former, now);
  const settled = await settleAttached(trx, payment, { now });
  const attached = await lockDeposit(trx, deposit.id);
  if (attached === null) throw new InvariantError(`deposit ${deposit.id} vanished`);
  return { outcome: 'attached', deposit: attached, payment: settled };
}

/** The payment that the deposit was late for keeps its reason `late` only where other late money is left. */
async function settleFormer(trx: Trx, former: OnchainPayment, now: number): Promise<void> {
  const decision = reasonOnly(former, await readTally(trx, former, byHand));
  if (decision !== null && (await changePayment(trx, former, decision, { now })) === null)
    throw new InvariantError(`payment ${former.id} changed while it was held`);
}

async function settleAttached(
  trx: Trx,
  payment: OnchainPayment,
  context: { now: number },
): Promise<OnchainPayment> {
  const follows = await attachment(trx, payment, context.now);
  const changed =
    follows === null ? payment : await changePayment(trx, follows.payment, follows.decision, context);
  if (changed === null) throw new InvariantError(`payment ${payment.id} changed while it was held`);
  if (await noteCounted(trx, changed, await listSums(trx, payment.id))) {
    await announcePayment(trx, changed, 'payment.partially_paid', context.now);
  }
  if (follows === null || follows.decision.event === null) {
    await announcePayment(trx, changed, 'payment.late', context.now);
  }
  return changed;
}

/**
 * What follows from a deposit that an operator gave to a payment: what suffices confirms, late or not. In another
 * asset it settles the payment together with what else came, as an acceptance does. Null when nothing follows.
 */
async function attachment(
  trx: Trx,
  payment: OnchainPayment,
  now: number,
): Promise<{ payment: OnchainPayment; decision: Decision } | null> {
  const tally = await readTally(trx, payment, byHand);
  if (payment.status !== 'confirmed') {
    if (substitutesOf(payment, tally.sums).length > 0) return acceptSums(trx, payment, tally.sums, now);
    const decision = acceptance(payment, tally);
    if (decision !== null) return { payment, decision };
  }
  const decision = reasonOnly(payment, tally);
  return decision === null ? null : { payment, decision };
}

function isAttached(deposit: Deposit, payment: OnchainPayment): boolean {
  return deposit.paymentId === payment.id && deposit.unmatchedReason !== null;
}

function whyNot(deposit: Deposit, payment: OnchainPayment, others: readonly DepositSum[]): string | null {
  if (deposit.paymentId === payment.id) return 'the deposit is of this payment already: accept the payment';
  if (deposit.role !== 'unmatched' && deposit.role !== 'late')
    return 'the deposit counts for a payment already';
  if (deposit.merchantId !== payment.merchantId) return 'the deposit reached another merchant';
  switch (deposit.status) {
    case 'seen':
      return 'the deposit awaits its confirmations';
    case 'orphaned':
      return 'the chain took the deposit back';
    case 'confirmed':
      break;
    default:
      return deposit.status satisfies never;
  }
  const short = receivedAmount(payment, others) < payment.expectedAmount;
  if (payment.status === 'confirmed' && !short) return 'the payment is confirmed and paid in full';
  if (!isOwnAsset(payment, deposit) && others.some((other) => other.status === 'seen')) {
    return 'another deposit of the payment awaits its confirmations';
  }
  return null;
}
