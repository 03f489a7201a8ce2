import type { Rate } from '../core/money.ts';
import type { SourceName } from './source.ts';

/** A source's price in US dollars. */
export type Opinion = { source: SourceName; usdPerCoin: Rate; observedAt: number };

export type Consensus =
  | {
      kind: 'agreed';
      usdPerCoin: Rate;
      /** Who agreed, in alphabetical order. */
      sources: readonly SourceName[];
      /** Whose fresh price was too far off to count. */
      outliers: readonly SourceName[];
      /** Of the oldest price that counts. */
      observedAt: number;
    }
  | { kind: 'none'; reason: 'no fresh price' | 'sources disagree' };

/** Farther than this from the median, a price is an outlier. Honest markets differ by far less. */
export const outlierBps = 200n;

/**
 * What the sources say together. Pure; the order of `opinions` (at most one of each source) is irrelevant.
 *
 * 1. A price counts for `maxAgeMs` after it was observed. None fresh: no rate.
 * 2. Prices farther than {@link outlierBps} from the median are outliers and dropped.
 * 3. What is left must be more than half of the fresh ones, and its median is the rate. Otherwise the
 *    sources disagree and there is no rate: one source alone is believed (but see plausibility.ts), of two
 *    that contradict each other neither is, of three two must stand together, of four three.
 */
export function findConsensus(opinions: readonly Opinion[], now: number, maxAgeMs: number): Consensus {
  // A clock that was set back must not keep an old price alive, hence the absolute value.
  const fresh = opinions.filter(({ observedAt }) => Math.abs(now - observedAt) <= maxAgeMs);
  if (fresh.length === 0) return { kind: 'none', reason: 'no fresh price' };
  const middle = median(fresh.map(({ usdPerCoin }) => usdPerCoin));
  const close = fresh.filter(({ usdPerCoin }) => differsAtMost(usdPerCoin, middle, outlierBps));
  if (close.length * 2 <= fresh.length) return { kind: 'none', reason: 'sources disagree' };
  return {
    kind: 'agreed',
    usdPerCoin: median(close.map(({ usdPerCoin }) => usdPerCoin)),
    sources: close.map(({ source }) => source).sort(),
    outliers: fresh
      .filter((opinion) => !close.includes(opinion))
      .map(({ source }) => source)
      .sort(),
    observedAt: Math.min(...close.map(({ observedAt }) => observedAt)),
  };
}

/** Whether `rate` lies within `bps` hundredths of a percent of `reference`. */
export function differsAtMost(rate: Rate, reference: Rate, bps: bigint): boolean {
  const distance = rate > reference ? rate - reference : reference - rate;
  return distance * 10_000n <= reference * bps;
}

/** The price that is quoted: within `pegBandBps` of what a coin is pegged to, it is just that. */
export function peg(parity: Rate | null, usdPerCoin: Rate, pegBandBps: number): Rate {
  return parity !== null && differsAtMost(usdPerCoin, parity, BigInt(pegBandBps)) ? parity : usdPerCoin;
}

/** Of an even number the mean of the two in the middle, rounded down. */
function median(rates: readonly Rate[]): Rate {
  const sorted = [...rates].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  const upper = sorted[sorted.length >> 1] as Rate;
  const lower = sorted[(sorted.length - 1) >> 1] as Rate;
  return (lower + upper) / 2n;
}
