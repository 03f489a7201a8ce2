import { describe, expect, onTestFinished, test } from 'vitest';
import type { RatesConfig } from '../../src/config.ts';
import { type Coin, type KnownCoin, knownCoins } from '../../src/core/assets.ts';
import { formatRate } from '../../src/core/money.ts';
import { createRates, type RatesService } from '../../src/rates/create.ts';
import type { AskedSourceName } from '../../src/rates/source.ts';
import { testFiatRates } from '../support/config.ts';
import { captureLog, type LogLine } from '../support/log.ts';
import { type PriceServer, priceServer, type Quoted, quoting, text } from '../support/price-server.ts';

const noon = Date.UTC(2026, 10, 20, 12, 0, 0);
const second = 1000;
const minute = 60 * second;

type Exchange = PriceServer & {
  /** From now on it quotes these; always as of the moment it is asked. */
  quote(prices: Quoted['prices']): void;
};

type Scene = {
  rates: RatesService;
  exchanges: Record<AskedSourceName, Exchange>;
  log: LogLine[];
  /** Moves the clock. */
  pass(ms: number): void;
  /** What would be quoted now, as text; null for none. */
  quoted(coin: Coin): string | null;
  refresh(): Promise<void>;
};

const names: AskedSourceName[] = ['binance', 'coinbase', 'kraken', 'coingecko'];

async function scene(
  config: Partial<RatesConfig> = {},
  coins: readonly KnownCoin[] = ['usdt', 'usdc', 'bnb', 'eth'],
  prices: Quoted['prices'] = { usdt: '0.9999', usdc: '1.0001', bnb: '600', eth: '3000' },
): Promise<Scene> {
  let now = noon;
  const exchanges = {} as Record<AskedSourceName, Exchange>;
  for (const name of names) {
    const server = await priceServer(() => {});
    const quote = (next: Quoted['prices']) =>
      server.answer((request, response) => quoting(name, { prices: next, at: now })(request, response));
    quote(prices);
    exchanges[name] = { ...server, quote };
  }
  const { log, lines } = captureLog();
  const rates = createRates({
    config: { sources: names, maxAgeSeconds: 60, pegBandBps: 50, fixed: {}, fiat: testFiatRates, ...config },
    coins: coins.map((coin) => ({ coin, rate: knownCoins[coin] })),
    clock: () => now,
    log,
    baseUrls: Object.fromEntries(names.map((name) => [name, exchanges[name].url])),
  });
  onTestFinished(() => rates.close());
  return {
    rates,
    exchanges,
    log: lines,
    pass: (ms) => {
      now += ms;
    },
    quoted: (coin) => {
      const quote = rates.quote(coin);
      return quote === null ? null : formatRate(quote.usdPerCoin);
    },
    refresh: () => rates.refresh(new AbortController().signal),
  };
}

function messages(log: LogLine[]): string[] {
  return log.map(({ level, msg }) => `${level} ${msg}`);
}

