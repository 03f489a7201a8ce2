import { sql } from 'kysely';
import type { EventType } from '../core/events.ts';
import type { DeliveryState } from './deliveries.ts';
import type { Db, Trx } from './schema.ts';

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
    .where(({ not, exists, selectFrom }) =>
      not(
        exists(
          selectFrom('deliveries as repeat')
            .select('repeat.id')
            .whereRef('repeat.event_sequence', '=', 'original.event_sequence')
            .whereRef('repeat.replay_of', '=', 'original.id'),
        ),
      ),
    )
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

/** How many deliveries to an endpoint were given up on a 4xx answer since `since` (Unix ms). */
export async function countRejected(db: Db, endpointId: string, since: number): Promise<number> {
  const row = await db
    .selectFrom('deliveries')
    .select((eb) => eb.fn.countAll().as('count'))
    .where('endpoint_id', '=', endpointId)
    .where('state', '=', sql.lit('failed'))
    .where('last_status', '>=', 400)
    .where('last_status', '<', 500)
    .where('finished_at', '>=', since)
    .executeTakeFirstOrThrow();
  return Number(row.count);
}

/** How an endpoint's deliveries made at `createdAt` (a range that was replayed) stand. */
export async function countByState(
  db: Db,
  made: { endpointId: string; createdAt: number },
): Promise<Record<DeliveryState, number>> {
  const rows = await db
    .selectFrom('deliveries')
    .select((eb) => ['state', eb.fn.countAll().as('count')])
    .where('endpoint_id', '=', made.endpointId)
    .where('created_at', '=', made.createdAt)
    .groupBy('state')
    .execute();
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
