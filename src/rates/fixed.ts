import type { RatesConfig } from '../config.ts';
import { parseRate, type Rate } from '../core/money.ts';
import { InvariantError } from '../errors.ts';

/**
 * The operator's own prices, where `sources` lists `fixed`. For a coin named there it is the only price: no
 * market is asked or mixed in, it holds from the first moment, and it is never too old.
 */
export function fixedRates(config: RatesConfig): ReadonlyMap<string, Rate> {
  const rates = new Map<string, Rate>();
  if (!config.sources.includes('fixed')) return rates;
  for (const [coin, text] of Object.entries(config.fixed)) {
    const rate = parseRate(text);
    if (rate === null) throw new InvariantError(`rates.fixed.${coin} is not a positive decimal`);
    rates.set(coin, rate);
  }
  return rates;
}
