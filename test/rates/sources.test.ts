import { createServer } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type Coin, knownCoins } from '../../src/core/assets.ts';
import { formatRate } from '../../src/core/money.ts';
import { createBinance } from '../../src/rates/binance.ts';
import { createCoinbase } from '../../src/rates/coinbase.ts';
import { createCoingecko } from '../../src/rates/coingecko.ts';
import { createPriceClient, type PriceClient } from '../../src/rates/http.ts';
import { createKraken } from '../../src/rates/kraken.ts';
import type { Answer, AskedSourceName, PriceSource, Symbols } from '../../src/rates/source.ts';
import { type Handler, json, priceServer, quoting, text } from '../support/price-server.ts';
import { describeRealData, readRealData } from '../support/real-data.ts';

const now = Date.UTC(2026, 10, 20, 12, 0, 0);

const makers: Record<
  AskedSourceName,
  (client: PriceClient, symbols: Symbols, baseUrl: string) => PriceSource
> = {
  binance: createBinance,
  coinbase: createCoinbase,
  kraken: createKraken,
  coingecko: createCoingecko,
};
const names = Object.keys(makers) as AskedSourceName[];

/** What a source calls the coins that the program knows. */
function symbolsAt(name: AskedSourceName): Symbols {
  const symbols = Object.entries(knownCoins).map(
    ([coin, { symbols }]) => [coin as Coin, symbols[name]] as const,
  );
  return new Map(
    symbols.flatMap(([coin, symbol]) => (symbol === undefined ? [] : [[coin, symbol] as const])),
  );
}

function clientForTest(timeoutMs = 5_000): PriceClient {
  const client = createPriceClient({ clock: () => now, timeoutMs, allowHosts: ['127.0.0.1'] });
  onTestFinished(() => client.close());
  return client;
}

async function ask(
  name: AskedSourceName,
  handler: Handler,
  coins: Coin[],
  timeoutMs?: number,
): Promise<Answer> {
  const server = await priceServer(handler);
  return makers[name](clientForTest(timeoutMs), symbolsAt(name), server.url).ask(
    coins,
    new AbortController().signal,
  );
}

/** `{ eth: '3000' }`, and of a failure its reason. */
function plain(answer: Answer): Record<string, string> | string {
  if (answer.kind === 'failed') return answer.reason;
  return Object.fromEntries(answer.prices.map(({ coin, price }) => [coin, formatRate(price)]));
}

