import { z } from 'zod';
import type { PriceClient } from './http.ts';
import { midPrice } from './json.ts';
import { answerOf, type Price, type PriceSource, type Symbols } from './source.ts';

/** Serves public market data only, also where the trading host refuses whole countries. */
const binanceUrl = 'https://data-api.binance.vision';

const bookTickers = z.array(z.object({ symbol: z.string(), bidPrice: z.string(), askPrice: z.string() }));

/** Trades against Tether. https://developers.binance.com/docs/binance-spot-api-docs/rest-api (symbol order book ticker) */
export function createBinance(client: PriceClient, symbols: Symbols, baseUrl = binanceUrl): PriceSource {
  const coins = [...symbols.keys()];
  return {
    name: 'binance',
    host: new URL(baseUrl).host,
    coins,
    ask: async (needed, signal) => {
      const asked = coins.filter((coin) => needed.includes(coin));
      const list = JSON.stringify(asked.map((coin) => symbols.get(coin)));
      const url = `${baseUrl}/api/v3/ticker/bookTicker?symbols=${encodeURIComponent(list)}`;
      const answer = await client.get(url, signal);
      if (answer.kind === 'failed') return answer;
      const read = bookTickers.safeParse(answer.body);
      if (!read.success) return { kind: 'failed', reason: 'unexpected answer', retryAfterMs: null };
      return answerOf(
        asked.flatMap((coin): Price[] => {
          const book = read.data.find(({ symbol }) => symbol === symbols.get(coin));
          const price = book === undefined ? null : midPrice(book.bidPrice, book.askPrice);
          return price === null ? [] : [{ coin, price, quotedIn: 'usdt', observedAt: answer.observedAt }];
        }),
      );
    },
  };
}
