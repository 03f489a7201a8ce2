import { Registry } from '@prometheus-io/client';
import { expect, test } from 'vitest';
import type { RatesService } from '../../src/rates/create.ts';
import { createRateMetrics } from '../../src/rates/metrics.ts';

const source = { host: 'prices.example', lastError: null, backoffUntil: null };

test('metrics show which coins can be quoted, at what, and when each source last answered', async () => {
  const registry = new Registry();
  let status: ReturnType<RatesService['status']> = {
    sources: [
      { ...source, name: 'kraken', answeredAt: 1_700_000_000_500 },
      { ...source, name: 'coinbase', answeredAt: null },
    ],
    coins: [
      {
        coin: 'bnb',
        quote: { usdPerCoin: 612_500_000_000_000_000_000n, sources: ['kraken'], fetchedAt: 0 },
        reason: null,
        outliers: [],
        rejected: null,
      },
      { coin: 'eth', quote: null, reason: 'no fresh price', outliers: [], rejected: null },
    ],
  };
  createRateMetrics(registry, { status: () => status });
  const samples = async () =>
    (await registry.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));

  expect(await samples()).toEqual([
    'depositd_rate_available{coin="bnb"} 1',
    'depositd_rate_available{coin="eth"} 0',
    'depositd_rate_usd{coin="bnb"} 612.5',
    'depositd_rate_sources{coin="bnb"} 1',
    'depositd_rate_sources{coin="eth"} 0',
    'depositd_rate_source_answered_timestamp_seconds{source="kraken"} 1700000000.5',
    'depositd_rate_source_answered_timestamp_seconds{source="coinbase"} 0',
  ]);

  status = {
    ...status,
    coins: status.coins.map(({ coin }) => ({ coin, quote: null, reason: '', outliers: [], rejected: null })),
  };
  expect(await samples()).not.toContain('depositd_rate_usd{coin="bnb"} 612.5');
  expect(await samples()).toContain('depositd_rate_available{coin="bnb"} 0');
});
