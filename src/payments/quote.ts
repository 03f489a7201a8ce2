import type { ChainConfig, PaymentPolicy } from '../config.ts';
import { type Asset, quoteDecimals } from '../core/assets.ts';
import {
  convertUp,
  type FiatCode,
  type FiatMoney,
  fiatExponent,
  parseFiatCode,
  usdCentsHalfUp,
} from '../core/fiat.ts';
import { formatRate, lessToleranceUp, quotePriceUp, quoteUp } from '../core/money.ts';
import type { FiatAmount, OnchainPayment } from '../core/payment.ts';
import { InvariantError } from '../errors.ts';
import type { Rates } from '../rates/rates.ts';

/** A price in coins, fixed for one payment. */
export type PriceQuote = {
  /** What the customer is asked for, in base units. */
  expectedAmount: bigint;
  /** What suffices. */
  requiredAmount: bigint;
  /** Less than this in all counts as nothing received. */
  dustAmount: bigint;
  /** The first tier that the price fits in. */
  tier: OnchainPayment['tier'];
  usdPerCoin: string;
};

type QuotePolicy = Pick<PaymentPolicy, 'toleranceBps' | 'dustUsdCents'> &
  Pick<ChainConfig, 'confirmationTiers'>;

/** Null when no rate can be trusted now: nothing is ever guessed. */
export function quotePrice(
  rates: Rates,
  asset: Asset,
  price: FiatMoney,
  { toleranceBps, dustUsdCents, confirmationTiers }: QuotePolicy,
): PriceQuote | null {
  const quote = rates.quote(asset.coin);
  const usdPerUnit = rates.usdPer(price.currency);
  if (quote === null || usdPerUnit === null) return null;
  const places = Math.min(asset.rate.peg === null ? 8 : quoteDecimals(asset), asset.decimals);
  const expectedAmount = quotePriceUp(
    { minorUnits: price.minorUnits, exponent: fiatExponent(price.currency), usdPerUnit },
    quote.usdPerCoin,
    places,
    asset.decimals,
  );
  const requiredAmount = lessToleranceUp(expectedAmount, toleranceBps);
  // Rounded as the price is: a payment of just so much is not above it.
  const tiers = confirmationTiers.map(({ confirmations, upToUsdCents }) => {
    return { confirmations, upToAmount: quoteUp(upToUsdCents, quote.usdPerCoin, places, asset.decimals) };
  });
  const dust = quoteUp(dustUsdCents, quote.usdPerCoin, asset.decimals, asset.decimals);
  return {
    expectedAmount,
    requiredAmount,
    // What suffices is never dust, nor is nothing at all anything.
    dustAmount: clamp(dust, 1n, requiredAmount),
    tier: tiers.find(({ upToAmount }) => expectedAmount <= upToAmount) ?? null,
    usdPerCoin: formatRate(quote.usdPerCoin),
  };
}

/** A price as it is stored. @throws InvariantError where its currency is none. */
export function fiatMoneyOf({ minorUnits, currency }: FiatAmount): FiatMoney {
  const code = parseFiatCode(currency);
  if (code === null) throw new InvariantError(`a price in the unknown currency ${currency}`);
  return { minorUnits: BigInt(minorUnits), currency: code };
}

/** Worth in US cents at the rate of now, rounded half up; null when no rate can be trusted. */
export function usdCentsOf(price: FiatMoney, rates: Rates): number | null {
  const usdPerUnit = rates.usdPer(price.currency);
  return usdPerUnit === null ? null : Number(usdCentsHalfUp(price, usdPerUnit));
}

/** A price in another currency, rounded up: the price itself where it is in that. Null when no rate can be trusted. */
export function priceIn(currency: FiatCode, price: FiatMoney, rates: Rates): bigint | null {
  if (price.currency === currency) return price.minorUnits;
  const [usdPerUnit, usdPerOther] = [rates.usdPer(price.currency), rates.usdPer(currency)];
  if (usdPerUnit === null || usdPerOther === null) return null;
  return convertUp(price, usdPerUnit, currency, usdPerOther);
}

function clamp(value: bigint, least: bigint, most: bigint): bigint {
  if (value > most) return most;
  return value < least ? least : value;
}
