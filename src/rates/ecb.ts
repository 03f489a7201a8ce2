import { parseFiatCode } from '../core/fiat.ts';
import { parseRate, type Rate, rateDecimals } from '../core/money.ts';
import type { PriceClient } from './http.ts';
import type { FiatAnswer, FiatSource } from './source.ts';

export const ecbUrl = 'https://www.ecb.europa.eu/stats/eurofxref/eurofxref-daily.xml';

/** From the Thursday before Easter to the Tuesday after it there is no new table, ms. */
const longestGapMs = 6 * 24 * 60 * 60 * 1000;

/**
 * The European Central Bank's reference rates: one table each working day at about 16:00 in Frankfurt, units per euro.
 * https://www.ecb.europa.eu/stats/policy_and_exchange_rates/euro_reference_exchange_rates/html/index.en.html
 * Over a weekend the table of Friday is the current one: it is as old as the question, not as its date.
 */
export function createEcb(client: PriceClient, url = ecbUrl): FiatSource {
  return {
    name: 'ecb',
    host: new URL(url).host,
    ask: async (signal) => {
      const answer = await client.getText(url, signal);
      if (answer.kind === 'failed') return answer;
      const table = readEcbTable(answer.body);
      if (table === null) return { kind: 'failed', reason: 'unexpected answer', retryAfterMs: null };
      const stale = answer.observedAt - table.day > longestGapMs;
      return { kind: 'rates', rates: table.rates, observedAt: stale ? table.day : answer.observedAt };
    },
  };
}

/** Dollars per unit of each currency of a table, and the day it is of, Unix ms; null when it is none. */
export function readEcbTable(
  xml: string,
): { day: number; rates: Extract<FiatAnswer, { kind: 'rates' }>['rates'] } | null {
  const day = Date.parse(/<Cube\s+time=['"](\d{4}-\d\d-\d\d)['"]/.exec(xml)?.[1] ?? '');
  const perEuro = new Map<string, Rate>();
  for (const [, code = '', text = ''] of xml.matchAll(
    /<Cube\s+currency=['"]([A-Z]{3})['"]\s+rate=['"]([0-9.]{1,32})['"]/g,
  )) {
    const rate = parseRate(text);
    if (rate !== null) perEuro.set(code, rate);
  }
  const usd = perEuro.get('USD');
  if (Number.isNaN(day) || usd === undefined) return null;
  perEuro.set('EUR', 10n ** BigInt(rateDecimals));
  const rates = [...perEuro].flatMap(([code, rate]) => {
    const currency = parseFiatCode(code);
    return currency === null ? [] : [[currency, (usd * 10n ** BigInt(rateDecimals)) / rate] as const];
  });
  return { day, rates: new Map(rates) };
}
