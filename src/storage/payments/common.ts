import type { Selectable } from 'kysely';
import type { Currency } from '../../core/assets.ts';
import type { Network } from '../../core/networks.ts';
import type { Payment, PaymentReason, PaymentStatus } from '../../core/payment.ts';
import type { Schema } from '../schema.ts';
import { hashPaymentToken } from './numbers.ts';

/*
 * The row of `payments`: what every payment has, however it is paid.
 */

/** The columns that {@link readCommon} reads. */
export const commonColumns = [
  'payments.id',
  'payments.payment_number',
  'payments.merchant_id',
  'payments.status',
  'payments.reason',
  'payments.network',
  'payments.chain',
  'payments.currency',
  'payments.decimals',
  'payments.expected_amount',
  'payments.price_amount',
  'payments.price_currency',
  'payments.amount_usd_cents',
  'payments.external_order_id',
  'payments.customer_email',
  'payments.redirect_url',
  'payments.metadata',
  'payments.locale',
  'payments.checkout_session',
  'payments.replaces',
  'payments.replaced_by',
  'payments.requotes',
  'payments.livemode',
  'payments.payment_token',
  'payments.created_at',
  'payments.expires_at',
  'payments.confirmed_at',
  'payments.ended_at',
  'payments.accepted_at',
] as const;

type Row = Omit<Selectable<Schema['payments']>, 'kind' | 'token_hash'>;

export function readCommon(row: Row) {
  return {
    id: row.id,
    paymentNumber: row.payment_number,
    merchantId: row.merchant_id,
    status: row.status as PaymentStatus,
    reason: row.reason as PaymentReason | null,
    network: row.network as Network,
    chain: row.chain,
    currency: row.currency as Currency,
    decimals: row.decimals,
    expectedAmount: BigInt(row.expected_amount),
    price: { minorUnits: row.price_amount, currency: row.price_currency },
    amountUsdCents: row.amount_usd_cents,
    externalOrderId: row.external_order_id,
    customerEmail: row.customer_email,
    redirectUrl: row.redirect_url,
    metadata: JSON.parse(row.metadata) as Record<string, unknown>,
    locale: row.locale,
    checkoutSession: row.checkout_session,
    replaces: row.replaces,
    replacedBy: row.replaced_by,
    requotes: row.requotes,
    livemode: row.livemode === 1,
    paymentToken: row.payment_token,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    confirmedAt: row.confirmed_at,
    endedAt: row.ended_at,
    acceptedAt: row.accepted_at,
  };
}

export function writeCommon(payment: Omit<Payment, 'id'>) {
  return {
    payment_number: payment.paymentNumber,
    merchant_id: payment.merchantId,
    kind: payment.kind,
    status: payment.status,
    reason: payment.reason,
    network: payment.network,
    chain: payment.chain,
    currency: payment.currency,
    decimals: payment.decimals,
    expected_amount: payment.expectedAmount.toString(),
    price_amount: payment.price.minorUnits,
    price_currency: payment.price.currency,
    amount_usd_cents: payment.amountUsdCents,
    external_order_id: payment.externalOrderId,
    customer_email: payment.customerEmail,
    redirect_url: payment.redirectUrl,
    metadata: JSON.stringify(payment.metadata),
    locale: payment.locale,
    checkout_session: payment.checkoutSession,
    replaces: payment.replaces,
    replaced_by: payment.replacedBy,
    requotes: payment.requotes,
    livemode: Number(payment.livemode),
    payment_token: payment.paymentToken,
    token_hash: hashPaymentToken(payment.paymentToken),
    created_at: payment.createdAt,
    expires_at: payment.expiresAt,
    confirmed_at: payment.confirmedAt,
    ended_at: payment.endedAt,
    accepted_at: payment.acceptedAt,
  };
}
