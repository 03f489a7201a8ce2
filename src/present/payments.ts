import type { Currency } from '../core/assets.ts';
import { confirmationsAt } from '../core/confirmations.ts';
import type { Network } from '../core/networks.ts';
import {
  type Deposit,
  isOpen,
  isOwnAsset,
  type PaymentReason,
  type PaymentStatus,
  type PaymentView,
} from '../core/payment.ts';
import { isoTime, showAmount, timeOrNull } from './values.ts';

/** The JSON of a payment: the seed's fields, then what depositd adds. */
export type PresentedPayment = {
  payment_number: string;
  status: PaymentStatus;
  network: Network;
  currency: Currency;
  amount_usd_cents: number;
  expected_crypto_amount: string;
  actual_crypto_amount: string | null;
  assigned_address: string;
  tx_hash: string;
  confirmations: number;
  external_order_id: string;
  customer_email: string;
  redirect_url: string;
  metadata: Record<string, unknown>;
  payment_token: string;
  checkout_url: string;
  expires_at: string;
  confirmed_at: string | null;
  created_at: string;
  reason: PaymentReason | null;
  deposits: PresentedDeposit[];
  deposits_total: number;
  remaining: string | null;
};

export type PresentedDeposit = {
  tx_hash: string;
  amount: string;
  confirmations: number;
  status: 'seen' | 'confirmed' | 'late';
  /** Only where an operator took something else than what was asked for: what it was. Its amount is in no sum. */
  network?: Network;
  currency?: Currency;
};

/** Shows a payment to its merchant. What the chain took back is not shown, nor more deposits than one can look at. */
export function presentPayment(view: PaymentView, publicUrl: string): PresentedPayment {
  const { payment, deposits } = view;
  const shown = deposits.knownBy;
  return {
    payment_number: payment.paymentNumber,
    status: payment.status,
    network: payment.network,
    currency: payment.currency,
    amount_usd_cents: payment.amountUsdCents,
    expected_crypto_amount: showAmount(payment, payment.expectedAmount),
    actual_crypto_amount: deposits.received === 0n ? null : showAmount(payment, deposits.received),
    assigned_address: payment.address,
    tx_hash: shown?.txHash ?? '',
    confirmations: shown === null ? 0 : confirmationsOf(view, shown),
    external_order_id: payment.externalOrderId,
    customer_email: payment.customerEmail,
    redirect_url: payment.redirectUrl,
    metadata: payment.metadata,
    payment_token: payment.paymentToken,
    checkout_url: `${publicUrl}/pay/${payment.paymentToken}`,
    expires_at: isoTime(payment.expiresAt),
    confirmed_at: timeOrNull(payment.confirmedAt),
    created_at: isoTime(payment.createdAt),
    reason: payment.reason,
    deposits: deposits.largest.map((deposit) => ({
      tx_hash: deposit.txHash,
      amount: showAmount(deposit, deposit.amount),
      confirmations: confirmationsOf(view, deposit),
      status: shownStatus(deposit),
      ...(isOwnAsset(payment, deposit) ? {} : { network: deposit.network, currency: deposit.currency }),
    })),
    deposits_total: deposits.total,
    remaining: isOpen(payment) ? showAmount(payment, remainingAmount(view)) : null,
  };
}

/** Without the two values that open the checkout page: those are the customer's. */
export function presentWithoutCheckout(view: PaymentView) {
  const { payment_token, checkout_url, ...shown } = presentPayment(view, '');
  return shown;
}

/** Shows a payment to an operator, who sees those of every merchant. */
export function presentToOperator(view: PaymentView) {
  return { ...presentWithoutCheckout(view), merchant_id: view.payment.merchantId };
}

/** What was received, or what is expected while nothing was, or nothing but dust. */
export function shownAmount({ payment, deposits }: PaymentView): string {
  const nothing = deposits.received < payment.dustAmount;
  return showAmount(payment, nothing ? payment.expectedAmount : deposits.received);
}

/**
 * What is still to be paid of what was asked for, or of what an operator accepted as enough. Where that was another asset
 * alone, and the chain took it back, all of what was asked for is missing.
 */
function remainingAmount({ payment, deposits }: PaymentView): bigint {
  const { acceptedAt, expectedAmount, requiredAmount } = payment;
  const needed = acceptedAt === null || requiredAmount === 0n ? expectedAmount : requiredAmount;
  const remaining = needed - deposits.counted;
  return remaining > 0n ? remaining : 0n;
}

/** Of a deposit that the chain still shows. */
function shownStatus(deposit: Deposit): PresentedDeposit['status'] {
  if (deposit.role === 'late') return 'late';
  return deposit.status === 'confirmed' ? 'confirmed' : 'seen';
}

function confirmationsOf(view: PaymentView, deposit: Deposit): number {
  return confirmationsAt(view.heads[deposit.network] ?? 0, deposit.height);
}
