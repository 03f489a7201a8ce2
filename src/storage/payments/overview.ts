import { sql } from 'kysely';
import type { Db } from '../schema.ts';
import { mostlyConfirmed } from '../spans.ts';
import { sumReceived } from './report.ts';

export type Overview = {
  /** Payments made in the span, and confirmed in it. */
  created: number;
  paid: number;
  receivedUsdCents: number;
  /** Half were paid sooner after they were made; null where none was paid. */
  medianSecondsToPaid: number | null;
};

/** One day (UTC) and one currency. */
export type DaySum = { day: string; currency: string; network: string; count: number; usdCents: number };

/** For the median: more than this many of the latest change nothing that anybody sees. */
const medianOf = 500;

/** What came of payments since `since` (Unix ms). All of it is read from indexes. */
export async function readOverview(
  db: Db,
  { merchantId, since }: { merchantId: string | null; since: number },
): Promise<Overview> {
  let made = db
    .selectFrom('payments')
    .select(({ fn }) => fn.countAll<number>().as('n'))
    .where('created_at', '>=', since);
  if (merchantId !== null) made = made.where('merchant_id', '=', merchantId);
  const { n } = await made.executeTakeFirstOrThrow();

  let paid = db
    .selectFrom('payments')
    .select(({ fn }) => [fn.countAll<number>().as('n'), fn.sum<number>('amount_usd_cents').as('cents')])
    .where('confirmed_at', '>=', since)
    .where(mostlyConfirmed);
  if (merchantId !== null) paid = paid.where('merchant_id', '=', merchantId);
  const sums = await paid.executeTakeFirstOrThrow();

  let latest = db
    .selectFrom('payments')
    .select(['created_at', 'confirmed_at'])
    .where('confirmed_at', '>=', since)
    .where(mostlyConfirmed)
    .orderBy('confirmed_at', 'desc')
    .limit(medianOf);
  if (merchantId !== null) latest = latest.where('merchant_id', '=', merchantId);
  const times = (await latest.execute())
    .map((row) => (row.confirmed_at ?? 0) - row.created_at)
    .toSorted((a, b) => a - b);
  const median = times[Math.floor(times.length / 2)];
  return {
    created: Number(n),
    paid: Number(sums.n),
    receivedUsdCents: Number(sums.cents ?? 0),
    medianSecondsToPaid: median === undefined ? null : Math.round(median / 1000),
  };
}

/** What was confirmed on each day, the oldest first. */
export async function sumByDay(
  db: Db,
  span: { merchantId: string | null; since: number; until: number },
): Promise<DaySum[]> {
  const days = new Map<string, DaySum>();
  for (const { day: begun, network, currency, count, usdCents } of await sumReceived(db, span)) {
    const day = new Date(begun).toISOString().slice(0, 10);
    const key = `${day} ${network} ${currency}`;
    const sum = days.get(key) ?? { day, network, currency, count: 0, usdCents: 0 };
    days.set(key, { ...sum, count: sum.count + count, usdCents: sum.usdCents + usdCents });
  }
  return [...days.entries()].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, sum]) => sum);
}

/**
 * How long payments took from being made to being confirmed, ms: of those made in the span [since, until), Unix ms, the
 * last `limit`. A span costs as much as are answered, however many payments there are.
 */
export async function listPaymentTimes(
  db: Db,
  {
    merchantId,
    since,
    until,
    limit,
  }: { merchantId: string | null; since: number; until: number; limit: number },
): Promise<number[]> {
  let query = db
    .selectFrom('payments')
    .select(sql<number>`confirmed_at - created_at`.as('took'))
    .where('status', '=', 'confirmed')
    .where('confirmed_at', 'is not', null)
    .where('created_at', '>=', since)
    .where('created_at', '<', until)
    .orderBy('created_at', 'desc')
    .limit(limit);
  if (merchantId !== null) query = query.where('merchant_id', '=', merchantId);
  return (await query.execute()).map(({ took }) => Number(took));
}
