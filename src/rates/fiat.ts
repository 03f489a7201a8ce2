import type { Clock } from '../clock.ts';
import type { FiatRatesConfig } from '../config.ts';
import type { FiatCode } from '../core/fiat.ts';
import { parityRate, parseRate, type Rate } from '../core/money.ts';
import type { Logger } from '../log.ts';
import { findConsensus, type Opinion } from './consensus.ts';
import { createEcb } from './ecb.ts';
import type { PriceClient } from './http.ts';
import { createOpenexchangerates } from './openexchangerates.ts';
import { isPlausible, type Judge, type Memory, remember } from './plausibility.ts';
import type { FiatSource } from './source.ts';

export type FiatRates = {
  /** US dollars per unit of a currency; null when nobody can be trusted about it now. Does no I/O. */
  usdPer(currency: FiatCode): Rate | null;
  /** Asks the sources whose time has come. Never throws. */
  refresh(signal: AbortSignal): Promise<void>;
};

/** Tables are renewed once an hour or once a day, ms; after a failure somebody asks again sooner. */
const everyMs = 60 * 60 * 1000;
const againMs = 5 * 60 * 1000;

type Seat = {
  source: FiatSource;
  dueAt: number;
  asked: boolean;
  failing: boolean;
  rates: ReadonlyMap<FiatCode, Rate>;
  observedAt: number;
};

/** The dollar is one. For all others the rules of coins hold: see consensus.ts and plausibility.ts. */
export function createFiatRates(
  config: FiatRatesConfig,
  { client, clock, log }: { client: PriceClient; clock: Clock; log: Logger },
): FiatRates {
  const maxAgeMs = config.maxAgeSeconds * 1000;
  const fixed = new Map<string, Rate | null>(
    Object.entries(config.sources.includes('fixed') ? config.fixed : {}).map(([code, text]) => [
      code.toUpperCase(),
      parseRate(text),
    ]),
  );
  const memories = new Map<FiatCode, Memory>();
  const seats = sourcesOf(config, client).map(
    (source): Seat => ({
      source,
      dueAt: Number.NEGATIVE_INFINITY,
      asked: false,
      failing: false,
      rates: new Map(),
      observedAt: 0,
    }),
  );

  function opinionsOn(currency: FiatCode): Opinion[] {
    return seats.flatMap(({ source, rates, observedAt }): Opinion[] => {
      const usdPerCoin = rates.get(currency);
      return usdPerCoin === undefined ? [] : [{ source: source.name, usdPerCoin, observedAt }];
    });
  }

  function judge(): Judge {
    return { parity: null, pegBandBps: 0, everyoneAsked: seats.every(({ asked }) => asked) };
  }

  async function ask(seat: Seat, signal: AbortSignal): Promise<void> {
    const now = clock();
    if (now < seat.dueAt && seat.dueAt - now <= everyMs) return;
    const { source } = seat;
    const answer = await source.ask(signal);
    if (signal.aborted) return;
    seat.asked = true;
    const fields = { source: source.name, host: source.host };
    if (answer.kind === 'failed') {
      seat.dueAt = now + Math.max(againMs, answer.retryAfterMs ?? 0);
      if (!seat.failing) log.warn({ ...fields, reason: answer.reason }, 'rate source failed');
      seat.failing = true;
      return;
    }
    if (seat.failing) log.info(fields, 'rate source answers again');
    Object.assign(seat, { failing: false, rates: answer.rates, observedAt: answer.observedAt });
    seat.dueAt = now + everyMs;
  }

  return {
    usdPer(currency) {
      if (currency === 'USD') return parityRate;
      const own = fixed.get(currency);
      if (own != null) return own;
      const consensus = findConsensus(opinionsOn(currency), clock(), maxAgeMs);
      const reference = memories.get(currency)?.reference ?? null;
      return consensus.kind === 'agreed' && isPlausible(consensus, reference, judge())
        ? consensus.usdPerCoin
        : null;
    },
    async refresh(signal) {
      await Promise.all(seats.map((seat) => ask(seat, signal)));
      const now = clock();
      for (const currency of new Set(seats.flatMap(({ rates }) => [...rates.keys()]))) {
        const memory = memories.get(currency) ?? { reference: null, at: 0 };
        const consensus = findConsensus(opinionsOn(currency), now, maxAgeMs);
        memories.set(currency, remember(memory, consensus, now, judge()));
      }
    },
  };
}

function sourcesOf(config: FiatRatesConfig, client: PriceClient): FiatSource[] {
  return [...new Set(config.sources)].flatMap((name): FiatSource[] => {
    switch (name) {
      case 'ecb':
        return [createEcb(client, config.ecbUrl ?? undefined)];
      case 'openexchangerates': {
        const { openexchangeratesAppId: appId, openexchangeratesUrl: url } = config;
        return appId === null ? [] : [createOpenexchangerates(client, appId, url ?? undefined)];
      }
      case 'fixed':
        return [];
      default:
        return name satisfies never;
    }
  });
}
