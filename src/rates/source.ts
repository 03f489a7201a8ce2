import type { FiatRatesConfig, RatesConfig } from '../config.ts';
import type { Coin, CoinRate, RateSource } from '../core/assets.ts';
import type { FiatCode } from '../core/fiat.ts';
import type { Rate } from '../core/money.ts';

/*
 * The contract of a price source. A source asks one host, once, and reads the answer: it remembers nothing,
 * retries nothing and never throws. Prices that the operator fixed are no such source (see board.ts): there
 * is nobody to ask, and they are never too old.
 */

export type SourceName = (RatesConfig | FiatRatesConfig)['sources'][number];
export type AskedSourceName = RateSource;

/** A coin that the configured chains can be paid with. */
export type PricedCoin = { coin: Coin; rate: CoinRate };

/** What a source calls the coins that it can price. */
export type Symbols = ReadonlyMap<Coin, string>;

/** One price as its source states it. */
export type Price = {
  coin: Coin;
  /** What one coin costs, in `quotedIn`. */
  price: Rate;
  /** Some markets trade against Tether only; the dollar price then needs Tether's own. */
  quotedIn: 'usd' | 'usdt';
  /** Unix ms when the source says that it was so, otherwise when it was asked; never after it was asked. */
  observedAt: number;
};

export type Answer =
  /** At least one price. Coins without a usable price are left out. */
  | { kind: 'prices'; prices: readonly Price[] }
  /** `reason` is a phrase without secrets. `retryAfterMs`: how long the source wants to be left alone. */
  | { kind: 'failed'; reason: string; retryAfterMs: number | null };

export type PriceSource = {
  name: AskedSourceName;
  host: string;
  /** The coins it can price; it is not asked when none of them is needed. */
  coins: readonly Coin[];
  /** Asks for those of `coins` that it can price. Ends within the client's time-out. */
  ask(coins: readonly Coin[], signal: AbortSignal): Promise<Answer>;
};

/** Turns what was read into an answer. */
export function answerOf(prices: readonly Price[]): Answer {
  return prices.length > 0
    ? { kind: 'prices', prices }
    : { kind: 'failed', reason: 'no usable price in the answer', retryAfterMs: null };
}

export type FiatAnswer =
  /** Dollars per unit. */
  | { kind: 'rates'; rates: ReadonlyMap<FiatCode, Rate>; observedAt: number }
  | { kind: 'failed'; reason: string; retryAfterMs: number | null };

/** A table of many currencies, asked for in one request. Never throws. */
export type FiatSource = {
  name: 'ecb' | 'openexchangerates';
  host: string;
  ask(signal: AbortSignal): Promise<FiatAnswer>;
};
