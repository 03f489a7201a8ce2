import type { ChargeStatus, Mode } from '../core/charge.ts';
import { type FiatCode, formatFiatAmount } from '../core/fiat.ts';
import { formatAmount } from '../core/money.ts';
import type { ProviderPayment } from '../core/payment.ts';
import type { UnmatchedCharge } from '../storage/providers/providers.ts';
import type { StoredRefund } from '../storage/providers/refunds.ts';
import { isoTime, timeOrNull } from './values.ts';

/*
 * The JSON of fiat providers and what they tell, for merchants, operators and the commands alike.
 */

/** How a provider does. */
export type ReportedProvider = {
  name: string;
  type: string;
  label: string;
  mode: Mode;
  enabled: boolean;
  merchants: readonly string[] | null;
  currencies: readonly FiatCode[];
  trouble: string | null;
  inboundUrl: string;
  succeededAt: number | null;
  failedAt: number | null;
  lastError: string | null;
  rejectedWebhooks: number;
  sweptAt: number | null;
  drift: string | null;
  unmatched: number;
};

export function presentProvider(report: ReportedProvider) {
  return {
    name: report.name,
    type: report.type,
    label: report.label,
    mode: report.mode,
    enabled: report.enabled,
    merchants: report.merchants === null ? null : [...report.merchants],
    currencies: [...report.currencies],
    trouble: report.trouble,
    inbound_url: report.inboundUrl,
    last_success_at: timeOrNull(report.succeededAt),
    last_error_at: timeOrNull(report.failedAt),
    last_error: report.lastError,
    rejected_webhooks: report.rejectedWebhooks,
    swept_at: timeOrNull(report.sweptAt),
    drift: report.drift,
    unmatched: report.unmatched,
  };
}

/** A charge of the provider's list that no payment explains. */
export function presentUnmatchedCharge(charge: UnmatchedCharge) {
  return {
    charge_id: charge.chargeId,
    status: charge.status,
    amount: charge.amount,
    currency: charge.currency,
    found_at: isoTime(charge.foundAt),
  };
}

/** A charge as the provider lists it. */
export type ListedCharge = {
  id: string;
  status: ChargeStatus;
  amount: bigint | null;
  currency: FiatCode | null;
  fee: bigint | null;
  net: bigint | null;
  createdAt: number | null;
};

export function presentTransaction(charge: ListedCharge, paymentNumber: string | null) {
  const { currency } = charge;
  const show = (amount: bigint | null) =>
    amount === null || currency === null ? null : formatFiatAmount({ minorUnits: amount, currency });
  return {
    id: charge.id,
    payment_number: paymentNumber,
    status: charge.status,
    amount: show(charge.amount),
    currency,
    fee: show(charge.fee),
    net: show(charge.net),
    created_at: timeOrNull(charge.createdAt),
  };
}

export function presentRefund(
  { id, status, amount }: Pick<StoredRefund, 'id' | 'status' | 'amount'>,
  { decimals, currency }: Pick<ProviderPayment, 'decimals' | 'currency'>,
) {
  return {
    id,
    status,
    amount: formatAmount(amount, decimals, decimals),
    currency: currency.toUpperCase(),
  };
}

/** A refund of which nobody knows what became of it, for the operator. */
export function presentOpenRefund({
  refund,
  payment,
}: {
  refund: Pick<StoredRefund, 'id' | 'status' | 'amount' | 'reason' | 'createdAt'>;
  payment: Pick<ProviderPayment, 'decimals' | 'currency' | 'paymentNumber' | 'chargeId'>;
}) {
  return {
    ...presentRefund(refund, payment),
    payment_number: payment.paymentNumber,
    charge_id: payment.chargeId,
    reason: refund.reason,
    created_at: isoTime(refund.createdAt),
  };
}

/** What is configured for webhooks at the provider; event types null: all of them. */
export function presentWebhookConfig(
  config: { url: string; secretSet: boolean; eventTypes: readonly string[] | null; active: boolean } | 'none',
) {
  if (config === 'none') {
    return { configured: false, url: null, secret_set: false, event_types: null, active: false };
  }
  const { url, secretSet, eventTypes, active } = config;
  const types = eventTypes === null ? null : [...eventTypes];
  return { configured: true, url, secret_set: secretSet, event_types: types, active };
}
