import { type Asset, quoteDecimals } from '../core/assets.ts';
import { formatRate, lessToleranceUp, quoteUp } from '../core/money.ts';
import type { Rates } from '../rates/rates.ts';

/** A price in coins, fixed for one payment. */
export type PriceQuote = {
  /** What the customer is asked for, in base units. */
  expectedAmount: bigint;
  /** What suffices. */
  requiredAmount: bigint;
  usdPerCoin: string;
};

/** Null when no rate can be trusted now: nothing is ever guessed. */
export function quotePrice(
  rates: Rates,
  asset: Asset,
  amountUsdCents: number,
  toleranceBps: number,
): PriceQuote | null {
  const quote = rates.quote(asset.coin);
  if (quote === null) return null;
  const places = Math.min(asset.rate.peg === null ? 8 : quoteDecimals(asset), asset.decimals);
  const expectedAmount = quoteUp(amountUsdCents, quote.usdPerCoin, places, asset.decimals);
  return {
    expectedAmount,
    requiredAmount: lessToleranceUp(expectedAmount, toleranceBps),
    usdPerCoin: formatRate(quote.usdPerCoin),
  };
}
