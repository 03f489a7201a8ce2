import type { z } from 'zod';
import { type FiatMoney, parseFiatCode } from '../../core/fiat.ts';
import type { PaymentView } from '../../core/payment.ts';
import { InvariantError } from '../../errors.ts';
import { priceIn } from '../../payments/quote.ts';
import type { Offer, ProviderDesk } from '../../providers/desk.ts';
import type { Rates } from '../../rates/rates.ts';
import { fieldError, serviceError } from '../http/errors.ts';
import type { createPaymentSchema } from './payment-request.ts';
import { worthInUsdCents } from './payment-request.ts';
import { providerError } from './provider-answers.ts';

type Body = z.output<typeof createPaymentSchema>;

/** The providers that this merchant may use. */
export function offersFor(desk: ProviderDesk, merchantId: string): Offer[] {
  return desk
    .offers()
    .filter(({ enabled, currencies }) => enabled && currencies.length > 0)
    .filter(({ merchants }) => merchants === null || merchants.includes(merchantId));
}

/** The provider that a creation names, if it is one of them. */
export function offerFor(desk: ProviderDesk, network: string, merchantId: string): Offer | null {
  return offersFor(desk, merchantId).find(({ name }) => name === network) ?? null;
}

/**
 * Makes a payment by a provider, in its currency: the price itself where it is in that, else converted, rounded up.
 *
 * @throws HttpError for everything but a payment.
 */
export async function createByProvider(
  { desk, rates }: { desk: ProviderDesk; rates: Rates },
  offer: Offer,
  body: Body,
  request: {
    merchantId: string;
    livemode: boolean;
    price: FiatMoney;
    idempotency: { key: string; fingerprint: string } | null;
  },
): Promise<{ outcome: 'created' | 'replayed'; view: PaymentView }> {
  const currency = parseFiatCode(body.currency);
  if (currency === null || !offer.currencies.includes(currency)) {
    const offered = offer.currencies.map((code) => code.toLowerCase()).join(', ');
    throw fieldError(
      'currency',
      `${body.currency} on ${body.network} is not offered here; expected one of ${offered}`,
    );
  }
  const { price } = request;
  const amountUsdCents = worthInUsdCents(price, rates);

  const outcome = await desk.create(offer.name, {
    merchantId: request.merchantId,
    amount: amountUsdCents === null ? null : priceIn(currency, price, rates),
    currency,
    price: { minorUnits: Number(price.minorUnits), currency: price.currency },
    amountUsdCents: amountUsdCents ?? 0,
    externalOrderId: body.external_order_id,
    customerEmail: body.customer_email,
    redirectUrl: body.redirect_url,
    metadata: body.metadata,
    locale: body.locale,
    livemode: request.livemode,
    idempotency: request.idempotency,
  });
  if (outcome === null) throw fieldError('network', 'there is no such network here');
  switch (outcome.outcome) {
    case 'created':
    case 'replayed':
      return outcome;
    case 'idempotency_key_reused':
      throw serviceError(
        422,
        'idempotency_key_reused',
        'This Idempotency-Key was used with another body in the last 24 hours; use a new key.',
      );
    case 'idempotency_key_in_use':
      throw serviceError(
        409,
        'idempotency_key_in_use',
        'The first request with this Idempotency-Key is still running; try again.',
        { 'retry-after': '5' },
      );
    case 'rate_unavailable':
      throw serviceError(
        503,
        'rate_unavailable',
        `There is no trustworthy rate for ${currency} at the moment.`,
        { 'retry-after': '60' },
      );
    case 'not_offered':
      throw fieldError(body.amount === undefined ? 'amount_usd_cents' : 'amount', outcome.reason);
    case 'not_admitted':
      throw new InvariantError('nobody was to admit it');
    case 'provider_failed':
    case 'provider_unavailable':
      throw providerError(outcome, offer.label);
    default:
      return outcome satisfies never;
  }
}
