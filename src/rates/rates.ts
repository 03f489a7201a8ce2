import type { Coin } from '../core/assets.ts';
import type { FiatCode } from '../core/fiat.ts';
import type { Rate } from '../core/money.ts';

/** A price that may be quoted now. */
export type Quote = {
  usdPerCoin: Rate;
  /** Names of the sources that agreed on it. */
  sources: readonly string[];
  /** Unix ms of the oldest answer in it. */
  fetchedAt: number;
};

/** What the rest of the program knows of prices. */
export type Rates = {
  /** The price of `coin`, or null when no source is fresh and plausible: then nothing is quoted. Does no I/O. */
  quote(coin: Coin): Quote | null;
  /** US dollars per unit of a currency, by the same rules; the dollar is one. Does no I/O. */
  usdPer(currency: FiatCode): Rate | null;
};
