import type { ProviderPayment } from '../core/payment.ts';
import { InvariantError } from '../errors.ts';
import { inTransaction } from '../storage/database.ts';
import { recordAudit } from '../storage/operators/audit.ts';
import { hastenFetch } from '../storage/providers/fetches.ts';
import { listProviderPaymentsById } from '../storage/providers/payments.ts';
import {
  listOpenRefunds,
  lockRefund,
  type StoredRefund,
  updateRefund,
} from '../storage/providers/refunds.ts';
import type { Db } from '../storage/schema.ts';
import type { SettleDeps } from './settle.ts';

/*
 * Refunds whose answer was lost and of which the provider tells nothing any more. They stand in the way of others: of the
 * payment always, of the whole account where a provider tells only sums. An operator reads at the provider what became of
 * one, and says it here.
 */

export type OpenRefund = { refund: StoredRefund; payment: ProviderPayment };

export type RefundWord = {
  id: string;
  status: 'succeeded' | 'failed';
  /** The provider's own id of it; null when the operator has none. */
  providerRefundId: string | null;
  reason: string;
  actor: string;
};

export type WordOutcome =
  | ({ outcome: 'settled' } & OpenRefund)
  | { outcome: 'not_found' }
  /** What became of it is known, or its answer may still come. */
  | { outcome: 'not_settleable'; reason: string };

/** While this passes, whoever asked for a refund may still await its answer, ms. */
export const awaitedMs = 2 * 60 * 1000;

/** Those of a provider of which nobody knows what became of them, untouched since `before`, the longest first. */
export async function openRefundsOf(db: Db, provider: string, before: number): Promise<OpenRefund[]> {
  const refunds = await listOpenRefunds(db, provider, before);
  const payments = await listProviderPaymentsById(
    db,
    refunds.map(({ paymentId }) => paymentId),
  );
  const byId = new Map(payments.map((payment) => [payment.id, payment]));
  return refunds.map((refund) => {
    const payment = byId.get(refund.paymentId);
    if (payment === undefined) throw new InvariantError(`refund ${refund.id} of no payment`);
    return { refund, payment };
  });
}

/** Writes what the operator read at the provider, and has the payment fetched at once: money moves by that alone. */
export async function settleOpenRefund(
  { db, clock }: Pick<SettleDeps, 'db' | 'clock'>,
  provider: string,
  word: RefundWord,
): Promise<WordOutcome> {
  const { id, status, providerRefundId } = word;
  const at = clock();
  return inTransaction(db, async (trx): Promise<WordOutcome> => {
    const refund = await lockRefund(trx, id);
    if (refund === null || refund.provider !== provider) return { outcome: 'not_found' };
    if (refund.status === 'sending' && at < refund.updatedAt + awaitedMs) {
      return { outcome: 'not_settleable', reason: 'its answer may still come: try again in two minutes' };
    }
    if (refund.status !== 'sending' && refund.status !== 'unknown') {
      return { outcome: 'not_settleable', reason: `it is known to be ${refund.status}` };
    }
    const [payment] = await listProviderPaymentsById(trx, [refund.paymentId]);
    if (payment === undefined) throw new InvariantError(`refund ${id} of no payment`);
    await updateRefund(trx, id, { status, providerRefundId, at });
    await hastenFetch(trx, payment.id, at);
    await recordAudit(trx, {
      at,
      actor: word.actor,
      action: 'payment.refund_settled',
      subject: payment.paymentNumber,
      detail: { refund: id, status, provider_refund_id: providerRefundId, reason: word.reason },
    });
    return { outcome: 'settled', refund: { ...refund, status, providerRefundId, updatedAt: at }, payment };
  });
}
