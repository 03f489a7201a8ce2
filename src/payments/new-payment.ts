import { randomBytes } from 'node:crypto';
import type { Asset, Currency } from '../core/assets.ts';
import { chainTimeAt } from '../core/chain-time.ts';
import type { FiatCode, FiatMoney } from '../core/fiat.ts';
import type { Network } from '../core/networks.ts';
import type { OnchainPayment } from '../core/payment.ts';
import type { ChainState } from '../storage/chains/chains.ts';
import type { PriceQuote } from './quote.ts';

/** What an app asks for, already validated; optional texts are empty. */
export type CreateRequest = {
  merchantId: string;
  network: Network;
  currency: Currency;
  amountUsdCents: number;
  /** What the shop asks for, where it is not these cents. */
  price?: FiatMoney;
  externalOrderId: string;
  customerEmail: string;
  redirectUrl: string;
  metadata: Record<string, unknown>;
  locale?: string;
  checkoutSession?: string | null;
  /** The payment of which this is a fresh quote. */
  replaced?: Pick<OnchainPayment, 'paymentNumber' | 'requotes'>;
  /** `fingerprint` tells two validated bodies apart. */
  idempotency: { key: string; fingerprint: string } | null;
};

export function priceOf({ price, amountUsdCents }: CreateRequest): FiatMoney {
  return price ?? { minorUnits: BigInt(amountUsdCents), currency: 'USD' as FiatCode };
}

/** The payment that is asked for, before it has an address. */
export function newPayment(
  request: CreateRequest,
  asset: Asset,
  quote: PriceQuote,
  now: number,
): Omit<
  OnchainPayment,
  'id' | 'livemode' | 'chain' | 'requiredConfirmations' | 'addressId' | 'address' | keyof Lock
> {
  return {
    paymentNumber: newPaymentNumber(now),
    merchantId: request.merchantId,
    kind: 'onchain',
    status: 'pending',
    reason: null,
    network: request.network,
    currency: request.currency,
    coin: asset.coin,
    token: asset.token,
    decimals: asset.decimals,
    price: { minorUnits: Number(priceOf(request).minorUnits), currency: priceOf(request).currency },
    amountUsdCents: request.amountUsdCents,
    ...quote,
    exceedsTier: false,
    countedAmount: 0n,
    reopened: false,
    toldAmount: 0n,
    completedBy: null,
    externalOrderId: request.externalOrderId,
    customerEmail: request.customerEmail,
    redirectUrl: request.redirectUrl,
    metadata: request.metadata,
    locale: request.locale ?? '',
    checkoutSession: request.checkoutSession ?? null,
    replaces: request.replaced?.paymentNumber ?? null,
    replacedBy: null,
    requotes: request.replaced === undefined ? 0 : request.replaced.requotes + 1,
    paymentToken: newPaymentToken(),
    createdAt: now,
    confirmedAt: null,
    endedAt: null,
    acceptedAt: null,
  };
}

type Lock = Pick<OnchainPayment, 'lockHead' | 'lockChainTime' | 'blockTimeLimit' | 'expiresAt'>;

/**
 * From when to when money counts. `steadyNow` is the time in which the chain's state tells when its head was shown: our
 * clock may be wrong, and then the customer has the whole lifetime by the chain's.
 */
export function lockUnder(state: ChainState, steadyNow: number, now: number, lifetimeSeconds: number): Lock {
  // Whole seconds, as it is shown: what the customer reads is what counts.
  const expiresAt = Math.floor(now / 1000 + lifetimeSeconds) * 1000;
  const lockChainTime = chainTimeAt(state.time, steadyNow);
  const blockTimeLimit = Math.floor(Math.max(expiresAt, lockChainTime + lifetimeSeconds * 1000) / 1000);
  return { lockHead: state.head, lockChainTime, blockTimeLimit, expiresAt };
}

/** Opens the checkout page. */
export function newPaymentToken(): string {
  return randomBytes(32).toString('base64url');
}

/** Crockford's base 32, which leaves out what looks alike: a byte's low five bits choose one character. */
const numberAlphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

/** `PAY-<year>-<10 random characters>`: 50 bits, which tell nobody how many payments a merchant has. */
export function newPaymentNumber(now: number): string {
  const characters = Array.from(randomBytes(10), (byte) => numberAlphabet[byte & 31]);
  return `PAY-${new Date(now).getUTCFullYear()}-${characters.join('')}`;
}