describe.each(names)('%s', (name) => {
  test('gives the price of what was asked, with the moment and the currency', async () => {
    const answer = await ask(name, quoting(name, { prices: { eth: '3000.5', bnb: '612.25' }, at: now }), [
      'eth',
    ]);
    const quotedIn = name === 'binance' ? 'usdt' : 'usd';
    expect(answer).toEqual({
      kind: 'prices',
      prices: [{ coin: 'eth', price: 3_000_500_000_000_000_000_000n, quotedIn, observedAt: now }],
    });
  });

  test('leaves out a coin without a usable price and keeps the others', async () => {
    const handler = quoting(name, { prices: { eth: '3000', bnb: '0' }, at: now });
    expect(plain(await ask(name, handler, ['eth', 'bnb', 'usdt']))).toEqual({ eth: '3000' });
  });

  test('reads an exponent to its value', async () => {
    expect(plain(await ask(name, quoting(name, { prices: { eth: '1e-7' }, at: now }), ['eth']))).toEqual({
      eth: '0.0000001',
    });
  });

  test.each(['0', '0.00000000', '-3000', '0e1'])('refuses a price of %s', async (price) => {
    const answer = await ask(name, quoting(name, { prices: { eth: price }, at: now }), ['eth']);
    expect(plain(answer)).toBe('no usable price in the answer');
  });

  test('refuses NaN', async () => {
    const answer = await ask(name, quoting(name, { prices: { eth: 'NaN' }, at: now }), ['eth']);
    // CoinGecko writes numbers, and NaN is none in JSON; the others write text.
    expect(plain(answer)).toBe(
      name === 'coingecko' ? 'the answer is not JSON' : 'no usable price in the answer',
    );
  });

  test.each<[string, Handler, string]>([
    ['HTML', text('<!doctype html><title>Just a moment…</title>'), 'the answer is not JSON'],
    ['nothing', text(''), 'the answer is not JSON'],
    ['truncated JSON', text('{"error":[],"result":{"ETHUSD":{"a":["3000'), 'the answer is not JSON'],
    ['a number', text('3000'), 'unexpected answer'],
    ['null', text('null'), 'unexpected answer'],
    ['nested nonsense', json({ result: [[[]]], ethereum: [1], error: {} }), 'unexpected answer'],
    ['512 KiB', text(`[${'1,'.repeat(262_144)}1]`), 'the answer is too large or never ended'],
    ['500', text('{}', 500), 'HTTP 500'],
    ['404', text('{}', 404), 'HTTP 404'],
  ])('answered with %s it fails with a phrase', async (_what, handler, reason) => {
    expect(await ask(name, handler, ['eth'])).toEqual({ kind: 'failed', reason, retryAfterMs: null });
  });

  test.each<[string, number, Record<string, string>, number]>([
    ['Retry-After in seconds', 429, { 'retry-after': '7' }, 7_000],
    ['Retry-After as a date', 429, { 'retry-after': new Date(now + 90_000).toUTCString() }, 90_000],
    ['Retry-After of a day', 429, { 'retry-after': '86400' }, 600_000],
    ['a Retry-After that says nothing', 429, { 'retry-after': 'later' }, 60_000],
    ['no Retry-After', 429, {}, 60_000],
    ['the ban that Binance sends', 418, { 'retry-after': '30' }, 30_000],
    ['unavailable for legal reasons', 451, {}, 60_000],
  ])('told to stay away with %s it says for how long', async (_what, status, headers, retryAfterMs) => {
    expect(await ask(name, text('slow down', status, headers), ['eth'])).toEqual({
      kind: 'failed',
      reason: `HTTP ${status}`,
      retryAfterMs,
    });
  });

  test('a refusal counts although its body never ends', async () => {
    const handler: Handler = (_request, response) => {
      response.writeHead(429, { 'retry-after': '5' });
      response.write('slow');
    };
    expect(await ask(name, handler, ['eth'], 200)).toMatchObject({ reason: 'HTTP 429', retryAfterMs: 5_000 });
  });

  test('a redirect is not followed', async () => {
    const other = await priceServer(quoting(name, { prices: { eth: '1' }, at: now }));
    const handler: Handler = (request, response) =>
      void response.writeHead(302, { location: `${other.url}${request.url}` }).end();
    expect(plain(await ask(name, handler, ['eth']))).toBe('HTTP 302, a redirect');
    expect(other.asked).toEqual([]);
  });

  test.each<[string, Handler, string]>([
    ['never answers', () => {}, 'no answer within 100 ms'],
    [
      'never ends its answer',
      (_request, response) => void response.writeHead(200).write('{"error":[],"result":{'),
      'the answer is too large or never ended',
    ],
  ])('a host that %s is given up', async (_what, handler, reason) => {
    expect(plain(await ask(name, handler, ['eth'], 100))).toBe(reason);
  });

  test('a host that breaks off fails with a phrase', async () => {
    const handler: Handler = (_request, response) => {
      response.writeHead(200, { 'content-length': '1000' });
      response.write('{"error":[],', () => response.destroy());
    };
    expect(plain(await ask(name, handler, ['eth']))).toBe('the answer is too large or never ended');
  });

  test('a host that refuses the connection fails with a phrase', async () => {
    const port = await closedPort();
    const source = makers[name](clientForTest(), symbolsAt(name), `http://127.0.0.1:${port}`);
    expect(plain(await source.ask(['eth'], new AbortController().signal))).toBe('connection refused');
  });

  test('a host that hangs up fails with a phrase', async () => {
    const handler: Handler = (request) => void request.socket.destroy();
    expect(plain(await ask(name, handler, ['eth']))).toBe('connection closed');
  });

  test('S45: a host that leads to this machine is not asked', async () => {
    const server = await priceServer(quoting(name, { prices: { eth: '1' }, at: now }));
    const client = createPriceClient({ clock: () => now, timeoutMs: 5_000, allowHosts: [] });
    onTestFinished(() => client.close());
    const answer = await makers[name](client, symbolsAt(name), server.url).ask(
      ['eth'],
      new AbortController().signal,
    );
    expect(plain(answer)).toBe('the host name leads to a private address');
    expect(server.asked).toEqual([]);
  });

  test('stops asking when it is told to', async () => {
    const stop = new AbortController();
    const server = await priceServer(() => stop.abort());
    const answer = await makers[name](clientForTest(), symbolsAt(name), server.url).ask(['eth'], stop.signal);
    expect(answer.kind).toBe('failed');
  });

  test('says who asks, and asks for nothing that is not needed', async () => {
    const server = await priceServer(quoting(name, { prices: { eth: '3000' }, at: now }));
    await makers[name](clientForTest(), symbolsAt(name), server.url).ask(
      ['eth', 'busd'],
      new AbortController().signal,
    );
    expect(server.headers[0]?.['user-agent']).toBe('depositd');
    const paths: Record<AskedSourceName, string> = {
      binance: '/api/v3/ticker/bookTicker?symbols=%5B%22ETHUSDT%22%5D',
      coinbase: '/products/ETH-USD/ticker',
      kraken: '/0/public/Ticker?pair=ETHUSD',
      coingecko:
        '/api/v3/simple/price?ids=binance-usd%2Cethereum&vs_currencies=usd&include_last_updated_at=true&precision=full',
    };
    expect(server.asked).toEqual([paths[name]]);
  });

  test('an answer from a cache is as old as the cache says', async () => {
    const fresh = quoting(name, { prices: { eth: '3000' }, at: now });
    const handler: Handler = (request, response) => {
      response.setHeader('age', '45');
      fresh(request, response);
    };
    expect(await ask(name, handler, ['eth'])).toMatchObject({ prices: [{ observedAt: now - 45_000 }] });
  });
});

