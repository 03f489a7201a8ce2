import { Gauge, type Registry } from '@prometheus-io/client';
import { rateDecimals } from '../core/money.ts';
import type { RatesService } from './create.ts';

/** Shows what can be quoted and how the sources do, read when somebody asks. */
export function createRateMetrics(registry: Registry, rates: Pick<RatesService, 'status'>): void {
  const registers = [registry];
  new Gauge({
    name: 'depositd_rate_available',
    help: '1 while a coin can be quoted.',
    labelNames: ['coin'] as const,
    registers,
    collect() {
      for (const { coin, quote } of rates.status().coins) this.set({ coin }, quote === null ? 0 : 1);
    },
  });
  new Gauge({
    name: 'depositd_rate_usd',
    help: 'US dollars per coin as quoted. Rounded: for looking at, not for reckoning.',
    labelNames: ['coin'] as const,
    registers,
    collect() {
      this.reset();
      for (const { coin, quote } of rates.status().coins) {
        if (quote !== null) this.set({ coin }, Number(quote.usdPerCoin) / 10 ** rateDecimals);
      }
    },
  });
  new Gauge({
    name: 'depositd_rate_sources',
    help: 'How many price sources agree on what is quoted; 1 rests on that source alone.',
    labelNames: ['coin'] as const,
    registers,
    collect() {
      for (const { coin, quote } of rates.status().coins) this.set({ coin }, quote?.sources.length ?? 0);
    },
  });
  new Gauge({
    name: 'depositd_rate_source_answered_timestamp_seconds',
    help: 'When a price source last gave a price; 0 before the first.',
    labelNames: ['source'] as const,
    registers,
    collect() {
      for (const { name, answeredAt } of rates.status().sources) {
        this.set({ source: name }, (answeredAt ?? 0) / 1000);
      }
    },
  });
}
