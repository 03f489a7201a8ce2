import { z } from 'zod';
import type { PriceClient } from './http.ts';
import { midPrice } from './json.ts';
import { answerOf, type Price, type PriceSource, type Symbols } from './source.ts';

const krakenUrl = 'https://api.kraken.com';

/** `a` and `b` are ask and bid: price, then volumes. Errors arrive with HTTP 200. */
const tickers = z.object({
  error: z.array(z.string()),
  result: z
    .record(
      z.string(),
      z.object({ a: z.tuple([z.string()], z.string()), b: z.tuple([z.string()], z.string()) }),
    )
    .optional(),
});

/** https://docs.kraken.com/api/docs/rest-api/get-ticker-information */
export function createKraken(client: PriceClient, pairs: Symbols, baseUrl = krakenUrl): PriceSource {
  const coins = [...pairs.keys()];
  return {
    name: 'kraken',
    host: new URL(baseUrl).host,
    coins,
    ask: async (needed, signal) => {
      const asked = coins.filter((coin) => needed.includes(coin));
      const list = asked.map((coin) => pairs.get(coin)).join(',');
      const answer = await client.get(`${baseUrl}/0/public/Ticker?pair=${list}`, signal);
      if (answer.kind === 'failed') return answer;
      const read = tickers.safeParse(answer.body);
      if (!read.success) return { kind: 'failed', reason: 'unexpected answer', retryAfterMs: null };
      const { error, result = {} } = read.data;
      if (error.length > 0) return { kind: 'failed', reason: refusalPhrase(error), retryAfterMs: null };
      return answerOf(
        asked.flatMap((coin): Price[] => {
          const book = spellings(pairs.get(coin) ?? '')
            .map((name) => result[name])
            .find((found) => found !== undefined);
          const price = book === undefined ? null : midPrice(book.b[0], book.a[0]);
          return price === null ? [] : [{ coin, price, quotedIn: 'usd', observedAt: answer.observedAt }];
        }),
      );
    },
  };
}

/** How the answer may spell a pair: `ETHUSD` comes as `XETHZUSD`. */
function spellings(pair: string): string[] {
  const base = pair.slice(0, -'USD'.length);
  return [pair, `${base}ZUSD`, `X${base}ZUSD`, `${base}/USD`];
}

/** Its own words when they are of the documented form, such as `EAPI:Rate limit exceeded`. */
function refusalPhrase(errors: readonly string[]): string {
  const known = errors.find((text) => /^E[A-Za-z]+:[A-Za-z ]{1,60}$/.test(text));
  return known === undefined ? 'refused' : `refused (${known})`;
}
