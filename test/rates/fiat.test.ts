import fc from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { FiatRatesConfig } from '../../src/config.ts';
import {
  convertUp,
  type FiatCode,
  fiatExponent,
  formatFiatAmount,
  parseFiatAmount,
  usdCentsHalfUp,
} from '../../src/core/fiat.ts';
import { parityRate, parseRate } from '../../src/core/money.ts';
import { readEcbTable } from '../../src/rates/ecb.ts';
import { createFiatRates } from '../../src/rates/fiat.ts';
import { createPriceClient } from '../../src/rates/http.ts';
import { testFiatRates } from '../support/config.ts';
import { silentLog } from '../support/log.ts';
import { priceServer, text } from '../support/price-server.ts';

const [usd, eur, jpy, htg, kwd] = ['USD', 'EUR', 'JPY', 'HTG', 'KWD'] as FiatCode[] as [
  FiatCode,
  FiatCode,
  FiatCode,
  FiatCode,
  FiatCode,
];

/** In the form of the daily table. */
function table(day: string, rates: Record<string, string>): string {
  const cubes = Object.entries(rates).map(([code, rate]) => `<Cube currency='${code}' rate='${rate}'/>`);
  return `<?xml version="1.0" encoding="UTF-8"?><gesmes:Envelope xmlns:gesmes="http://www.gesmes.org/xml/2002-08-01" xmlns="http://www.ecb.int/vocabulary/2002-08-01/eurofxref"><Cube><Cube time='${day}'>${cubes.join('')}</Cube></Cube></gesmes:Envelope>`;
}

const friday = Date.UTC(2026, 4, 22, 15);
const hour = 3_600_000;

async function open(config: Partial<FiatRatesConfig>, answers: { ecb?: string; oxr?: string } = {}) {
  let now = friday;
  const ecb = await priceServer(text(answers.ecb ?? '', answers.ecb === undefined ? 500 : 200));
  const oxr = await priceServer(text(answers.oxr ?? '', answers.oxr === undefined ? 500 : 200));
  const client = createPriceClient({ clock: () => now, timeoutMs: 2000, allowHosts: ['127.0.0.1'] });
  onTestFinished(() => client.close());
  const rates = createFiatRates(
    {
      ...testFiatRates,
      ecbUrl: ecb.url,
      openexchangeratesUrl: oxr.url,
      openexchangeratesAppId: 'an-app-id',
      ...config,
    },
    { client, clock: () => now, log: silentLog },
  );
  return {
    rates,
    ecb,
    oxr,
    refresh: () => rates.refresh(new AbortController().signal),
    pass: (ms: number) => {
      now += ms;
    },
  };
}