describe('rates from four markets', () => {
  test('nothing is quoted before anybody was asked', async () => {
    const { quoted } = await scene();
    expect(quoted('bnb')).toBeNull();
    expect(quoted('usdt')).toBeNull();
  });

  test('a coin has the median price, with who agreed and when', async () => {
    const { rates, refresh, exchanges, quoted } = await scene();
    exchanges.kraken.quote({ usdt: '1', bnb: '603', eth: '3003' });
    exchanges.coingecko.quote({ usdt: '1', bnb: '604', eth: '3004' });
    exchanges.binance.quote({ bnb: '601', eth: '3001' });
    exchanges.coinbase.quote({ usdt: '1', bnb: '602', eth: '3002' });
    await refresh();
    expect(quoted('bnb')).toBe('602.5');
    expect(rates.quote('eth')).toEqual({
      usdPerCoin: 3_002_500_000_000_000_000_000n,
      sources: ['binance', 'coinbase', 'coingecko', 'kraken'],
      fetchedAt: noon,
    });
  });

  test('stablecoins near one dollar are exactly one dollar', async () => {
    const { quoted, refresh } = await scene();
    await refresh();
    expect(quoted('usdt')).toBe('1');
    expect(quoted('usdc')).toBe('1');
  });

  test('a stablecoin that lost its peg is quoted at its market price', async () => {
    const { quoted, refresh } = await scene({}, ['usdt'], { usdt: '0.98' });
    await refresh();
    expect(quoted('usdt')).toBe('0.98');
  });

  test('a market quoted in Tether is worth what Tether is worth', async () => {
    const sources: RatesConfig['sources'] = ['binance', 'kraken', 'coinbase'];
    const { quoted, refresh, exchanges } = await scene({ sources }, ['usdt', 'eth'], {
      usdt: '0.99',
      eth: '3000',
    });
    exchanges.coinbase.quote({ usdt: '0.99' });
    await refresh();
    // Kraken says 3000 dollars, Binance 3000 Tether at 0.99.
    expect(quoted('eth')).toBe('2985');
  });

  test('a market quoted in Tether says nothing while nobody prices Tether', async () => {
    const { quoted, rates, refresh, exchanges } = await scene({ sources: ['binance', 'coinbase'] }, ['bnb']);
    exchanges.coinbase.answer(text('', 500));
    await refresh();
    expect(quoted('bnb')).toBeNull();
    expect(rates.status().coins[0]?.reason).toBe('no dollar price of Tether');
    exchanges.coinbase.quote({ usdt: '1.001' });
    await refresh();
    expect(quoted('bnb')).toBe('600.6');
  });

  test('a market quoted in Tether is as old as the price of Tether', async () => {
    const { rates, refresh, pass, exchanges } = await scene({ sources: ['binance', 'kraken'] }, ['eth']);
    exchanges.kraken.quote({ usdt: '1' });
    await refresh();
    exchanges.kraken.answer(text('', 500));
    pass(40 * second);
    await refresh();
    expect(rates.quote('eth')).toMatchObject({ sources: ['binance'], fetchedAt: noon });
  });

  test('of coins that no chain accepts, only Tether is asked for', async () => {
    const { refresh, exchanges } = await scene({}, ['bnb']);
    await refresh();
    expect(exchanges.kraken.asked).toEqual(['/0/public/Ticker?pair=USDTUSD,BNBUSD']);
    expect(exchanges.binance.asked[0]).toContain('%5B%22BNBUSDT%22%5D');
  });
});

describe('prices that grow old', () => {
  test('count up to the limit and not a millisecond longer', async () => {
    const { quoted, refresh, pass } = await scene();
    await refresh();
    pass(60 * second);
    expect(quoted('bnb')).toBe('600');
    pass(1);
    expect(quoted('bnb')).toBeNull();
    expect(quoted('usdt')).toBeNull();
  });

  test('that a source itself calls old count as old', async () => {
    const { quoted, refresh, exchanges } = await scene({ sources: ['coingecko'] }, ['bnb']);
    exchanges.coingecko.answer(quoting('coingecko', { prices: { bnb: '600' }, at: noon - 61 * second }));
    await refresh();
    expect(quoted('bnb')).toBeNull();
    exchanges.coingecko.answer(quoting('coingecko', { prices: { bnb: '600' }, at: noon - 60 * second }));
    await refresh();
    expect(quoted('bnb')).toBe('600');
  });

  test('are not remembered by a new start', async () => {
    const first = await scene();
    await first.refresh();
    expect(first.quoted('bnb')).not.toBeNull();
    const second = await scene();
    for (const name of names) second.exchanges[name].answer(text('', 500));
    await second.refresh();
    expect(second.quoted('bnb')).toBeNull();
  });

  test('outlive a failure of their source, until they are too old', async () => {
    const { quoted, refresh, pass, exchanges } = await scene({ sources: ['kraken'] }, ['bnb']);
    await refresh();
    exchanges.kraken.answer(text('<html>', 502));
    pass(30 * second);
    await refresh();
    expect(quoted('bnb')).toBe('600');
    pass(31 * second);
    await refresh();
    expect(quoted('bnb')).toBeNull();
  });

  test('outlive an answer that lacks their coin', async () => {
    const { quoted, refresh, pass, exchanges } = await scene({ sources: ['kraken'] }, ['bnb', 'eth']);
    await refresh();
    exchanges.kraken.quote({ eth: '3100' });
    pass(30 * second);
    await refresh();
    expect([quoted('bnb'), quoted('eth')]).toEqual(['600', '3100']);
  });
});

