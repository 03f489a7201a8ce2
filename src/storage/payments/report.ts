import { sql } from 'kysely';
import type { Currency } from '../../core/assets.ts';
import type { Network } from '../../core/networks.ts';
import type { Db } from '../schema.ts';
import { mostlyConfirmed } from '../spans.ts';

/*
 * What reports are made of: each a list of sums, or of the few rows that are unusual, in a span of time [since, until),
 * Unix ms. A day is one of UTC. Null for `merchantId` is everybody's.
 */

export type ReportSpan = { merchantId: string | null; since: number; until: number };

/** A sum of amounts that have the same unit. */
export type ReportPart = {
  /** Unix ms of its midnight. */
  day: number;
  merchantId: string;
  network: Network;
  currency: Currency;
};

const dayMs = 24 * 60 * 60 * 1000;

export type Received = ReportPart & { count: number; usdCents: number };

/**
 * What was confirmed. Whole days are read from sums that are kept, and what of a day the span begins or ends with from the
 * index of what was confirmed.
 */
export async function sumReceived(db: Db, { merchantId, since, until }: ReportSpan): Promise<Received[]> {
  const [first, last] = [Math.ceil(since / dayMs), Math.floor(until / dayMs)];
  if (first > last) return sumPart(db, { merchantId, since, until });
  return [
    ...(await sumPart(db, { merchantId, since, until: first * dayMs })),
    ...(await sumDays(db, merchantId, { from: first, to: last })),
    ...(await sumPart(db, { merchantId, since: last * dayMs, until })),
  ];
}

/** Days since 1970, `to` not among them. */
async function sumDays(
  db: Db,
  merchantId: string | null,
  { from, to }: { from: number; to: number },
): Promise<Received[]> {
  let query = db
    .selectFrom('received_sums')
    .select(['day', 'merchant_id', 'network', 'currency', 'total', 'usd_cents'])
    .where('day', '>=', from)
    .where('day', '<', to)
    .where('total', '>', 0);
  if (merchantId !== null) query = query.where('merchant_id', '=', merchantId);
  return (await query.execute()).map((row) => ({
    day: row.day * dayMs,
    merchantId: row.merchant_id,
    network: row.network as Network,
    currency: row.currency as Currency,
    count: row.total,
    usdCents: row.usd_cents,
  }));
}

async function sumPart(db: Db, { merchantId, since, until }: ReportSpan): Promise<Received[]> {
  if (since >= until) return [];
  let query = db
    .selectFrom('payments')
    .select(({ fn }) => [
      'merchant_id',
      'network',
      'currency',
      fn.countAll<number>().as('n'),
      fn.sum<number>('amount_usd_cents').as('cents'),
    ])
    .where('confirmed_at', '>=', since)
    .where('confirmed_at', '<', until)
    .where(mostlyConfirmed)
    .groupBy(['merchant_id', 'network', 'currency']);
  if (merchantId !== null) query = query.where('merchant_id', '=', merchantId);
  return (await query.execute()).map((row) => ({
    day: dayOf(since),
    merchantId: row.merchant_id,
    network: row.network as Network,
    currency: row.currency as Currency,
    count: Number(row.n),
    usdCents: Number(row.cents),
  }));
}

/** What providers kept and what they paid back of payments that were confirmed, by the day of the confirmation. */
export async function sumProviderCosts(
  db: Db,
  { merchantId, since, until }: ReportSpan,
): Promise<(ReportPart & { decimals: number; fees: bigint; refunded: bigint; refunds: number })[]> {
  // By their names, which the index of what was confirmed has.
  const providers = (await db.selectFrom('providers').select('name').execute()).map(({ name }) => name);
  if (providers.length === 0) return [];
  const day = sql<number>`payments.confirmed_at / ${sql.lit(dayMs)}`;
  const sumOf = (column: string) =>
    sql<string>`cast(sum(cast(coalesce(${sql.ref(column)}, '0') as bigint)) as text)`;
  let query = db
    .selectFrom('payments')
    .innerJoin('provider_payments', 'provider_payments.payment_id', 'payments.id')
    .select([
      day.as('day'),
      'payments.merchant_id',
      'payments.network',
      'payments.currency',
      'payments.decimals',
      sumOf('provider_payments.fee').as('fees'),
      sumOf('provider_payments.refunded').as('refunded'),
      sql<number>`sum(case when provider_payments.refunded <> '0' then 1 else 0 end)`.as('refunds'),
    ])
    .where('payments.confirmed_at', '>=', since)
    .where('payments.confirmed_at', '<', until)
    .where(mostlyConfirmed)
    .where('payments.network', 'in', providers)
    .groupBy([day, 'payments.merchant_id', 'payments.network', 'payments.currency', 'payments.decimals']);
  if (merchantId !== null) query = query.where('payments.merchant_id', '=', merchantId);
  return (await query.execute()).map((row) => ({
    day: Number(row.day) * dayMs,
    merchantId: row.merchant_id,
    network: row.network as Network,
    currency: row.currency as Currency,
    decimals: row.decimals,
    fees: BigInt(row.fees),
    refunded: BigInt(row.refunded),
    refunds: Number(row.refunds),
  }));
}

