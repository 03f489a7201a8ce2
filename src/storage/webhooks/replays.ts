import { sql } from 'kysely';
import type { EventType } from '../../core/events.ts';
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
      created_at: delivery.at,
    })
    .returning('id')
    .executeTakeFirstOrThrow();
  return id;
}

/**
 * Queues the events of an endpoint's deliveries again, oldest first and `gapMs` apart; answers how many. A
 * delivery that was already sent again is passed over, so that asking twice sends nothing twice.
 */
export async function enqueueReplays(
  trx: Trx,
  range: {
    endpointId: string;
    states: readonly DeliveryState[];
    /** Created at or after, Unix ms. */
    since: number;
    /** Created before, Unix ms. */
    until: number;
    limit: number;
    gapMs: number;
    at: number;
  },
): Promise<number> {
  const chosen = trx
    .selectFrom('deliveries as original')
    .select([
      'original.endpoint_id',
      'original.merchant_id',
      'original.event_sequence',
      'original.event_type',
      sql<string>`'pending'`.as('state'),
      sql<'backlog'>`'backlog'`.as('lane'),
      sql<number>`cast(${range.at} as bigint) + cast(${range.gapMs} as bigint) * (row_number() over (order by original.id) - 1)`.as(
        'next_attempt_at',
      ),
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
    .where(({ not, exists }) => not(exists(repeatsOf(trx))))
    .orderBy('original.id')
    .limit(range.limit);
  const result = await trx
    .insertInto('deliveries')
    .columns([
      'endpoint_id',
      'merchant_id',
      'event_sequence',
      'event_type',
      'state',
      'lane',
      'next_attempt_at',
      'replay_of',
      'created_at',
    ])
    .expression(chosen)
    .executeTakeFirstOrThrow();
  return Number(result.numInsertedOrUpdatedRows ?? 0);
}

/** No more than this are counted: beyond it the exact number helps nobody. */
const mostRejected = 1_000;

/**
 * How many deliveries to an endpoint were given up on a 4xx answer since `since` (Unix ms) and not sent again
 * afterwards; at most a thousand. What a receiver with the wrong secret leaves behind.
 */
export async function countRejected(db: Db, endpointId: string, since: number): Promise<number> {
  const rejected = db
    .selectFrom('deliveries as original')
    .select('original.id')
    .where('original.endpoint_id', '=', endpointId)
    .where('original.state', '=', sql.lit('failed'))
    .where('original.last_status', '>=', 400)
    .where('original.last_status', '<', 500)
    .where('original.finished_at', '>=', since)
    .where(({ not, exists }) => not(exists(repeatsOf(db))))
    .limit(mostRejected);
  const row = await db
    .selectFrom(rejected.as('rejected'))
    .select((eb) => eb.fn.countAll().as('count'))
    .executeTakeFirstOrThrow();
  return Number(row.count);
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

/** The deliveries that repeat `original`. By the event, which has an index. */
function repeatsOf(db: Db) {
  return db
    .selectFrom('deliveries as repeat')
    .select('repeat.id')
    .where('repeat.event_sequence', '=', sql.ref<number>('original.event_sequence'))
    .where('repeat.replay_of', '=', sql.ref<number>('original.id'));
}