describe.each(['coinbase', 'coingecko'] as const)('%s states a time itself', (name) => {
  test('and an old price stays as old as it says', async () => {
    const answer = await ask(name, quoting(name, { prices: { eth: '3000' }, at: now - 300_000 }), ['eth']);
    expect(answer).toMatchObject({ prices: [{ observedAt: now - 300_000 }] });
  });

  test('and a time in the future makes nothing younger than the moment it was asked', async () => {
    const answer = await ask(name, quoting(name, { prices: { eth: '3000' }, at: now + 300_000 }), ['eth']);
    expect(answer).toMatchObject({ prices: [{ observedAt: now }] });
  });
});

test('Coinbase: a product that is missing or hangs costs only its coin', async () => {
  const some = quoting('coinbase', { prices: { eth: '3000' }, at: now });
  const handler: Handler = (request, response) => {
    if (!request.url?.includes('BNB')) some(request, response);
  };
  expect(plain(await ask('coinbase', handler, ['eth', 'bnb', 'usdt'], 200))).toEqual({ eth: '3000' });
});

test('Kraken: an error that comes with HTTP 200 is a failure, in its own words where they are harmless', async () => {
  const refusal = json({ error: ['EAPI:Rate limit exceeded'] });
  expect(plain(await ask('kraken', refusal, ['eth']))).toBe('refused (EAPI:Rate limit exceeded)');
  const odd = json({ error: ['see https://example.com/?key=secret'], result: {} });
  expect(plain(await ask('kraken', odd, ['eth']))).toBe('refused');
});

test('CoinGecko: a coin whose price is null is left out', async () => {
  const handler = json({ ethereum: { usd: 3000.25, last_updated_at: now / 1000 }, tron: { usd: null } });
  expect(plain(await ask('coingecko', handler, ['eth', 'trx', 'bnb']))).toEqual({ eth: '3000.25' });
});

type Recorded = { response: unknown; params?: { ids: string; vs_currencies: string } }[];

describeRealData('recorded answers', 'fx', () => {
  test('Kraken', async () => {
    const recorded = JSON.parse(readRealData('fx/kraken-ticker-2026.json')) as Recorded;
    expect(
      plain(await ask('kraken', json(recorded[0]?.response), ['usdt', 'usdc', 'bnb', 'eth', 'trx'])),
    ).toEqual({
      usdt: '0.998485',
      usdc: '0.99965',
      bnb: '562.665',
      eth: '1624.645',
      trx: '0.3277565',
    });
  });

  test('Kraken with its older names', async () => {
    const ticker = JSON.parse(readRealData('fx/xchange/kraken-ticker-legacy-names.json')) as {
      error: string[];
      result: Record<string, unknown>;
    };
    const renamed = { error: ticker.error, result: { XETHZUSD: ticker.result.XXBTZEUR } };
    expect(plain(await ask('kraken', json(renamed), ['eth']))).toEqual({ eth: '561.366255' });
  });

  test('CoinGecko', async () => {
    const recorded = JSON.parse(readRealData('fx/coingecko-simple-price.json')) as Recorded;
    const ofDollars = recorded.filter(({ params }) => params?.vs_currencies === 'usd');
    const last = (id: string) => ofDollars.findLast(({ params }) => params?.ids === id)?.response;
    expect(plain(await ask('coingecko', json(last('tether')), ['usdt']))).toEqual({ usdt: '0.998816' });
    expect(plain(await ask('coingecko', json(last('binance-usd')), ['busd']))).toEqual({ busd: '0.995764' });
    const several = last('bitcoin,binancecoin,avalanche-2');
    expect(plain(await ask('coingecko', json(several), ['bnb', 'eth']))).toEqual({ bnb: '594.59' });
  });

  test('Coinbase, whose sample is years old, and says so', async () => {
    const sample = text(readRealData('fx/xchange/coinbase-exchange-product-ticker.json'));
    expect(await ask('coinbase', sample, ['eth'])).toMatchObject({
      kind: 'prices',
      prices: [
        {
          coin: 'eth',
          price: 637_055_000_000_000_000_000n,
          observedAt: Date.UTC(2015, 3, 8, 20, 49, 6, 506),
        },
      ],
    });
  });

  test('Binance', async () => {
    const { response } = JSON.parse(readRealData('fx/binance-book-ticker.json')) as { response: object };
    const renamed = [{ ...response, symbol: 'BNBUSDT' }];
    expect(plain(await ask('binance', json(renamed), ['bnb']))).toEqual({ bnb: '0.0135805' });
  });
});

/** A port on which nobody listens any more. */
async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const address = server.address();
  await new Promise((closed) => server.close(closed));
  return address !== null && typeof address === 'object' ? address.port : 0;
}