/** Refunds from operators' wallets that the chain shows, by the day of their block. */
export async function listVerifiedRefunds(
  db: Db,
  { merchantId, since, until }: ReportSpan,
): Promise<(ReportPart & { decimals: number; amount: bigint })[]> {
  let query = db
    .selectFrom('refund_records')
    .innerJoin('payments', 'payments.id', 'refund_records.payment_id')
    .select([
      'refund_records.block_time',
      'refund_records.amount',
      'payments.merchant_id',
      'payments.network',
      'payments.currency',
      'payments.decimals',
    ])
    .where('refund_records.status', '=', sql.lit('verified'))
    .where('refund_records.block_time', '>=', since)
    .where('refund_records.block_time', '<', until);
  if (merchantId !== null) query = query.where('payments.merchant_id', '=', merchantId);
  return (await query.execute()).map((row) => ({
    day: dayOf(row.block_time ?? 0),
    merchantId: row.merchant_id,
    network: row.network as Network,
    currency: row.currency as Currency,
    decimals: row.decimals,
    amount: BigInt(row.amount),
  }));
}

/** Payments that ended late, with too much or with too little, a page at a time: their ids and when they ended. */
export async function listUnusual(
  db: Db,
  { merchantId, since, until }: ReportSpan,
  after: { endedAt: number; id: number } | null,
  limit: number,
): Promise<{ id: number; endedAt: number }[]> {
  let query = db
    .selectFrom('payments')
    .select(['id', 'ended_at'])
    .where('reason', 'is not', null)
    .where('ended_at', '>=', since)
    .where('ended_at', '<', until)
    .orderBy('ended_at')
    .orderBy('id')
    .limit(limit);
  if (merchantId !== null) query = query.where('merchant_id', '=', merchantId);
  if (after !== null) query = query.where(sql<boolean>`(ended_at, id) > (${after.endedAt}, ${after.id})`);
  return (await query.execute()).map((row) => ({ id: row.id, endedAt: row.ended_at ?? 0 }));
}

/** Money that is nobody's, ignored or not, newest first, a page at a time. */
export async function listUnmatchedBelow(
  db: Db,
  merchantId: string | null,
  beforeId: number | null,
  limit: number,
): Promise<(ReportPart & { id: number; seenAt: number; decimals: number; amount: bigint })[]> {
  let query = db
    .selectFrom('deposits')
    .select(['id', 'merchant_id', 'network', 'currency', 'decimals', 'amount', 'seen_at', 'status'])
    .where('role', '=', 'unmatched')
    .orderBy('id', 'desc')
    .limit(limit);
  if (merchantId !== null) query = query.where('merchant_id', '=', merchantId);
  if (beforeId !== null) query = query.where('id', '<', beforeId);
  return (await query.execute()).map((row) => ({
    id: row.id,
    seenAt: row.seen_at,
    day: dayOf(row.seen_at),
    merchantId: row.merchant_id,
    network: row.network as Network,
    currency: row.currency as Currency,
    decimals: row.decimals,
    // What the chain took back is nothing.
    amount: row.status === 'orphaned' ? 0n : BigInt(row.amount),
  }));
}

export function dayOf(ms: number): number {
  return Math.floor(ms / dayMs) * dayMs;
}
