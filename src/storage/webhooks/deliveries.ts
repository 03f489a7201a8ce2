import { sql } from 'kysely';
import type { EventType } from '../../core/events.ts';
import { isPostgres } from '../database.ts';
import type { Db, Trx } from '../schema.ts';

export const deliveryStates = ['pending', 'sending', 'delivered', 'failed', 'cancelled'] as const;
export type DeliveryState = (typeof deliveryStates)[number];

/** One event on its way to one endpoint: a series of up to ten attempts. */
export type Delivery = {
  id: number;
  endpointId: string;
  merchantId: string;
  eventId: string;
  eventType: EventType;
  paymentNumber: string | null;
  state: DeliveryState;
  /** Attempts begun. */
  attempts: number;
  /** Unix ms; null once the series has ended. */
  nextAttemptAt: number | null;
  /** The delivery that this one repeats. */
  replayOf: number | null;
  lastStatus: number | null;
  /** Class of the last failure. */
  lastError: string | null;
  createdAt: number;
  finishedAt: number | null;
};

export type DeliveryAttempt = {
  attempt: number;
  startedAt: number;
  durationMs: number;
  status: number | null;
  error: string | null;
  detail: string;
  /** The first bytes of the answer: text from a stranger. */
  response: string;
};

export type DeliveryFilter = {
  merchantId?: string;
  endpointId?: string;
  state?: DeliveryState;
  eventType?: EventType;
  /** Created at or after, Unix ms. */
  since?: number;
  /** Created before, Unix ms. */
  until?: number;
  /** Only ids below this: the last id of the page before. */
  beforeId?: number;
  limit: number;
};

/**
 * Puts an event in the queue of every endpoint of its merchant that subscribes to its type, in the transaction
 * that wrote the event. For a disabled endpoint it is kept as `cancelled`: visible, and replayable. `at` in
 * Unix milliseconds.
 */
export async function enqueueDeliveries(
  trx: Trx,
  event: { sequence: number; merchantId: string; type: EventType; at: number },
): Promise<void> {
  await trx
    .insertInto('deliveries')
    .columns([
      'endpoint_id',
      'merchant_id',
      'event_sequence',
      'event_type',
      'state',
      'lane',
      'next_attempt_at',
      'created_at',
      'finished_at',
    ])
    .expression((eb) =>
      eb
        .selectFrom('webhook_endpoints')
        .select([
          'id',
          'merchant_id',
          sql<number>`cast(${event.sequence} as bigint)`.as('event_sequence'),
          sql<string>`cast(${event.type} as text)`.as('event_type'),
          sql<string>`case when active = 1 then 'pending' else 'cancelled' end`.as('state'),
          sql<'fresh'>`'fresh'`.as('lane'),
          sql<number>`cast(${event.at} as bigint)`.as('next_attempt_at'),
          sql<number>`cast(${event.at} as bigint)`.as('created_at'),
          sql<number | null>`case when active = 1 then null else cast(${event.at} as bigint) end`.as(
            'finished_at',
          ),
        ])
        .where('merchant_id', '=', event.merchantId)
        .where('deleted_at', 'is', null)
        // `events` is a JSON array of strings; exact, unlike LIKE, in which `_` is a wildcard.
        .where(sql<boolean>`replace(events, ${JSON.stringify(event.type)}, '') <> events`),
    )
    .execute();
}

/** More deliveries than are made between a backup and its restore. */
const passedOver = 1_000_000;

/**
 * Where the last deliveries were lost, their ids are given to no others: receivers have seen them, and may take another of that id for
 * one that they know.
 */
export async function passOverIds(trx: Trx): Promise<void> {
  if (isPostgres(trx)) {
    const ids = sql`pg_get_serial_sequence('deliveries', 'id')`;
    await sql`select setval(${ids}, nextval(${ids}) + ${sql.lit(passedOver)})`.execute(trx);
    return;
  }
  await sql`insert into sqlite_sequence (name, seq) select 'deliveries', 0
    where not exists (select 1 from sqlite_sequence where name = 'deliveries')`.execute(trx);
  await sql`update sqlite_sequence set seq = seq + ${sql.lit(passedOver)} where name = 'deliveries'`.execute(
    trx,
  );
}