describe('sources that are wrong', () => {
  test('one of four that is ten times too high is left out, named and logged once', async () => {
    const { quoted, rates, refresh, exchanges, log } = await scene({}, ['eth']);
    exchanges.kraken.quote({ usdt: '1', eth: '30000' });
    await refresh();
    await refresh();
    expect(quoted('eth')).toBe('3000');
    expect(rates.status().coins[0]).toMatchObject({ coin: 'eth', outliers: ['kraken'] });
    expect(messages(log).filter((line) => line === 'warn rate outlier dropped')).toHaveLength(1);
  });

  test('two that contradict each other quote nothing, and agree again later', async () => {
    const { quoted, rates, refresh, exchanges, log } = await scene({ sources: ['coinbase', 'kraken'] }, [
      'eth',
    ]);
    await refresh();
    exchanges.kraken.quote({ eth: '30000' });
    await refresh();
    expect(quoted('eth')).toBeNull();
    expect(rates.status().coins).toEqual([
      { coin: 'eth', quote: null, reason: 'sources disagree', outliers: [], rejected: null },
    ]);
    exchanges.kraken.quote({ eth: '3001' });
    await refresh();
    expect(quoted('eth')).toBe('3000.5');
    expect(messages(log)).toEqual(['warn rate unavailable', 'info rate available again']);
  });

  test('a single source that jumps to ten times is not quoted, however often it repeats itself', async () => {
    const { quoted, refresh, pass, exchanges, log } = await scene({ sources: ['kraken'] }, ['eth']);
    await refresh();
    expect(quoted('eth')).toBe('3000');
    exchanges.kraken.quote({ eth: '30000' });
    for (let passed = 0; passed < 60 * minute; passed += 20 * second) {
      pass(20 * second);
      await refresh();
      expect(quoted('eth')).toBeNull();
    }
    expect(log.filter(({ msg }) => msg === 'rate jump rejected')).toEqual([
      expect.objectContaining({ level: 'warn', coin: 'eth', source: 'kraken', usd_per_coin: '30000' }),
    ]);
    exchanges.kraken.quote({ eth: '3010' });
    await refresh();
    expect(quoted('eth')).toBe('3010');
  });

  test.each([['busd', '1'] as const, ['usdt', '1'] as const, ['eth', '3000'] as const])(
    'the last source of %s that walks away in steps under 10 % does not take the rate with it',
    async (coin, price) => {
      const prices = { usdt: '1', busd: '1', eth: '3000' };
      const { quoted, rates, refresh, pass, exchanges, log } = await scene({}, [coin], prices);
      await refresh();
      for (const name of ['binance', 'coinbase', 'kraken'] as const) exchanges[name].answer(text('', 500));
      let walked = Number(price);
      const seen: (string | null)[] = [];
      for (let step = 0; step < 9; step += 1) {
        pass(minute);
        walked *= 1.099;
        exchanges.coingecko.quote({ ...prices, [coin]: walked.toFixed(6) });
        await refresh();
        seen.push(quoted(coin));
      }
      expect(rates.status().coins[0]?.rejected?.source).toBe('coingecko');
      const allowed = coin === 'eth' ? 1.11 : 1.005;
      for (const one of seen) if (one !== null) expect(Number(one) / Number(price)).toBeLessThan(allowed);
      expect(seen.at(-1)).toBeNull();
      expect(messages(log)).toContain('warn rate jump rejected');
      expect(messages(log)).toContain('warn rate unavailable');
    },
  );

  test('that one source alone is left is said once, and again after others came back', async () => {
    const { refresh, pass, exchanges, log } = await scene({ sources: ['kraken', 'coinbase'] }, ['eth']);
    await refresh();
    const alone = () => messages(log).filter((line) => line === 'warn rate from one source alone').length;
    expect(alone()).toBe(0);
    for (const expected of [1, 2]) {
      exchanges.coinbase.answer(text('', 500));
      for (let times = 0; times < 3; times += 1) {
        pass(61 * second);
        await refresh();
      }
      expect(alone()).toBe(expected);
      exchanges.coinbase.quote({ eth: '3000' });
      await refresh();
    }
  });

  test('a stablecoin outside its band takes two sources', async () => {
    const { quoted, refresh, exchanges } = await scene({ sources: ['kraken', 'coingecko'] }, ['usdc'], {
      usdc: '0.97',
    });
    exchanges.coingecko.answer(text('', 500));
    await refresh();
    expect(quoted('usdc')).toBeNull();
    exchanges.coingecko.quote({ usdc: '0.97' });
    await refresh();
    expect(quoted('usdc')).toBe('0.97');
  });

  test('a jump that a second source confirms is quoted at once', async () => {
    const { quoted, refresh, pass, exchanges } = await scene({ sources: ['kraken', 'coinbase'] }, ['eth']);
    exchanges.coinbase.answer(text('', 503));
    await refresh();
    exchanges.kraken.quote({ eth: '2000' });
    await refresh();
    expect(quoted('eth')).toBeNull();
    exchanges.coinbase.quote({ eth: '2001' });
    pass(2 * minute);
    await refresh();
    expect(quoted('eth')).toBe('2000.5');
  });

  test('the last of four to answer is not believed when it is far from what they agreed on', async () => {
    const { quoted, refresh, pass, exchanges } = await scene({}, ['eth']);
    await refresh();
    for (const name of names) exchanges[name].answer(text('', 500));
    exchanges.coingecko.quote({ eth: '300' });
    pass(2 * minute);
    await refresh();
    expect(quoted('eth')).toBeNull();
  });

  test('the first word on a stablecoin is measured against a dollar', async () => {
    const { quoted, refresh } = await scene({ sources: ['kraken'] }, ['usdt'], { usdt: '10' });
    await refresh();
    expect(quoted('usdt')).toBeNull();
  });

  test('at the start one answer is not enough while others are still asked', async () => {
    const { quoted, refresh, exchanges } = await scene({ sources: ['kraken', 'coinbase'] }, ['eth']);
    exchanges.kraken.quote({ eth: '30000' });
    let release = () => {};
    exchanges.coinbase.answer((request, response) => {
      release = () => quoting('coinbase', { prices: { eth: '3000' }, at: noon })(request, response);
    });
    const refreshed = refresh();
    await expect.poll(() => exchanges.coinbase.asked.length).toBe(1);
    await expect.poll(() => exchanges.kraken.asked.length).toBe(1);
    expect(quoted('eth')).toBeNull();
    release();
    await refreshed;
    expect(quoted('eth')).toBeNull();
  });
});

