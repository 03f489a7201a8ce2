import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';
import type { Coin } from '../../src/core/assets.ts';
import type { AskedSourceName } from '../../src/rates/source.ts';

export type Handler = (request: IncomingMessage, response: ServerResponse) => void;

export type PriceServer = {
  url: string;
  host: string;
  /** Paths with their queries, in the order in which they were asked. */
  asked: string[];
  headers: IncomingMessage['headers'][];
  answer(handler: Handler): void;
};

/** A price source's host on the loopback interface, gone when the test ends. */
export async function priceServer(handler: Handler): Promise<PriceServer> {
  let current = handler;
  const asked: string[] = [];
  const headers: IncomingMessage['headers'][] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? '');
    headers.push(request.headers);
    current(request, response);
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  onTestFinished(
    () =>
      new Promise<void>((closed) => {
        server.close(() => closed());
        server.closeAllConnections();
      }),
  );
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url: `http://${host}`,
    host,
    asked,
    headers,
    answer: (next) => {
      current = next;
    },
  };
}

export function text(body: string, status = 200, headers: Record<string, string> = {}): Handler {
  return (_request, response) => void response.writeHead(status, headers).end(body);
}

export function json(body: unknown): Handler {
  return text(JSON.stringify(body), 200, { 'content-type': 'application/json' });
}

/** Prices as text; `at` in Unix ms is the time that the source states, where it states one. */
export type Quoted = { prices: Partial<Record<Coin, string>>; at: number };

const coingeckoIds: Partial<Record<Coin, string>> = {
  usdt: 'tether',
  usdc: 'usd-coin',
  busd: 'binance-usd',
  bnb: 'binancecoin',
  eth: 'ethereum',
  trx: 'tron',
};

/** Answers as the source does, to whatever it is asked; the bid and the ask are both the price. */
export function quoting(source: AskedSourceName, { prices, at }: Quoted): Handler {
  const entries = Object.entries(prices) as [Coin, string][];
  switch (source) {
    case 'binance':
      return json(
        entries.map(([coin, price]) => ({
          symbol: `${coin.toUpperCase()}USDT`,
          bidPrice: price,
          bidQty: '12.5',
          askPrice: price,
          askQty: '3.0',
        })),
      );
    case 'coinbase':
      return (request, response) => {
        const coin = /^\/products\/([A-Z]+)-USD\/ticker$/.exec(request.url ?? '')?.[1]?.toLowerCase();
        const price = prices[coin as Coin];
        if (price === undefined) return text('{"message":"NotFound"}', 404)(request, response);
        const time = new Date(at).toISOString();
        return json({ trade_id: 7, price, size: '0.1', bid: price, ask: price, volume: '9.9', time })(
          request,
          response,
        );
      };
    case 'kraken':
      return json({
        error: [],
        result: Object.fromEntries(
          entries.map(([coin, price]) => [
            `${coin.toUpperCase()}USD`,
            { a: [price, '1', '1.000'], b: [price, '2', '2.000'], c: [price, '0.5'], t: [1, 2], o: price },
          ]),
        ),
      });
    case 'coingecko':
      // Numbers, and written as they stand.
      return text(
        `{${entries
          .map(
            ([coin, price]) =>
              `"${coingeckoIds[coin]}":{"usd":${price},"last_updated_at":${Math.floor(at / 1000)}}`,
          )
          .join()}}`,
      );
    default:
      return source satisfies never;
  }
}
