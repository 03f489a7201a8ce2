import { sql } from 'kysely';
import type { Db } from '../schema.ts';

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

const dayMs = 24 * 60 * 60 * 1000;

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
    .where('status', '=', 'confirmed');
  if (merchantId !== null) paid = paid.where('merchant_id', '=', merchantId);
  const sums = await paid.executeTakeFirstOrThrow();

  let latest = db
    .selectFrom('payments')
    .select(['created_at', 'confirmed_at'])
    .where('confirmed_at', '>=', since)
    .where('status', '=', 'confirmed')
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

/** What was confirmed on each day, the oldest first: from the index alone. */
export async function sumByDay(
  db: Db,
  { merchantId, since, until }: { merchantId: string | null; since: number; until: number },
): Promise<DaySum[]> {
  const day = sql<number>`confirmed_at / ${sql.lit(dayMs)}`;
  let query = db
    .selectFrom('payments')
    .select(({ fn }) => [
      day.as('day'),
      'network',
      'currency',
      fn.countAll<number>().as('n'),
      fn.sum<number>('amount_usd_cents').as('cents'),
    ])
    .where('confirmed_at', '>=', since)
    .where('confirmed_at', '<', until)
    .where('status', '=', 'confirmed')
    .groupBy([day, 'network', 'currency'])
    .orderBy(day)
    .orderBy('network')
    .orderBy('currency');
  if (merchantId !== null) query = query.where('merchant_id', '=', merchantId);
  return (await query.execute()).map((row) => ({
    day: new Date(Number(row.day) * dayMs).toISOString().slice(0, 10),
    network: row.network,
    currency: row.currency,
    count: Number(row.n),
    usdCents: Number(row.cents),
  }));
}