describe('sources that fail', () => {
  test('a source that hangs delays no other', async () => {
    const { quoted, exchanges, rates } = await scene({}, ['eth']);
    exchanges.binance.answer(() => {});
    const stop = new AbortController();
    const refreshed = rates.refresh(stop.signal);
    await expect.poll(() => rates.quote('eth')?.sources.length, { timeout: 4_000 }).toBe(3);
    expect(quoted('eth')).toBe('3000');
    expect(rates.status().sources.find(({ name }) => name === 'binance')).toMatchObject({
      answeredAt: null,
      lastError: null,
    });
    stop.abort();
    await refreshed;
  });

  test('a source that hangs is given up after a third of the age limit, and said to be at fault', async () => {
    const { refresh, exchanges, rates } = await scene({ sources: ['kraken'], maxAgeSeconds: 0.3 }, ['eth']);
    exchanges.kraken.answer(() => {});
    await refresh();
    expect(rates.status().sources[0]?.lastError).toBe(`${exchanges.kraken.host}: no answer within 100 ms`);
  });

  test('the pause between refreshes is a third of the age limit, and at most 20 seconds', async () => {
    const intervals = [];
    for (const maxAgeSeconds of [3, 60, 600]) {
      intervals.push((await scene({ maxAgeSeconds })).rates.intervalMs);
    }
    expect(intervals).toEqual([1_000, 20_000, 20_000]);
  });

  test('a source that asks for rest is left alone that long', async () => {
    const { refresh, pass, exchanges, rates } = await scene({ sources: ['kraken'] }, ['eth']);
    exchanges.kraken.answer(text('', 429, { 'retry-after': '90' }));
    await refresh();
    expect(rates.status().sources[0]).toMatchObject({ backoffUntil: noon + 90 * second });
    exchanges.kraken.quote({ eth: '3000' });
    pass(89 * second);
    await refresh();
    expect(exchanges.kraken.asked).toHaveLength(1);
    pass(second);
    await refresh();
    expect(exchanges.kraken.asked).toHaveLength(2);
    expect(rates.status().sources[0]).toEqual({
      name: 'kraken',
      host: exchanges.kraken.host,
      answeredAt: noon + 90 * second,
      lastError: null,
      backoffUntil: null,
    });
  });

  test('a failure is logged when it begins and when it ends, by host, not at every refresh', async () => {
    const { refresh, exchanges, log } = await scene({ sources: ['kraken', 'coinbase'] }, ['eth']);
    exchanges.kraken.answer(text('', 500));
    await refresh();
    await refresh();
    exchanges.kraken.quote({ eth: '3000' });
    await refresh();
    await refresh();
    expect(log).toEqual([
      expect.objectContaining({
        level: 'warn',
        msg: 'rate source failed',
        source: 'kraken',
        host: exchanges.kraken.host,
        reason: 'HTTP 500',
      }),
      expect.objectContaining({ level: 'warn', msg: 'rate from one source alone', source: 'coinbase' }),
      expect.objectContaining({ level: 'info', msg: 'rate source answers again', source: 'kraken' }),
    ]);
  });

  test('a refresh that is stopped ends quietly', async () => {
    const { rates, exchanges, log } = await scene({ sources: ['kraken'] }, ['eth']);
    const stop = new AbortController();
    exchanges.kraken.answer(() => stop.abort());
    await rates.refresh(stop.signal);
    expect(log).toEqual([]);
    expect(rates.status().sources[0]).toMatchObject({ lastError: null });
  });

  test('without any answer nothing is quoted', async () => {
    const { quoted, refresh, exchanges, rates } = await scene();
    for (const name of names) exchanges[name].answer(text('<html>maintenance</html>'));
    await refresh();
    expect((['usdt', 'usdc', 'bnb', 'eth'] as const).map(quoted)).toEqual([null, null, null, null]);
    expect(rates.status().coins.map(({ reason }) => reason)).toEqual(Array(4).fill('no fresh price'));
  });
});

