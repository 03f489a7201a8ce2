import type { RatesConfig } from '../config.ts';
import { type Coin, isStablecoin } from '../core/assets.ts';
import { parityRate, rateDecimals } from '../core/money.ts';
import { type Consensus, findConsensus, type Opinion, peg } from './consensus.ts';
import { fixedRates } from './fixed.ts';
import { type Claim, isPlausible, type Memory, remember } from './plausibility.ts';
import type { Quote } from './rates.ts';
import type { Price, SourceName } from './source.ts';

/** What can be said of a coin's rate at one moment, and whose fresh price was left out of it. */
export type Finding = { quote: Quote | null; reason: string | null; outliers: readonly SourceName[] };

/** The last price of each source and coin, and what follows from them. Does no I/O and reads no clock. */
export type Board = {
  /** The coins whose prices it needs, Tether first because others may be built on it. */
  readonly coins: readonly Coin[];
  /** Newer prices replace older ones of the same coin; the rest counts until it is too old. */
  put(source: SourceName, prices: readonly Price[]): void;
  /** To be called after every answer: remembers what is believed now. Returns claims that are new and implausible. */
  learn(now: number): { coin: Coin; claim: Claim }[];
  /** The rate as it would be quoted. */
  find(coin: Coin, now: number): Finding;
};

export function createBoard(
  config: RatesConfig,
  coins: readonly Coin[],
  everyoneAsked: () => boolean,
): Board {
  const maxAgeMs = config.maxAgeSeconds * 1000;
  const fixed = fixedRates(config);
  const needed = coinsNeeded(
    coins.filter((coin) => !fixed.has(coin)),
    config.sources.includes('binance') && !fixed.has('usdt'),
  );
  const prices = new Map<SourceName, Map<Coin, Price>>();
  // A stablecoin's first rate is measured against what its issuer promises.
  const memories = new Map<Coin, Memory>(
    needed.map((coin) => [coin, { believed: isStablecoin(coin) ? parityRate : null, claim: null }]),
  );

  function consensusOn(coin: Coin, now: number): Consensus {
    const opinions: Opinion[] = [];
    for (const [source, ofSource] of prices) {
      const price = ofSource.get(coin);
      const opinion = price === undefined ? null : inDollars(source, price, now);
      if (opinion !== null) opinions.push(opinion);
    }
    return findConsensus(opinions, now, maxAgeMs);
  }

  /** Null while there is no dollar price of Tether: then nothing is known about what it buys. */
  function inDollars(
    source: SourceName,
    { price, quotedIn, observedAt }: Price,
    now: number,
  ): Opinion | null {
    if (quotedIn === 'usd') return { source, usdPerCoin: price, observedAt };
    const tether = marketRate('usdt', now).quote;
    if (tether === null) return null;
    return {
      source,
      usdPerCoin: (price * tether.usdPerCoin) / 10n ** BigInt(rateDecimals),
      observedAt: Math.min(observedAt, tether.fetchedAt),
    };
  }

  /** Whether prices of `coin` in Tether are of no use. */
  function lacksTether(coin: Coin, now: number): boolean {
    const inTether = [...prices.values()].some((ofSource) => ofSource.get(coin)?.quotedIn === 'usdt');
    return inTether && marketRate('usdt', now).quote === null;
  }

  /** Before pegging. */
  function marketRate(coin: Coin, now: number): Finding {
    const own = fixed.get(coin);
    if (own !== undefined) {
      return { quote: { usdPerCoin: own, sources: ['fixed'], fetchedAt: now }, reason: null, outliers: [] };
    }
    const consensus = consensusOn(coin, now);
    if (consensus.kind === 'none') {
      const reason = lacksTether(coin, now) ? 'no dollar price of Tether' : consensus.reason;
      return { quote: null, reason, outliers: [] };
    }
    const { usdPerCoin, sources, observedAt, outliers } = consensus;
    if (!isPlausible(consensus, memories.get(coin)?.believed ?? null, everyoneAsked())) {
      return { quote: null, reason: 'a single source claims a jump', outliers };
    }
    return { quote: { usdPerCoin, sources, fetchedAt: observedAt }, reason: null, outliers };
  }

  return {
    coins: needed,
    put: (source, newer) => {
      const ofSource = prices.get(source) ?? new Map<Coin, Price>();
      for (const price of newer) ofSource.set(price.coin, price);
      prices.set(source, ofSource);
    },
    learn: (now) => {
      const claims: { coin: Coin; claim: Claim }[] = [];
      for (const [coin, before] of memories) {
        const after = remember(before, consensusOn(coin, now), now, everyoneAsked());
        memories.set(coin, after);
        if (before.claim === null && after.claim !== null) claims.push({ coin, claim: after.claim });
      }
      return claims;
    },
    find: (coin, now) => {
      const finding = marketRate(coin, now);
      if (finding.quote === null) return finding;
      const usdPerCoin = peg(coin, finding.quote.usdPerCoin, config.pegBandBps);
      return { ...finding, quote: { ...finding.quote, usdPerCoin } };
    },
  };
}

function coinsNeeded(coins: readonly Coin[], sourceQuotesInTether: boolean): Coin[] {
  const others = coins.filter((coin) => coin !== 'usdt');
  const needsTether = coins.includes('usdt') || (sourceQuotesInTether && others.length > 0);
  return needsTether ? ['usdt', ...others] : others;
}