describe('rates of currencies', () => {
  test('the dollar is one without any source', async () => {
    const { rates } = await open({ sources: ['fixed'] });
    expect(rates.usdPer(usd)).toBe(parityRate);
    expect(rates.usdPer(eur)).toBeNull();
  });

  test("the ECB's table is read to dollars per unit, through the euro", async () => {
    const { rates, refresh } = await open(
      { sources: ['ecb'] },
      { ecb: table('2026-05-22', { USD: '1.0800', JPY: '171.00' }) },
    );
    await refresh();
    expect(rates.usdPer(eur)).toBe(parseRate('1.08'));
    expect(rates.usdPer(jpy)).toBe((1_080_000_000_000_000_000n * 10n ** 18n) / 171_000_000_000_000_000_000n);
    expect(rates.usdPer(htg)).toBeNull();
  });

  test("Friday's table holds over the weekend, and one that nobody could renew for two days does not", async () => {
    const ecb = table('2026-05-22', { USD: '1.08' });
    const world = await open({ sources: ['ecb'] }, { ecb });
    await world.refresh();
    world.pass(66 * hour);
    await world.refresh();
    expect(world.rates.usdPer(eur)).not.toBeNull();
    world.ecb.answer(text('', 500));
    world.pass(49 * hour);
    await world.refresh();
    expect(world.rates.usdPer(eur)).toBeNull();
  });

  test('a table that is a week old is as old as its date', async () => {
    const { rates, refresh } = await open(
      { sources: ['ecb'] },
      { ecb: table('2026-05-11', { USD: '1.08' }) },
    );
    await refresh();
    expect(rates.usdPer(eur)).toBeNull();
  });

  test('Open Exchange Rates has gourdes, and its key goes to nobody else', async () => {
    const oxr = `{"base":"USD","timestamp":${friday / 1000},"rates":{"HTG":131.25,"EUR":0.9259}}`;
    const { rates, refresh, oxr: server, ecb } = await open({ sources: ['openexchangerates'] }, { oxr });
    await refresh();
    expect(rates.usdPer(htg)).toBe(10n ** 36n / 131_250_000_000_000_000_000n);
    expect(server.asked).toEqual(['/?app_id=an-app-id']);
    expect(ecb.asked).toEqual([]);
  });

  test('two sources that contradict one another give no rate, and a fixed one is the only one', async () => {
    const oxr = `{"base":"USD","timestamp":${friday / 1000},"rates":{"EUR":0.5}}`;
    const ecb = table('2026-05-22', { USD: '1.08' });
    const { rates, refresh } = await open(
      { sources: ['ecb', 'openexchangerates', 'fixed'], fixed: { htg: '0.0076' } },
      { ecb, oxr },
    );
    await refresh();
    expect(rates.usdPer(eur)).toBeNull();
    expect(rates.usdPer(htg)).toBe(parseRate('0.0076'));
  });

  test('a source is asked once an hour, and no garbage of it is a table', async () => {
    const world = await open({ sources: ['ecb'] }, { ecb: table('2026-05-22', { USD: '1.08' }) });
    await world.refresh();
    await world.refresh();
    world.pass(hour);
    await world.refresh();
    expect(world.ecb.asked).toHaveLength(2);
    fc.assert(
      fc.property(fc.string(), (garbage) => {
        expect(readEcbTable(garbage)).toBeNull();
      }),
    );
  });
});

describe('amounts in a currency', () => {
  test('have the decimals of ISO 4217, and no more are read', () => {
    expect([usd, jpy, kwd].map(fiatExponent)).toEqual([2, 0, 3]);
    expect(parseFiatAmount('45.00', eur)).toBe(4500n);
    expect(parseFiatAmount('45.005', eur)).toBeNull();
    expect(parseFiatAmount('45.0', jpy)).toBe(45n);
    expect(parseFiatAmount('45.5', jpy)).toBeNull();
    expect(parseFiatAmount('1.234', kwd)).toBe(1234n);
    for (const text of ['', '-1', '+1', '1e3', ' 1', '1,00', 'NaN', '01', '1.']) {
      expect(parseFiatAmount(text, usd)).toBeNull();
    }
    expect(formatFiatAmount({ minorUnits: 4500n, currency: eur })).toBe('45.00');
    expect(formatFiatAmount({ minorUnits: 4500n, currency: jpy })).toBe('4500');
  });

  test('are converted up, so that a merchant never receives less, and shown in cents half up', () => {
    const money = fc.bigInt({ min: 1n, max: 10n ** 12n });
    const rate = fc.bigInt({ min: 10n ** 14n, max: 10n ** 20n });
    fc.assert(
      fc.property(money, rate, rate, (minorUnits, from, to) => {
        const price = { minorUnits, currency: eur };
        const paid = convertUp(price, from, htg, to);
        expect(paid * to >= minorUnits * from).toBe(true);
        expect((paid - 1n) * to < minorUnits * from).toBe(true);
      }),
    );
    expect(convertUp({ minorUnits: 100n, currency: usd }, parityRate, jpy, parityRate / 150n)).toBe(151n);
    expect(usdCentsHalfUp({ minorUnits: 1n, currency: eur }, (parityRate * 3n) / 2n)).toBe(2n);
    expect(usdCentsHalfUp({ minorUnits: 1n, currency: eur }, (parityRate * 149n) / 100n)).toBe(1n);
  });
});