describe('fixed prices', () => {
  test('hold from the first moment, for ever, and nobody is asked', async () => {
    const { quoted, refresh, pass, exchanges, rates } = await scene(
      { sources: ['fixed'], fixed: { usdt: '1', bnb: '612.50' } },
      ['usdt', 'bnb', 'eth'],
    );
    expect([quoted('usdt'), quoted('bnb'), quoted('eth')]).toEqual(['1', '612.5', null]);
    await refresh();
    pass(365 * 24 * 60 * minute);
    expect(quoted('bnb')).toBe('612.5');
    expect(names.flatMap((name) => exchanges[name].asked)).toEqual([]);
    expect(rates.quote('bnb')?.sources).toEqual(['fixed']);
    expect(rates.status().sources).toMatchObject([{ name: 'fixed', host: null, lastError: null }]);
  });

  test('replace the markets for their coins only', async () => {
    const { quoted, refresh, exchanges } = await scene(
      { sources: ['kraken', 'fixed'], fixed: { bnb: '500' } },
      ['bnb', 'eth'],
    );
    await refresh();
    expect([quoted('bnb'), quoted('eth')]).toEqual(['500', '3000']);
    expect(exchanges.kraken.asked).toEqual(['/0/public/Ticker?pair=ETHUSD']);
  });

  test('of Tether serve the markets that quote in it', async () => {
    const { quoted, refresh } = await scene({ sources: ['binance', 'fixed'], fixed: { usdt: '1' } }, ['eth']);
    await refresh();
    expect(quoted('eth')).toBe('3000');
  });

  test('do not serve while sources does not list them', async () => {
    const { quoted, refresh } = await scene({ sources: ['kraken'], fixed: { bnb: '1' } }, ['bnb']);
    await refresh();
    expect(quoted('bnb')).toBe('600');
  });

  test('of a stablecoin near a dollar are a dollar too', async () => {
    const { quoted } = await scene({ sources: ['fixed'], fixed: { usdt: '0.997', usdc: '0.9' } });
    expect([quoted('usdt'), quoted('usdc')]).toEqual(['1', '0.9']);
  });
});
