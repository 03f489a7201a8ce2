import type { Currency } from '../core/assets.ts';
import type { ChargeStatus, Mode } from '../core/charge.ts';
import { confirmationsAt } from '../core/confirmations.ts';
import { fiatExponent, parseFiatCode } from '../core/fiat.ts';
import { formatAmount } from '../core/money.ts';
import type { Network } from '../core/networks.ts';
import {
  confirmationsNeeded,
  type Deposit,
  type FiatAmount,
  isOpen,
  isOwnAsset,
  type OnchainView,
  type PaymentReason,
  type PaymentStatus,
  type PaymentView,
  type ProviderPayment,
  type ProviderView,
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
  /** As the shop gave it. */
  price: { amount: string; currency: string };
  /** Null for payments on a chain. */
  provider: PresentedProvider | null;
  required_confirmations: number;
  locale: string;
  /** The id of the checkout session that it was chosen in; empty for none. */
  checkout_session: string;
  /** Numbers of payments: whose fresh quote this is, and which is a fresh quote of this. */
  replaces: string | null;
  replaced_by: string | null;
  /** False in a sandbox. */
  livemode: boolean;
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

/** A payment by a provider, as the provider shows it. */
export type PresentedProvider = {
  name: Network;
  type: string;
  reference: string;
  status: ChargeStatus;
  mode: Mode;
  checkout_url: string;
  amount: string;
  currency: string;
  fee: string | null;
  net: string | null;
  refunded: string;
  disputed: boolean;
};

/** Shows a payment to its merchant. What the chain took back is not shown, nor more deposits than one can look at. */
export function presentPayment(view: PaymentView, publicUrl: string): PresentedPayment {
  const { payment } = view;
  return {
    payment_number: payment.paymentNumber,
    status: payment.status,
    network: payment.network,
    currency: payment.currency,
    amount_usd_cents: payment.amountUsdCents,
    expected_crypto_amount: expectedShown(view),
    actual_crypto_amount: null,
    assigned_address: '',
    tx_hash: knownTx(view),
    confirmations: 0,
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
    deposits: [],
    deposits_total: 0,
    remaining: null,
    price: presentPrice(payment.price),
    provider: null,
    required_confirmations: 0,
    locale: payment.locale,
    checkout_session: payment.checkoutSession ?? '',
    replaces: payment.replaces,
    replaced_by: payment.replacedBy,
    livemode: payment.livemode,
    ...(view.kind === 'onchain' ? presentReceived(view) : presentCharge(view)),
  };
}

/** What the chain shows of a payment. */
function presentReceived(view: OnchainView): Partial<PresentedPayment> {
  const { payment, deposits } = view;
  return {
    actual_crypto_amount: deposits.received === 0n ? null : showAmount(payment, deposits.received),
    assigned_address: payment.address,
    confirmations: deposits.knownBy === null ? 0 : confirmationsOf(view, deposits.knownBy),
    deposits: deposits.largest.map((deposit) => ({
      tx_hash: deposit.txHash,
      amount: showAmount(deposit, deposit.amount),
      confirmations: confirmationsOf(view, deposit),
      status: shownStatus(deposit),
      ...(isOwnAsset(payment, deposit) ? {} : { network: deposit.network, currency: deposit.currency }),
    })),
    deposits_total: deposits.total,
    remaining: isOpen(payment) ? showAmount(payment, remainingAmount(view)) : null,
    required_confirmations: confirmationsNeeded(payment),
  };
}

/** What the provider shows of a payment. */
function presentCharge({ payment }: ProviderView): Partial<PresentedPayment> {
  const amount = showCharged(payment, payment.expectedAmount);
  const amountOrNull = (value: bigint | null) => (value === null ? null : showCharged(payment, value));
  return {
    actual_crypto_amount: payment.confirmedAt === null ? null : amount,
    remaining: payment.status === 'pending' ? amount : null,
    provider: {
      name: payment.network,
      type: payment.providerType,
      reference: payment.reference,
      status: payment.chargeStatus,
      mode: payment.mode,
      checkout_url: payment.checkoutUrl,
      amount,
      currency: payment.currency.toUpperCase(),
      fee: amountOrNull(payment.fee),
      net: amountOrNull(payment.net),
      refunded: showCharged(payment, payment.refunded),
      disputed: payment.disputed,
    },
  };
}

export function expectedShown({ payment }: Pick<PaymentView, 'payment'>): string {
  const { expectedAmount } = payment;
  return payment.kind === 'provider'
    ? showCharged(payment, expectedAmount)
    : showAmount(payment, expectedAmount);
}

/** The transaction, or the provider's id, that a payment is known by; empty until there is one. */
export function knownTx(view: PaymentView): string {
  return (view.kind === 'onchain' ? view.deposits.knownBy?.txHash : view.payment.chargeId) ?? '';
}

/** With the decimals of the currency, as people write it. */
function showCharged({ decimals }: ProviderPayment, amount: bigint): string {
  return formatAmount(amount, decimals, decimals);
}

export function presentPrice({ minorUnits, currency }: FiatAmount): { amount: string; currency: string } {
  const code = parseFiatCode(currency);
  const exponent = code === null ? 2 : fiatExponent(code);
  return { amount: formatAmount(BigInt(minorUnits), exponent, exponent), currency };
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
export function shownAmount(view: PaymentView): string {
  if (view.kind === 'provider') return expectedShown(view);
  const { payment, deposits } = view;
  const nothing = deposits.received < payment.dustAmount;
  return showAmount(payment, nothing ? payment.expectedAmount : deposits.received);
}

/**
 * What is still to be paid of what was asked for, or of what an operator accepted as enough. Where that was another asset
 * alone, and the chain took it back, all of what was asked for is missing.
 */
export function remainingAmount({ payment, deposits }: OnchainView): bigint {
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

function confirmationsOf(view: OnchainView, deposit: Deposit): number {
  return confirmationsAt(view.heads[deposit.network] ?? 0, deposit.height);
}
