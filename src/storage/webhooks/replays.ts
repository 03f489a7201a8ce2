import { type SqlBool, sql } from 'kysely';
import type { EventType } from '../../core/events.ts';
import { serializeByName } from '../database.ts';
import type { Db, Trx } from '../schema.ts';
import type { DeliveryState } from './deliveries.ts';

/** The event of a delivery, for sending it again. */
export async function getDeliveryEvent(
  db: Db,
  id: number,
): Promise<{ endpointId: string; merchantId: string; eventSequence: number; eventType: EventType } | null> {
  const row = await db
    .selectFrom('deliveries')
    .select(['endpoint_id', 'merchant_id', 'event_sequence', 'event_type'])
    .where('id', '=', id)
    .executeTakeFirst();
  if (row === undefined) return null;
  return {
    endpointId: row.endpoint_id,
    merchantId: row.merchant_id,
    eventSequence: row.event_sequence,
    eventType: row.event_type as EventType,
  };
}

/** Puts one event in the queue of one endpoint, subscribed or not; answers the delivery's id. */
export async function enqueueDelivery(
  trx: Trx,
  delivery: {
    endpointId: string;
    merchantId: string;
    eventSequence: number;
    eventType: EventType;
    replayOf: number | null;
    /** How often the event was sent again by itself before. */
    recoveries?: number;
    at: number;
  },
): Promise<number> {
  const { id } = await trx
    .insertInto('deliveries')
    .values({
      endpoint_id: delivery.endpointId,
      merchant_id: delivery.merchantId,
      event_sequence: delivery.eventSequence,
      event_type: delivery.eventType,
      state: 'pending',
      lane: 'fresh',
      next_attempt_at: delivery.at,
      replay_of: delivery.replayOf,
      recoveries: delivery.recoveries ?? 0,
      created_at: delivery.at,
    })
    .returning('id')
    .executeTakeFirstOrThrow();
  if (delivery.replayOf !== null) await markRepeated(trx, [delivery.replayOf]);
  return id;
}

export type ReplayRange = {
  endpointId: string;
  /** Created at or after, Unix ms. */
  since: number;
  /** Created before, Unix ms. */
  until: number;
  limit: number;
  /** Between one and the next. */
  gapMs: number;
  at: number;
};

const queuedColumns = [
  'endpoint_id',
  'merchant_id',
  'event_sequence',
  'event_type',
  'state',
  'lane',
  'next_attempt_at',
  'replay_of',
  'created_at',
] as const;

/**
 * Queues the events of an endpoint's deliveries again, oldest first and `gapMs` apart; answers how many. A
 * delivery that was already sent again is passed over, so that asking twice sends nothing twice.
 */
export async function enqueueReplays(
  trx: Trx,
  range: ReplayRange & { states: readonly DeliveryState[] },
): Promise<number> {
  const firstAt = await findReplayStart(trx, range);
  const undelivered = range.states.every((state) => state === 'failed' || state === 'cancelled');
  const chosen = trx
    .selectFrom('deliveries as original')
    .select([
      'original.endpoint_id',
      'original.merchant_id',
      'original.event_sequence',
      'original.event_type',
      sql<string>`'pending'`.as('state'),
      sql<'backlog'>`'backlog'`.as('lane'),
      dueAt(firstAt, range.gapMs, 'original.id').as('next_attempt_at'),
      'original.id as replay_of',
      sql<number>`cast(${range.at} as bigint)`.as('created_at'),
    ])
    .where('original.endpoint_id', '=', range.endpointId)
    .where(
      'original.state',
      'in',
      range.states.map((state) => sql.lit(state)),
    )
    .where('original.created_at', '>=', range.since)
    .where('original.created_at', '<', range.until)
    .where('original.repeated', '=', sql.lit(0))
    .$if(undelivered, (query) => query.where(isUndelivered('original')))
    .orderBy('original.id')
    .limit(range.limit);
  const rows = await trx
    .insertInto('deliveries')
    .columns([...queuedColumns])
    .expression(chosen)
    .returning('replay_of')
    .execute();
  await markRepeated(
    trx,
    rows.flatMap((row) => row.replay_of ?? []),
  );
  return rows.length;
}

