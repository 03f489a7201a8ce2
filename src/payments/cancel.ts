import type { Clock } from '../clock.ts';
import type { PaymentView } from '../core/payment.ts';
import { inTransaction } from '../storage/database.ts';
import { listDepositsOfPayment } from '../storage/deposits/deposits.ts';
import { recordAudit } from '../storage/operators/audit.ts';
import { lockPayment } from '../storage/payments/payments.ts';
import { findPayment, viewOf } from '../storage/payments/views.ts';
import type { Db } from '../storage/schema.ts';
import { changePayment } from './settle.ts';
import { isDust } from './tally.ts';

export type CancelOutcome =
  | { outcome: 'cancelled'; view: PaymentView }
  | { outcome: 'not_found' }
  | { outcome: 'not_cancellable' };

/**
 * Cancels a merchant's payment while it is pending and nothing but dust has been received for it. An operator's act is
 * audited.
 */
export async function cancelPayment(
  { db, clock }: { db: Db; clock: Clock },
  { merchantId, paymentNumber, actor }: { merchantId: string; paymentNumber: string; actor?: string },
): Promise<CancelOutcome> {
  const found = await findPayment(db, merchantId, paymentNumber);
  if (found === null) return { outcome: 'not_found' };
  return inTransaction(db, async (trx): Promise<CancelOutcome> => {
    const payment = await lockPayment(trx, found.payment.id);
    const deposits = await listDepositsOfPayment(trx, payment.id);
    if (payment.status !== 'pending' || !isDust(payment, deposits)) return { outcome: 'not_cancellable' };
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
      { now: clock() },
    );
    if (cancelled === null) return { outcome: 'not_cancellable' };
    if (actor !== undefined) {
      const detail = { payment: paymentNumber };
      await recordAudit(trx, {
        at: clock(),
        actor,
        action: 'payment.cancelled',
        subject: merchantId,
        detail,
      });
    }
    return { outcome: 'cancelled', view: await viewOf(trx, cancelled) };
  });
}
