import type { ProviderPayment } from '../core/payment.ts';
import { inTransaction } from '../storage/database.ts';
import { hastenFetch } from '../storage/providers/fetches.ts';
import { lockProviderPayment, updateProviderPayment } from '../storage/providers/payments.ts';
import type { Bridge } from './bridge.ts';
import { fiatOf, freshPayment, type NoAnswer, refresh, unavailable } from './refund.ts';
import type { SettleDeps } from './settle.ts';

export type CaptureOutcome =
  | { outcome: 'captured'; payment: ProviderPayment }
  | { outcome: 'unsupported'; reason: string }
  | { outcome: 'not_capturable'; reason: string }
  | NoAnswer;

/**
 * Has the provider take what the payer authorized, or a part of it. That it was asked for is written down before it is
 * sent: from then on a capture that shows up counts as what was asked for. A part never confirms the payment by itself.
 */
export async function captureCharge(
  deps: SettleDeps,
  bridge: Bridge,
  { paymentId, amount }: { paymentId: number; amount: bigint | null },
): Promise<CaptureOutcome> {
  const { db, clock } = deps;
  const { provider, client } = bridge;
  const { capture: ask, descriptor } = provider;
  if (ask === undefined) {
    return { outcome: 'unsupported', reason: `${descriptor.displayName} has nothing to capture` };
  }
  const fresh = await freshPayment(deps, bridge, paymentId);
  if ('outcome' in fresh) return fresh;
  const { expectedAmount } = fresh.payment;
  const wanted = amount === null || amount === expectedAmount ? 'whole' : 'part';
  const before = fresh.payment.capture;

  const begun = await inTransaction(db, async (trx): Promise<CaptureOutcome | ProviderPayment> => {
    const payment = await lockProviderPayment(trx, paymentId);
    const why = whyNot(payment, wanted, amount);
    if (why !== null) return { outcome: 'not_capturable', reason: why };
    await updateProviderPayment(trx, { ...payment, capture: wanted });
    return { ...payment, capture: wanted };
  });
  if ('outcome' in begun) return begun;
  const { chargeId } = begun;
  if (chargeId === null) return { outcome: 'not_capturable', reason: 'the provider shows no charge yet' };

  const charge = { id: chargeId, amount: expectedAmount, currency: fiatOf(begun) };
  const result = await client.call(ask(charge, wanted === 'whole' ? null : amount));
  if (result.outcome !== 'done' && result.outcome !== 'unknown') {
    // Nothing happened: whoever asks next may ask for something else.
    await inTransaction(db, async (trx) => {
      const payment = await lockProviderPayment(trx, paymentId);
      if (payment.chargeStatus === 'authorized') {
        await updateProviderPayment(trx, { ...payment, capture: before });
      }
    });
    if (result.outcome === 'declined') return { outcome: 'not_capturable', reason: result.reason };
    return unavailable(result);
  }
  await inTransaction(db, (trx) => hastenFetch(trx, paymentId, clock()));
  const payment = (await refresh(deps, bridge, begun)) ?? begun;
  return result.outcome === 'unknown' && payment.chargeStatus === 'authorized'
    ? unavailable(result)
    : { outcome: 'captured', payment };
}

function whyNot(payment: ProviderPayment, wanted: 'whole' | 'part', amount: bigint | null): string | null {
  if (payment.chargeStatus !== 'authorized') return `it is ${payment.chargeStatus}, not authorized`;
  if (payment.status !== 'pending') return `the payment is ${payment.status}`;
  if (payment.capture !== 'none' && payment.capture !== wanted) {
    return 'it is not known yet what became of another capture of it';
  }
  if (amount !== null && amount <= 0n) return 'nothing is asked for';
  return amount !== null && amount > payment.expectedAmount ? 'it is more than what was authorized' : null;
}
