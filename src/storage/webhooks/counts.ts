import { sql } from 'kysely';
import type { Db } from '../schema.ts';
import type { DeliveryState } from './deliveries.ts';
import { isUndelivered } from './replays.ts';

/*
 * How many deliveries stand how, for whoever looks. What was sent again is not counted as undelivered any more.
 */

/** No more than this are counted: beyond it the exact number helps nobody. */
const mostRejected = 1_000;
const mostKept = 10_000;

/**
 * How many deliveries to an endpoint were given up on a 4xx answer since `since` (Unix ms) and not sent again
 * afterwards; at most a thousand. What a receiver with the wrong secret leaves behind.
 */
export async function countRejected(db: Db, endpointId: string, since: number): Promise<number> {
  const rejected = db
    .selectFrom('deliveries as original')
    .select('original.id')
    .where('original.endpoint_id', '=', endpointId)
    .where(isUndelivered('original'))
    .where('original.repeated', '=', sql.lit(0))
    .where('original.state', '=', sql.lit('failed'))
    .where('original.last_status', '>=', 400)
    .where('original.last_status', '<', 500)
    .where('original.finished_at', '>=', since)
    .limit(mostRejected);
  const row = await db
    .selectFrom(rejected.as('rejected'))
    .select((eb) => eb.fn.countAll().as('count'))
    .executeTakeFirstOrThrow();
  return Number(row.count);
}

/** Events that were kept while an endpoint was off and not sent since; at most ten thousand are counted. */
export type KeptEvents = {
  count: number;
  /** When the oldest was queued, Unix ms; null: there is none. */
  since: number | null;
};

export async function countKept(db: Db, endpointId: string): Promise<KeptEvents> {
  const kept = db
    .selectFrom('deliveries as original')
    .select('original.created_at')
    .where('original.endpoint_id', '=', endpointId)
    .where(isUndelivered('original'))
    .where('original.repeated', '=', sql.lit(0))
    .where('original.state', '=', sql.lit('cancelled'))
    .limit(mostKept);
  const row = await db
    .selectFrom(kept.as('kept'))
    .select((eb) => [eb.fn.countAll().as('count'), eb.fn.min('kept.created_at').as('since')])
    .executeTakeFirstOrThrow();
  return { count: Number(row.count), since: row.since };
}

/** How an endpoint's deliveries that were created in a span of time stand; only its replays when asked. */
export async function countByState(
  db: Db,
  span: { endpointId: string; since: number; until?: number; replays?: boolean },
): Promise<Record<DeliveryState, number>> {
  let query = db
    .selectFrom('deliveries')
    .select((eb) => ['state', eb.fn.countAll().as('count')])
    .where('endpoint_id', '=', span.endpointId)
    .where('created_at', '>=', span.since);
  if (span.until !== undefined) query = query.where('created_at', '<', span.until);
  if (span.replays === true) query = query.where('replay_of', 'is not', null);
  const rows = await query.groupBy('state').execute();
  const counts: Record<DeliveryState, number> = {
    pending: 0,
    sending: 0,
    delivered: 0,
    failed: 0,
    cancelled: 0,
  };
  for (const row of rows) counts[row.state as DeliveryState] = Number(row.count);
  return counts;
}

/** What one endpoint did not get and nobody has sent again. */
export type Undelivered = { endpointId: string; givenUp: number; kept: number };

/** By endpoint, those that have any. */
export async function countUndelivered(db: Db): Promise<Undelivered[]> {
  const rows = await db
    .selectFrom('deliveries')
    .select((eb) => ['endpoint_id', 'state', eb.fn.countAll().as('count')])
    .where(isUndelivered('deliveries'))
    .where('repeated', '=', sql.lit(0))
    .groupBy(['endpoint_id', 'state'])
    .orderBy('endpoint_id')
    .execute();
  const found = new Map<string, Undelivered>();
  for (const row of rows) {
    const endpointId = row.endpoint_id;
    const one = found.get(endpointId) ?? { endpointId, givenUp: 0, kept: 0 };
    if (row.state === 'failed') one.givenUp = Number(row.count);
    else one.kept = Number(row.count);
    found.set(endpointId, one);
  }
  return [...found.values()];
}
