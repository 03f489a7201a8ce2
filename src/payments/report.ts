import { setImmediate } from 'node:timers/promises';
import type { PaymentView } from '../core/payment.ts';
import type { ReportPeriod, ReportRow } from '../core/report.ts';
import {
  dayOf,
  listUnmatchedBelow,
  listUnusual,
  listVerifiedRefunds,
  type ReportPart,
  type ReportSpan,
  sumProviderCosts,
  sumReceived,
} from '../storage/payments/report.ts';
import { viewsById } from '../storage/payments/views.ts';
import type { Db } from '../storage/schema.ts';

export type ReportOptions = {
  by: ReportPeriod;
  /** Each merchant for itself. */
  perMerchant: boolean;
};

/** Rows that are read at once: others have their turn between. */
const atOnce = 200;

/**
 * What came in, what it cost, and what is unusual about it, by period, merchant and asset, the newest period first. A
 * payment stands in the period in which it ended, a refund in that of its block, and unmatched money in that in which it
 * was seen.
 */
export async function reportSums(
  db: Db,
  span: ReportSpan,
  { by, perMerchant }: ReportOptions,
): Promise<ReportRow[]> {
  const rows = new Map<string, ReportRow>();
  const rowOf = (part: ReportPart, decimals?: number): ReportRow => {
    const { network, currency } = part;
    const from = beginOf(part.day, by);
    const merchantId = perMerchant ? part.merchantId : null;
    const key = `${from} ${merchantId} ${network} ${currency}`;
    const row = rows.get(key) ?? { from, merchantId, network, currency, ...nothing };
    if (decimals !== undefined) row.decimals = decimals;
    rows.set(key, row);
    return row;
  };
  for (const part of await sumReceived(db, span)) {
    const row = rowOf(part);
    row.count += part.count;
    row.usdCents += part.usdCents;
  }
  for (const part of await sumProviderCosts(db, span)) {
    const row = rowOf(part, part.decimals);
    row.isFiat = true;
    row.fees += part.fees;
    row.refunds += part.refunds;
    row.refunded += part.refunded;
  }
  for (const part of await listVerifiedRefunds(db, span)) {
    const row = rowOf(part, part.decimals);
    row.refunds += 1;
    row.refunded += part.amount;
  }
  for await (const view of unusual(db, span)) {
    const { payment } = view;
    const { merchantId, network, currency, decimals } = payment;
    const row = rowOf({ day: dayOf(payment.endedAt ?? 0), merchantId, network, currency }, decimals);
    const { late, over, under } = unusualAmounts(view);
    row.late += late;
    row.over += over;
    row.under += under;
  }
  for await (const part of unmatched(db, span)) rowOf(part, part.decimals).unmatched += part.amount;
  return [...rows.values()].toSorted(
    (a, b) =>
      b.from - a.from ||
      (a.merchantId ?? '').localeCompare(b.merchantId ?? '') ||
      a.network.localeCompare(b.network) ||
      a.currency.localeCompare(b.currency),
  );
}

const nothing = {
  decimals: 0,
  isFiat: false,
  count: 0,
  usdCents: 0,
  fees: 0n,
  refunds: 0,
  refunded: 0n,
  late: 0n,
  over: 0n,
  under: 0n,
  unmatched: 0n,
} as const;

/** What came late and does not count, what counts beyond what was asked for, and what is missing of that. */
function unusualAmounts(view: PaymentView): { late: bigint; over: bigint; under: bigint } {
  if (view.kind === 'provider') return { late: 0n, over: 0n, under: 0n };
  const { payment, deposits } = view;
  const { received, counted } = deposits;
  const beyond = counted - payment.expectedAmount;
  // What came late alone is missing nothing: it is late.
  const under = payment.reason === 'underpaid' ? positive(-beyond) : 0n;
  return { late: positive(received - counted), over: positive(beyond), under };
}

function positive(value: bigint): bigint {
  return value > 0n ? value : 0n;
}

async function* unusual(db: Db, span: ReportSpan): AsyncGenerator<PaymentView> {
  for (let after: { endedAt: number; id: number } | null = null; ; ) {
    const page: { endedAt: number; id: number }[] = await listUnusual(db, span, after, atOnce);
    const views = await viewsById(
      db,
      page.map(({ id }) => id),
    );
    yield* views.values();
    // Others have their turn.
    await setImmediate();
    after = page.at(-1) ?? null;
    if (page.length < atOnce || after === null) return;
  }
}

async function* unmatched(db: Db, { merchantId, since, until }: ReportSpan) {
  for (let beforeId: number | null = null; ; ) {
    const page: Awaited<ReturnType<typeof listUnmatchedBelow>> = await listUnmatchedBelow(
      db,
      merchantId,
      beforeId,
      atOnce,
    );
    for (const part of page) if (part.seenAt >= since && part.seenAt < until) yield part;
    const last = page.at(-1);
    // Their ids grow with the time at which they were seen.
    if (last === undefined || page.length < atOnce || last.seenAt < since) return;
    beforeId = last.id;
  }
}

/** Weeks begin on Monday. */
function beginOf(day: number, by: ReportPeriod): number {
  const date = new Date(day);
  switch (by) {
    case 'day':
      return day;
    case 'week':
      return day - ((date.getUTCDay() + 6) % 7) * 24 * 60 * 60 * 1000;
    case 'month':
      return Date.UTC(date.getUTCFullYear(), date.getUTCMonth());
    default:
      return by satisfies never;
  }
}
