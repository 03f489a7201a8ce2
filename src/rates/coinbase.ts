import { z } from 'zod';
import type { Coin } from '../core/assets.ts';
import type { PriceClient } from './http.ts';
import { midPrice } from './json.ts';
import { type Answer, answerOf, type Price, type PriceSource, type Symbols } from './source.ts';

const coinbaseUrl = 'https://api.exchange.coinbase.com';

const ticker = z.object({ bid: z.string(), ask: z.string(), time: z.iso.datetime() });

/**
 * https://docs.cdp.coinbase.com/exchange/reference/exchangerestapi_getproductticker
 * Each product is a request of its own, so one that is missing costs only its coin.
 */
export function createCoinbase(client: PriceClient, products: Symbols, baseUrl = coinbaseUrl): PriceSource {
  const coins = [...products.keys()];

  async function askFor(coin: Coin, signal: AbortSignal): Promise<Answer> {
    const answer = await client.get(`${baseUrl}/products/${products.get(coin)}/ticker`, signal);
    if (answer.kind === 'failed') return answer;
    const read = ticker.safeParse(answer.body);
    if (!read.success) return { kind: 'failed', reason: 'unexpected answer', retryAfterMs: null };
    const { bid, ask, time } = read.data;
    const price = midPrice(bid, ask);
    // The time of the last trade: where trading was halted, the book stands still with it.
    const observedAt = Math.min(answer.observedAt, Date.parse(time));
    return answerOf(price === null ? [] : [{ coin, price, quotedIn: 'usd', observedAt }]);
  }

  return {
    name: 'coinbase',
    host: new URL(baseUrl).host,
    coins,
    ask: async (needed, signal) => {
      const asked = coins.filter((coin) => needed.includes(coin));
      const answers = await Promise.all(asked.map((coin) => askFor(coin, signal)));
      const prices = answers.flatMap((answer): readonly Price[] =>
        answer.kind === 'prices' ? answer.prices : [],
      );
      return prices.length > 0 ? answerOf(prices) : (answers[0] ?? answerOf([]));
    },
  };
}
