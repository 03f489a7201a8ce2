import type { Clock } from '../clock.ts';
import { isTaken } from '../core/charge.ts';
import { formatAmount } from '../core/money.ts';
import type { DepositSum, OnchainPayment, Payment, PaymentView, ProviderPayment } from '../core/payment.ts';
import { InvariantError } from '../errors.ts';
import { inTransaction } from '../storage/database.ts';
import { detachLost } from '../storage/deposits/attachments.ts';
import { listSums } from '../storage/deposits/sums.ts';
import { readTally } from '../storage/deposits/tally.ts';
import { recordAudit } from '../storage/operators/audit.ts';
import { findNumbered } from '../storage/payments/numbers.ts';
import { lockPayment } from '../storage/payments/payments.ts';
import { viewOf } from '../storage/payments/views.ts';
import { lockProviderPayment, updateProviderPayment } from '../storage/providers/payments.ts';
import type { Db, Trx } from '../storage/schema.ts';
import { acceptance, acceptedAsIs, type Decision } from './decide.ts';
import { announcePayment, changePayment } from './settle.ts';
import { receivedAmount } from './tally.ts';

export type OperatorDeps = { db: Db; clock: Clock };

/** An operator's word. Both texts go into the audit log. */
export type OperatorAct = { reason: string; actor: string };

export type AcceptOutcome =
  | { outcome: 'accepted'; view: PaymentView }
  | { outcome: 'not_found' }
  | { outcome: 'not_acceptable'; why: string };

/**
 * Takes what came for a payment as enough, though it came late or is too little: the payment is confirmed as any
 * other. Everything that came must be confirmed, so that what is accepted is sure. Repeating it changes nothing.
 */
export async function acceptPayment(
  { db, clock }: OperatorDeps,
  { paymentNumber, reason, actor }: OperatorAct & { paymentNumber: string },
): Promise<AcceptOutcome> {
  const found = await findNumbered(db, paymentNumber);
  if (found === null) return { outcome: 'not_found' };
  const { id, kind } = found;
  return inTransaction(db, async (trx): Promise<AcceptOutcome> => {
    if (kind === 'provider') return acceptCharge(trx, id, { reason, actor, now: clock() });
    const payment = await lockPayment(trx, id);
    if (payment.status === 'confirmed') return acceptAgain(trx, payment);
    const sums = await listSums(trx, id);
    const now = clock();
    const accepted = await acceptSums(trx, payment, sums, now);
    if (accepted === null) return { outcome: 'not_acceptable', why: whyNot(sums) };

    await detachLost(trx, payment);
    const confirmed = await changePayment(trx, accepted.payment, accepted.decision, { now });
    if (confirmed === null) throw new InvariantError(`payment ${id} changed while it was held`);
    await recordAudit(trx, {
      at: now,
      actor,
      action: 'payment.accepted',
      subject: payment.paymentNumber,
      detail: {
        reason,
        status: payment.status,
        expected_amount: formatAmount(payment.expectedAmount, payment.decimals),
        received_amount: formatAmount(receivedAmount(payment, sums), payment.decimals),
      },
    });
    return { outcome: 'accepted', view: await viewOf(trx, confirmed) };
  });
}

/** What follows when a payment is settled with what came for it; null when that is nothing, or not all of it is sure. */
export async function acceptSums(
  trx: Trx,
  before: OnchainPayment,
  sums: readonly DepositSum[],
  now: number,
): Promise<{ payment: OnchainPayment; decision: Decision } | null> {
  const payment = acceptedAsIs(before, sums, now);
  if (payment === null) return null;
  const decision = acceptance(payment, await readTally(trx, payment, byHand));
  return decision === null ? null : { payment, decision };
}

/** An operator waits for nothing, and takes all that came. */
export const byHand = { forgotten: Number.MAX_SAFE_INTEGER, completes: 'all' } as const;

/** What a provider took though it was late, or no more than a part, as nobody can tell from its answers how much. */
async function acceptCharge(
  trx: Trx,
  id: number,
  { reason, actor, now }: OperatorAct & { now: number },
): Promise<AcceptOutcome> {
  const payment = await lockProviderPayment(trx, id);
  if (payment.status === 'confirmed') return acceptAgain(trx, payment);
  if (!isTaken(payment.chargeStatus)) {
    return { outcome: 'not_acceptable', why: 'the provider has taken no money for it' };
  }
  const accepted: ProviderPayment = {
    ...payment,
    status: 'confirmed',
    reason: payment.capture === 'part' ? 'underpaid' : 'late',
    confirmedAt: now,
    endedAt: now,
    acceptedAt: now,
  };
  await updateProviderPayment(trx, accepted);
  await announcePayment(trx, accepted, 'payment.confirmed', now);
  const detail = { reason, status: payment.status, provider_status: payment.statusText };
  const subject = payment.paymentNumber;
  await recordAudit(trx, { at: now, actor, action: 'payment.accepted', subject, detail });
  return { outcome: 'accepted', view: await viewOf(trx, accepted) };
}

async function acceptAgain(trx: Trx, payment: Payment): Promise<AcceptOutcome> {
  if (payment.acceptedAt === null) return { outcome: 'not_acceptable', why: 'it is confirmed already' };
  return { outcome: 'accepted', view: await viewOf(trx, payment) };
}

function whyNot(sums: readonly DepositSum[]): string {
  return sums.some(({ status }) => status === 'seen')
    ? 'a deposit of it awaits its confirmations'
    : 'nothing was received for it';
}