/** Newest first. */
export async function listDeliveries(db: Db, filter: DeliveryFilter): Promise<Delivery[]> {
  let query = selectDeliveries(db).orderBy('deliveries.id', 'desc').limit(filter.limit);
  if (filter.merchantId !== undefined) query = query.where('deliveries.merchant_id', '=', filter.merchantId);
  if (filter.endpointId !== undefined) query = query.where('deliveries.endpoint_id', '=', filter.endpointId);
  // Spelled out, not bound: SQLite uses a partial index only for a constant it can see.
  if (filter.state !== undefined) query = query.where('deliveries.state', '=', sql.lit(filter.state));
  if (filter.eventType !== undefined) query = query.where('deliveries.event_type', '=', filter.eventType);
  if (filter.since !== undefined) query = query.where('deliveries.created_at', '>=', filter.since);
  if (filter.until !== undefined) query = query.where('deliveries.created_at', '<', filter.until);
  if (filter.beforeId !== undefined) query = query.where('deliveries.id', '<', filter.beforeId);
  return (await query.execute()).map(toDelivery);
}

export async function getDelivery(db: Db, id: number): Promise<Delivery | null> {
  const row = await selectDeliveries(db).where('deliveries.id', '=', id).executeTakeFirst();
  return row === undefined ? null : toDelivery(row);
}

/** Those of `ids` that exist, each with its endpoint's URL. */
export async function getDeliveries(
  db: Db,
  ids: readonly number[],
): Promise<{ delivery: Delivery; url: string }[]> {
  if (ids.length === 0) return [];
  const rows = await selectDeliveries(db)
    .innerJoin('webhook_endpoints', 'webhook_endpoints.id', 'deliveries.endpoint_id')
    .select('webhook_endpoints.url')
    .where('deliveries.id', 'in', ids)
    .execute();
  return rows.map((row) => ({ delivery: toDelivery(row), url: row.url }));
}

/** In order. Attempts that never ended, because the process died, have a row once their lease is over. */
export async function listAttempts(db: Db, deliveryId: number): Promise<DeliveryAttempt[]> {
  const rows = await db
    .selectFrom('delivery_attempts')
    .select(['attempt', 'started_at', 'duration_ms', 'status', 'error', 'detail', 'response'])
    .where('delivery_id', '=', deliveryId)
    .orderBy('attempt')
    .execute();
  return rows.map((row) => ({
    attempt: row.attempt,
    startedAt: row.started_at,
    durationMs: row.duration_ms,
    status: row.status,
    error: row.error,
    detail: row.detail,
    response: row.response,
  }));
}

function selectDeliveries(db: Db) {
  return db
    .selectFrom('deliveries')
    .innerJoin('events', 'events.sequence', 'deliveries.event_sequence')
    .leftJoin('payments', 'payments.id', 'events.payment_id')
    .select([
      'deliveries.id',
      'deliveries.endpoint_id',
      'deliveries.merchant_id',
      'events.id as event_id',
      'deliveries.event_type',
      'payments.payment_number',
      'deliveries.state',
      'deliveries.attempts',
      'deliveries.next_attempt_at',
      'deliveries.replay_of',
      'deliveries.last_status',
      'deliveries.last_error',
      'deliveries.created_at',
      'deliveries.finished_at',
    ]);
}

type DeliveryRow = Awaited<ReturnType<ReturnType<typeof selectDeliveries>['executeTakeFirstOrThrow']>>;

function toDelivery(row: DeliveryRow): Delivery {
  return {
    id: row.id,
    endpointId: row.endpoint_id,
    merchantId: row.merchant_id,
    eventId: row.event_id,
    eventType: row.event_type as EventType,
    paymentNumber: row.payment_number,
    state: row.state as DeliveryState,
    attempts: row.attempts,
    nextAttemptAt: row.finished_at === null ? row.next_attempt_at : null,
    replayOf: row.replay_of,
    lastStatus: row.last_status,
    lastError: row.last_error,
    createdAt: row.created_at,
    finishedAt: row.finished_at,
  };
}
