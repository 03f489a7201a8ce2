import type { RatesConfig } from '../config.ts';
import { type Coin, knownCoins } from '../core/assets.ts';
import { parityRate, parseRate, type Rate, rateDecimals } from '../core/money.ts';
import { InvariantError } from '../errors.ts';
import { type Consensus, findConsensus, type Opinion, peg } from './consensus.ts';
import { isPlausible, type Judge, type Memory, remember } from './plausibility.ts';
import type { Quote } from './rates.ts';
import type { Price, PricedCoin, SourceName } from './source.ts';

/** What can be said of a coin's rate at one moment. */
export type Finding = {
  quote: Quote | null;
  /** Why there is no quote. */
  reason: string | null;
  /** Whose fresh price was too far off to count. */
  outliers: readonly SourceName[];
  /** A price that one source alone states and that is not believed. */
  rejected: Rejected | null;
};

export type Rejected = { source: SourceName; usdPerCoin: Rate };

/** The last price of each source and coin, and what follows from them. Does no I/O and reads no clock. */
export type Board = {
  /** The coins whose prices it needs, Tether first because others may be built on it. */
  readonly coins: readonly PricedCoin[];
  /** Newer prices replace older ones of the same coin; the rest counts until it is too old. */
  put(source: SourceName, prices: readonly Price[]): void;
  /** To be called after every answer: remembers what is believed now. */
  learn(now: number): void;
  /** The rate as it would be quoted. */
  find(coin: Coin, now: number): Finding;
};

export function createBoard(
  config: RatesConfig,
  coins: readonly PricedCoin[],
  everyoneAsked: () => boolean,
): Board {
  const maxAgeMs = config.maxAgeSeconds * 1000;
  const fixed = fixedRates(config);
  const needed = coinsNeeded(
    coins.filter(({ coin, rate }) => !fixed.has(coin) && Object.keys(rate.symbols).length > 0),
    config.sources.includes('binance') && !fixed.has('usdt'),
  );
  const prices = new Map<SourceName, Map<Coin, Price>>();
  const memories = new Map<Coin, Memory>(needed.map(({ coin }) => [coin, { reference: null, at: 0 }]));
  const pegs = new Map([...needed, ...coins].map(({ coin, rate }) => [coin, rate.peg]));

  function judgeOf(coin: Coin): Judge {
    return { parity: parityOf(coin), pegBandBps: config.pegBandBps, everyoneAsked: everyoneAsked() };
  }

  /** What a coin is pegged to, in dollars; null for a coin without a peg, or while nobody knows. */
  function parityOf(coin: Coin): Rate | null {
    const peg = pegs.get(coin) ?? null;
    switch (peg) {
      case null:
        return null;
      case 'usd':
        return parityRate;
      case 'eur':
        return fixed.get('eur') ?? null;
      default:
        return peg satisfies never;
    }
  }

  /** Of a coin that no source prices: what it is pegged to. */
  function pegged(coin: Coin, now: number): Finding {
    const parity = parityOf(coin);
    const quote = parity === null ? null : { usdPerCoin: parity, sources: ['peg'], fetchedAt: now };
    const reason = quote === null ? `no rate of what it is pegged to (${pegs.get(coin) ?? 'nothing'})` : null;
    return { quote, reason, outliers: [], rejected: null };
  }

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
      const quote = { usdPerCoin: own, sources: ['fixed'], fetchedAt: now };
      return { quote, reason: null, outliers: [], rejected: null };
    }
    if (!memories.has(coin)) return pegged(coin, now);
    const consensus = consensusOn(coin, now);
    if (consensus.kind === 'none') {
      const reason = lacksTether(coin, now) ? 'no dollar price of Tether' : consensus.reason;
      return { quote: null, reason, outliers: [], rejected: null };
    }
    const { usdPerCoin, sources, observedAt, outliers } = consensus;
    const reference = memories.get(coin)?.reference ?? null;
    const [source] = sources;
    if (source !== undefined && !isPlausible(consensus, reference, judgeOf(coin))) {
      const reason = 'one source alone states a price that no other confirms';
      return { quote: null, reason, outliers, rejected: { source, usdPerCoin } };
    }
    return { quote: { usdPerCoin, sources, fetchedAt: observedAt }, reason: null, outliers, rejected: null };
  }

  return {
    coins: needed,
    put: (source, newer) => {
      const ofSource = prices.get(source) ?? new Map<Coin, Price>();
      for (const price of newer) ofSource.set(price.coin, price);
      prices.set(source, ofSource);
    },
    learn: (now) => {
      for (const [coin, memory] of memories) {
        memories.set(coin, remember(memory, consensusOn(coin, now), now, judgeOf(coin)));
      }
    },
    find: (coin, now) => {
      const finding = marketRate(coin, now);
      if (finding.quote === null) return finding;
      const usdPerCoin = peg(parityOf(coin), finding.quote.usdPerCoin, config.pegBandBps);
      return { ...finding, quote: { ...finding.quote, usdPerCoin } };
    },
  };
}

function coinsNeeded(coins: readonly PricedCoin[], sourceQuotesInTether: boolean): PricedCoin[] {
  const others = coins.filter(({ coin }) => coin !== 'usdt');
  const own = coins.find(({ coin }) => coin === 'usdt');
  const tether = own ?? { coin: 'usdt', rate: knownCoins.usdt };
  return own !== undefined || (sourceQuotesInTether && others.length > 0) ? [tether, ...others] : others;
}

/**
 * The operator's own prices, where `sources` lists `fixed`. For a coin named there it is the only price: no
 * market is asked or mixed in, it holds from the first moment, and it is never too old.
 */
function fixedRates(config: RatesConfig): ReadonlyMap<string, Rate> {
  const rates = new Map<string, Rate>();
  if (!config.sources.includes('fixed')) return rates;
  for (const [coin, text] of Object.entries(config.fixed)) {
    const rate = parseRate(text);
    if (rate === null) throw new InvariantError(`rates.fixed.${coin} is not a positive decimal`);
    rates.set(coin, rate);
  }
  return rates;
}
