import type { Currency } from './assets.ts';
import type { Network } from './networks.ts';

export const reportPeriods = ['day', 'week', 'month'] as const;

export type ReportPeriod = (typeof reportPeriods)[number];

/** What there was in one period in one currency on one network. Amounts in base units of that. */
export type ReportRow = {
  network: Network;
  currency: Currency;
  /** Null: all of them together. */
  merchantId: string | null;
  /** The first day of the period, Unix ms. */
  from: number;
  decimals: number;
  /** Whether a provider took it. */
  isFiat: boolean;
  /** Payments that were confirmed, and what was asked for them. */
  count: number;
  usdCents: number;
  /** What providers kept. */
  fees: bigint;
  refunds: number;
  refunded: bigint;
  late: bigint;
  over: bigint;
  under: bigint;
  unmatched: bigint;
};
