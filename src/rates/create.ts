import type { Clock } from '../clock.ts';
import type { Config, RatesConfig } from '../config.ts';
import type { Coin } from '../core/assets.ts';
import { formatRate } from '../core/money.ts';
import type { Logger } from '../log.ts';
import { createBinance } from './binance.ts';
import { createBoard, type Finding } from './board.ts';
import { createCoinbase } from './coinbase.ts';
import { createCoingecko } from './coingecko.ts';
import { createFiatRates } from './fiat.ts';
import { createPriceClient, type PriceClient } from './http.ts';
import { createKraken } from './kraken.ts';
import type { Rates } from './rates.ts';
import type { AskedSourceName, PricedCoin, PriceSource, SourceName, Symbols } from './source.ts';

export type RatesOptions = {
  config: RatesConfig;
  /** What the configured chains can be paid with; nothing else is asked for. */
  coins: readonly PricedCoin[];
  clock: Clock;
  log: Logger;
  /** Other hosts to ask, in tests. */
  baseUrls?: Partial<Record<AskedSourceName, string>>;
};

export type SourceStatus = {
  name: SourceName;
  /** Null for `fixed`, which asks nobody. */
  host: string | null;
  /** When it last gave a price, Unix ms; null before that. */
  answeredAt: number | null;
  /** Host and phrase; null while it answers. */
  lastError: string | null;
  /** Unix ms until which it is left alone, as it wished; null when it may be asked. */
  backoffUntil: number | null;
};

export type CoinStatus = { coin: Coin } & Finding;

export type RatesService = Rates & {
  /**
   * The step of a loop: asks every source at once and takes each answer as it arrives. Ends within a third of
   * `maxAgeSeconds` (5 s at most), so a source that hangs lets no price of another grow old. Never throws.
   */
  refresh(signal: AbortSignal): Promise<void>;
  /** To wait from the end of a refresh to the next. */
  readonly intervalMs: number;
  status(): { sources: SourceStatus[]; coins: CoinStatus[] };
  close(): Promise<void>;
};

const longestIntervalMs = 20_000;
const longestTimeoutMs = 5_000;

/** A source and how it does. */
type Seat = { source: PriceSource; asked: boolean; status: SourceStatus };

