import type { Clock } from '../clock.ts';
import type { Payment, PaymentView, ProviderPayment } from '../core/payment.ts';
import { inTransaction } from '../storage/database.ts';
import { listSums } from '../storage/deposits/sums.ts';
import { recordAudit } from '../storage/operators/audit.ts';
import { lockPayment } from '../storage/payments/payments.ts';
import { findPayment, viewOf } from '../storage/payments/views.ts';
import { lockProviderPayment, updateProviderPayment } from '../storage/providers/payments.ts';
import type { Db, Trx } from '../storage/schema.ts';
import { announcePayment, changePayment } from './settle.ts';
import { isDust } from './tally.ts';

export type CancelOutcome =
  | { outcome: 'cancelled'; view: PaymentView }
  | { outcome: 'not_found' }
  | { outcome: 'not_cancellable' };

/** Who cancels, where it is an operator. */
export type CancelAct = { actor: string; reason?: string };

type CancelContext = { now: number };

/**
 * Cancels a merchant's payment while it is pending and nothing but dust has been received for it. An operator's act is
 * audited.
 */
export async function cancelPayment(
  { db, clock }: { db: Db; clock: Clock },
  { merchantId, paymentNumber, act }: { merchantId: string; paymentNumber: string; act?: CancelAct },
): Promise<CancelOutcome> {
  const found = await findPayment(db, merchantId, paymentNumber);
  if (found === null) return { outcome: 'not_found' };
  const context = { now: clock() };
  return inTransaction(db, async (trx): Promise<CancelOutcome> => {
    const outcome = await cancelIn(trx, { kind: found.kind, id: found.payment.id }, context);
    if (outcome.outcome === 'cancelled' && act !== undefined) {
      const { actor, reason } = act;
      const detail = { merchant_id: merchantId, ...(reason === undefined ? {} : { reason }) };
      const entry = { at: context.now, actor, action: 'payment.cancelled', subject: paymentNumber, detail };
      await recordAudit(trx, entry);
    }
    return outcome;
  });
}

/** The same in the caller's transaction. */
export async function cancelIn(
  trx: Trx,
  { kind, id }: Pick<Payment, 'kind' | 'id'>,
  context: CancelContext,
): InTransaction {
  return kind === 'provider' ? cancelAtProvider(trx, id, context) : cancelOnchain(trx, id, context);
}

type InTransaction = Promise<Exclude<CancelOutcome, { outcome: 'not_found' }>>;

async function cancelOnchain(trx: Trx, id: number, context: CancelContext): InTransaction {
  const payment = await lockPayment(trx, id);
  const sums = await listSums(trx, payment.id);
  if (payment.status !== 'pending' || !isDust(payment, sums)) return { outcome: 'not_cancellable' };
  const cancelled = await changePayment(
    trx,
    payment,
    {
      status: 'cancelled',
      reason: null,
      completedBy: null,
      takesLate: false,
      event: 'payment.cancelled',
    },
    context,
  );
  if (cancelled === null) return { outcome: 'not_cancellable' };
  return { outcome: 'cancelled', view: await viewOf(trx, cancelled) };
}

/**
 * The provider knows no such thing: its page stays open, and a payer who has it may still pay. That is then late money
 * (see providers/decide.ts).
 */
async function cancelAtProvider(trx: Trx, id: number, { now }: CancelContext): InTransaction {
  const payment = await lockProviderPayment(trx, id);
  const nothing = payment.chargeStatus === 'pending' || payment.chargeStatus === 'unknown';
  if (payment.status !== 'pending' || !nothing) return { outcome: 'not_cancellable' };
  const cancelled: ProviderPayment = { ...payment, status: 'cancelled', reason: null, endedAt: now };
  await updateProviderPayment(trx, cancelled);
  await announcePayment(trx, cancelled, 'payment.cancelled', now);
  return { outcome: 'cancelled', view: await viewOf(trx, cancelled) };
}
