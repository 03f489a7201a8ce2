import { z } from 'zod';
import { parseFiatCode } from '../core/fiat.ts';
import { rateDecimals } from '../core/money.ts';
import type { PriceClient } from './http.ts';
import { readPrice } from './json.ts';
import type { FiatSource } from './source.ts';

export const openexchangeratesUrl = 'https://openexchangerates.org/api/latest.json';

/** `timestamp` in Unix seconds, numbers as they stand in the text: units per dollar. */
const latest = z.object({
  base: z.literal('USD'),
  timestamp: z.string().regex(/^[0-9]{1,12}$/),
  rates: z.record(z.string(), z.string()),
});

/** https://docs.openexchangerates.org/reference/latest-json; the free plan renews them each hour. */
export function createOpenexchangerates(
  client: PriceClient,
  appId: string,
  url = openexchangeratesUrl,
): FiatSource {
  return {
    name: 'openexchangerates',
    host: new URL(url).host,
    ask: async (signal) => {
      const answer = await client.get(`${url}?app_id=${encodeURIComponent(appId)}`, signal);
      if (answer.kind === 'failed') return answer;
      const read = latest.safeParse(answer.body);
      if (!read.success) return { kind: 'failed', reason: 'unexpected answer', retryAfterMs: null };
      const rates = Object.entries(read.data.rates).flatMap(([code, text]) => {
        const currency = parseFiatCode(code);
        const perDollar = readPrice(text);
        if (currency === null || perDollar === null) return [];
        const usdPerUnit = 10n ** BigInt(2 * rateDecimals) / perDollar;
        return usdPerUnit > 0n ? [[currency, usdPerUnit] as const] : [];
      });
      const observedAt = Math.min(answer.observedAt, Number(read.data.timestamp) * 1000);
      return { kind: 'rates', rates: new Map(rates), observedAt };
    },
  };
}
