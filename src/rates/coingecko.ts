import { z } from 'zod';
import type { PriceClient } from './http.ts';
import { readPrice } from './json.ts';
import { answerOf, type Price, type PriceSource, type Symbols } from './source.ts';

const coingeckoUrl = 'https://api.coingecko.com';

/** `last_updated_at` in Unix seconds. A coin without a price has `null` or no key. */
const simplePrices = z.record(
  z.string(),
  z.object({
    usd: z.string().nullish(),
    last_updated_at: z
      .string()
      .regex(/^[0-9]{1,12}$/)
      .nullish(),
  }),
);

/**
 * https://docs.coingecko.com/v3.0.1/reference/simple-price
 * Renewed about once a minute: with a `maxAgeSeconds` of 60 its prices are often too old to count.
 */
export function createCoingecko(client: PriceClient, ids: Symbols, baseUrl = coingeckoUrl): PriceSource {
  const coins = [...ids.keys()];
  return {
    name: 'coingecko',
    host: new URL(baseUrl).host,
    coins,
    ask: async (needed, signal) => {
      const asked = coins.filter((coin) => needed.includes(coin));
      const query = new URLSearchParams({
        ids: asked.map((coin) => ids.get(coin)).join(','),
        vs_currencies: 'usd',
        include_last_updated_at: 'true',
        precision: 'full',
      });
      const answer = await client.get(`${baseUrl}/api/v3/simple/price?${query}`, signal);
      if (answer.kind === 'failed') return answer;
      const read = simplePrices.safeParse(answer.body);
      if (!read.success) return { kind: 'failed', reason: 'unexpected answer', retryAfterMs: null };
      return answerOf(
        asked.flatMap((coin): Price[] => {
          const { usd, last_updated_at: updated } = read.data[ids.get(coin) ?? ''] ?? {};
          const price = usd == null ? null : readPrice(usd);
          if (price === null) return [];
          const observedAt = Math.min(answer.observedAt, updated == null ? Infinity : Number(updated) * 1000);
          return [{ coin, price, quotedIn: 'usd', observedAt }];
        }),
      );
    },
  };
}
