import { expect, onTestFinished, test } from 'vitest';
import type { RatesConfig } from '../../src/config.ts';
import type { Coin, CoinRate } from '../../src/core/assets.ts';
import { formatRate } from '../../src/core/money.ts';
import { createRates } from '../../src/rates/create.ts';
import { testFiatRates } from '../support/config.ts';
import { silentLog } from '../support/log.ts';

const eurs = 'eurs' as Coin;

/** What one coin costs by this configuration, and why it is not quoted where it is not. */
function quoted(rate: CoinRate, config: Partial<RatesConfig>): { usd: string | null; reason: string | null } {
  const defaults: RatesConfig = {
    sources: ['fixed'],
    maxAgeSeconds: 60,
    pegBandBps: 50,
    fixed: {},
    fiat: testFiatRates,
  };
  const rates = createRates({
    config: { ...defaults, ...config },
    coins: [{ coin: eurs, rate }],
    clock: () => 0,
    log: silentLog,
  });
  onTestFinished(() => rates.close());
  const quote = rates.quote(eurs);
  const reason = rates.status().coins[0]?.reason ?? null;
  return { usd: quote === null ? null : formatRate(quote.usdPerCoin), reason };
}

const euro: CoinRate = { peg: 'eur', symbols: {} };

test('a token that no source prices is worth what its issuer promises', () => {
  expect(quoted({ peg: 'usd', symbols: {} }, {})).toEqual({ usd: '1', reason: null });
  expect(quoted(euro, { fixed: { eur: '1.0825' } })).toEqual({ usd: '1.0825', reason: null });
});

test('a token that is worth a euro is not quoted while nobody knows what a euro is worth', () => {
  expect(quoted(euro, {})).toEqual({ usd: null, reason: 'no rate of what it is pegged to (eur)' });
  // Prices that `sources` does not list serve nobody.
  expect(quoted(euro, { sources: ['kraken'], fixed: { eur: '1.08' } }).usd).toBeNull();
});

test('a price near the promise is the promise, and one that is far from it is quoted as it is', () => {
  expect(quoted(euro, { fixed: { eur: '1.08', eurs: '1.0831' } }).usd).toBe('1.08');
  expect(quoted(euro, { fixed: { eur: '1.08', eurs: '0.97' } }).usd).toBe('0.97');
});