export function createRates({ config, coins, clock, log, baseUrls = {} }: RatesOptions): RatesService {
  const thirdMs = Math.floor((config.maxAgeSeconds * 1000) / 3);
  const client = createPriceClient({
    clock,
    timeoutMs: Math.min(longestTimeoutMs, thirdMs),
    // What the operator names as a mirror may be in the operator's own network.
    allowHosts: [...Object.values(baseUrls), config.fiat.ecbUrl, config.fiat.openexchangeratesUrl].flatMap(
      (url) => (url == null ? [] : [new URL(url).hostname]),
    ),
  });
  const fiat = createFiatRates(config.fiat, { client, clock, log });
  const board = createBoard(config, coins, () => seats.every(({ asked }) => asked));
  const needed = board.coins.map(({ coin }) => coin);
  const seats = createSources(client, config.sources, board.coins, baseUrls)
    .filter((source) => source.coins.length > 0)
    .map((source): Seat => ({ source, asked: false, status: unheard(source.name, source.host) }));
  const reported = new Map<string, string>();

  async function ask(seat: Seat, signal: AbortSignal): Promise<void> {
    const { source, status } = seat;
    if (status.backoffUntil !== null && clock() < status.backoffUntil) return;
    const answer = await source.ask(needed, signal);
    if (signal.aborted) return;
    seat.asked = true;
    const fields = { source: source.name, host: source.host };
    switch (answer.kind) {
      case 'prices':
        if (status.lastError !== null) log.info(fields, 'rate source answers again');
        seat.status = { ...status, answeredAt: clock(), lastError: null, backoffUntil: null };
        board.put(source.name, answer.prices);
        break;
      case 'failed': {
        if (status.lastError === null) log.warn({ ...fields, reason: answer.reason }, 'rate source failed');
        const backoffUntil = answer.retryAfterMs === null ? null : clock() + answer.retryAfterMs;
        seat.status = { ...status, lastError: `${source.host}: ${answer.reason}`, backoffUntil };
        break;
      }
      default:
        answer satisfies never;
    }
    board.learn(clock());
  }

  /** Logs what changed since the last refresh. */
  function report(): void {
    for (const { coin } of coins) {
      const { quote, reason, outliers, rejected } = board.find(coin, clock());
      if (changed(`${coin} rejected`, rejected?.source ?? '') && rejected !== null) {
        const fields = { coin, source: rejected.source, usd_per_coin: formatRate(rejected.usdPerCoin) };
        log.warn(fields, 'rate jump rejected');
      }
      const [only, ...more] = quote?.sources ?? [];
      const asked = seats.some(({ source }) => source.name === only);
      const alone = only !== undefined && asked && more.length === 0 && canBePricedByMore(coin);
      if (changed(`${coin} alone`, alone ? only : '') && alone) {
        log.warn({ coin, source: only }, 'rate from one source alone');
      }
      if (changed(`${coin} reason`, reason ?? '')) {
        if (reason === null) log.info({ coin }, 'rate available again');
        else log.warn({ coin, reason }, 'rate unavailable');
      }
      if (changed(`${coin} outliers`, outliers.join()) && outliers.length > 0) {
        log.warn({ coin, sources: outliers }, 'rate outlier dropped');
      }
    }
  }

  /** Where one source alone could ever say, the operator knows. */
  function canBePricedByMore(coin: Coin): boolean {
    return seats.filter(({ source }) => source.coins.includes(coin)).length > 1;
  }

  function changed(subject: string, value: string): boolean {
    const before = reported.get(subject) ?? '';
    reported.set(subject, value);
    return before !== value;
  }

  return {
    quote: (coin) => board.find(coin, clock()).quote,
    usdPer: fiat.usdPer,
    intervalMs: Math.min(longestIntervalMs, thirdMs),
    refresh: async (signal) => {
      await Promise.all([...seats.map((seat) => ask(seat, signal)), fiat.refresh(signal)]);
      if (!signal.aborted) report();
    },
    status: () => ({
      sources: [
        ...(config.sources.includes('fixed') ? [{ ...unheard('fixed', null), answeredAt: clock() }] : []),
        ...seats.map(({ status }) => status),
      ],
      coins: coins.map(({ coin }) => ({ coin, ...board.find(coin, clock()) })),
    }),
    close: client.close,
  };
}

function unheard(name: SourceName, host: string | null): SourceStatus {
  return { name, host, answeredAt: null, lastError: null, backoffUntil: null };
}

function createSources(
  client: PriceClient,
  names: RatesConfig['sources'],
  coins: readonly PricedCoin[],
  baseUrls: Partial<Record<AskedSourceName, string>>,
): PriceSource[] {
  return [...new Set(names)].flatMap((name): PriceSource[] => {
    switch (name) {
      case 'binance':
        return [createBinance(client, symbolsAt('binance', coins), baseUrls.binance)];
      case 'coinbase':
        return [createCoinbase(client, symbolsAt('coinbase', coins), baseUrls.coinbase)];
      case 'kraken':
        return [createKraken(client, symbolsAt('kraken', coins), baseUrls.kraken)];
      case 'coingecko':
        return [createCoingecko(client, symbolsAt('coingecko', coins), baseUrls.coingecko)];
      case 'fixed':
        return [];
      default:
        return name satisfies never;
    }
  });
}

/** What the configured chains can be paid with, each coin once. */
export function coinsOf(chains: Config['chains']): PricedCoin[] {
  const assets = Object.values(chains).flatMap((chain) => chain.assets);
  return [...new Map(assets.map(({ coin, rate }) => [coin, { coin, rate }])).values()];
}

function symbolsAt(source: AskedSourceName, coins: readonly PricedCoin[]): Symbols {
  return new Map(
    coins.flatMap(({ coin, rate }) => {
      const symbol = rate.symbols[source];
      return symbol === undefined ? [] : [[coin, symbol] as const];
    }),
  );
}