/**
 * Queues events of a span of time that never became a delivery to an endpoint, oldest first: it was added later,
 * or did not subscribe to their type then. What it subscribes to now decides.
 */
export async function enqueueMissed(
  trx: Trx,
  range: ReplayRange & { merchantId: string; types: readonly EventType[] },
): Promise<number> {
  // A test event goes to the endpoint it was made for.
  const types = range.types.filter((type) => type !== 'webhook.test');
  if (types.length === 0) return 0;
  const firstAt = await findReplayStart(trx, range);
  const chosen = trx
    .selectFrom('events')
    .select([
      sql<string>`cast(${range.endpointId} as text)`.as('endpoint_id'),
      'events.merchant_id',
      'events.sequence as event_sequence',
      'events.type as event_type',
      sql<string>`'pending'`.as('state'),
      sql<'backlog'>`'backlog'`.as('lane'),
      dueAt(firstAt, range.gapMs, 'events.sequence').as('next_attempt_at'),
      sql<number | null>`cast(null as bigint)`.as('replay_of'),
      sql<number>`cast(${range.at} as bigint)`.as('created_at'),
    ])
    .where('events.merchant_id', '=', range.merchantId)
    .where('events.type', 'in', types)
    .where('events.created_at', '>=', range.since)
    .where('events.created_at', '<', range.until)
    .where(({ not, exists, selectFrom }) =>
      not(
        exists(
          selectFrom('deliveries')
            .select('deliveries.id')
            .whereRef('deliveries.event_sequence', '=', 'events.sequence')
            .where('deliveries.endpoint_id', '=', range.endpointId),
        ),
      ),
    )
    .orderBy('events.sequence')
    .limit(range.limit);
  const result = await trx
    .insertInto('deliveries')
    .columns([...queuedColumns])
    .expression(chosen)
    .executeTakeFirstOrThrow();
  return Number(result.numInsertedOrUpdatedRows ?? 0);
}

/**
 * When the first of a range may be sent: after the last that an earlier replay queued, so that asking again and
 * again is neither faster nor out of order. Replays to one endpoint come one after the other from here on.
 */
export async function findReplayStart(
  trx: Trx,
  { endpointId, gapMs, at }: Pick<ReplayRange, 'endpointId' | 'gapMs' | 'at'>,
): Promise<number> {
  await serializeByName(trx, replayLock(endpointId));
  const last = await trx
    .selectFrom('deliveries')
    .select('next_attempt_at')
    .where('endpoint_id', '=', endpointId)
    .where('lane', '=', sql.lit('backlog'))
    .where('state', '=', sql.lit('pending'))
    .where('attempts', '=', 0)
    .orderBy('next_attempt_at', 'desc')
    .limit(1)
    .executeTakeFirst();
  return last === undefined ? at : Math.max(at, last.next_attempt_at + gapMs);
}

/** When each of a range may be sent, in the order of a column. */
export function dueAt(firstAt: number, gapMs: number, order: string) {
  return sql<number>`cast(${firstAt} as bigint) + cast(${gapMs} as bigint) * (row_number() over (order by ${sql.ref(order)}) - 1)`;
}

/** The name under which the replays to one endpoint come one after the other. */
export function replayLock(endpointId: string): string {
  return `replay ${endpointId}`;
}

/** Far below the parameters that either database takes. */
const idsAtOnce = 1_000;

export async function markRepeated(trx: Trx, ids: readonly number[]): Promise<void> {
  for (let from = 0; from < ids.length; from += idsAtOnce) {
    await trx
      .updateTable('deliveries')
      .set({ repeated: 1 })
      .where('id', 'in', ids.slice(from, from + idsAtOnce))
      .execute();
  }
}

/** As the index spells it: SQLite uses a partial index only where its condition stands in the query. */
export function isUndelivered(table: string) {
  return sql<SqlBool>`${sql.ref(`${table}.state`)} in ('failed', 'cancelled')`;
}
