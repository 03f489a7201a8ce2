import { type RawBuilder, sql } from 'kysely';
import type { EventType } from '../../core/events.ts';
import { isPostgres } from '../database.ts';
import type { Db, Trx } from '../schema.ts';

/*
 * The deliveries' side that only the notifier sees. A delivery is `pending` until an attempt is claimed; then
 * it is `sending` under a lease. (id, attempts) identifies one claim, so whoever claimed it may write its
 * result, and nobody whose lease ended and was taken over.
 */

export type Lane = 'fresh' | 'backlog';

/** An endpoint that has something due, and since when in each lane (Unix ms; null: nothing). */
export type DueEndpoint = { endpointId: string; fresh: number | null; backlog: number | null };

export type ClaimedDelivery = {
  id: number;
  endpointId: string;
  merchantId: string;
  eventSequence: number;
  eventType: EventType;
  lane: Lane;
  /** Which attempt this is, from 1. */
  attempt: number;
  firstAttemptAt: number;
};

/** One attempt and what follows from it. */
export type AttemptRecord = {
  deliveryId: number;
  attempt: number;
  /** Of the delivery: tells it from another that was given its id, in a database that has lost its last commits. */
  firstAttemptAt: number;
  startedAt: number;
  durationMs: number;
  status: number | null;
  error: string | null;
  detail: string;
  response: string;
  next:
    | {
        state: 'pending';
        nextAttemptAt: number;
        /** It was in vain through a fault of ours: its number is given again. */
        uncounted: boolean;
      }
    | { state: 'delivered' | 'failed'; finishedAt: number };
};

/** Far above the endpoints anybody has; bounds one look. */
const mostEndpoints = 10_000;

/**
 * The endpoints with something due. The index is walked from endpoint to endpoint, so that a queue costs one
 * look however long it is: a plain `distinct` would read all of it.
 */
export async function findDueEndpoints(db: Db, now: number): Promise<DueEndpoint[]> {
  const dueSince = (lane: Lane) => sql`(
    select next_attempt_at from deliveries
    where endpoint_id = queue.endpoint_id and lane = ${sql.lit(lane)} and state = 'pending' and next_attempt_at <= ${now}
    order by next_attempt_at, id limit 1
  )`;
  const { rows } = await sql<{ endpoint_id: string; fresh: number | null; backlog: number | null }>`
    with recursive queue (endpoint_id) as (
      select (select endpoint_id from deliveries where state = 'pending' order by endpoint_id limit 1)
      union all
      select (
        select deliveries.endpoint_id from deliveries
        where state = 'pending' and deliveries.endpoint_id > queue.endpoint_id
        order by deliveries.endpoint_id limit 1
      )
      from queue where queue.endpoint_id is not null
    )
    select endpoint_id, ${dueSince('fresh')} as fresh, ${dueSince('backlog')} as backlog
    from queue where endpoint_id is not null limit ${sql.lit(mostEndpoints)}`.execute(db);
  return rows
    .map((row) => ({ endpointId: row.endpoint_id, fresh: row.fresh, backlog: row.backlog }))
    .filter((row) => row.fresh !== null || row.backlog !== null);
}

/** When the next delivery that is not due yet will be, Unix ms; null: there is none. */
export async function findNextDueAt(db: Db, now: number): Promise<number | null> {
  const row = await db
    .selectFrom('deliveries')
    .select('next_attempt_at')
    .where('state', '=', sql.lit('pending'))
    .where('next_attempt_at', '>', now)
    .orderBy('next_attempt_at')
    .limit(1)
    .executeTakeFirst();
  return row?.next_attempt_at ?? null;
}

/**
 * Takes up to `limit` due deliveries of one endpoint and lane, oldest first, counts the attempt and leases
 * them. What another process is just taking is left to it.
 */
export async function claimDueDeliveries(
  trx: Trx,
  claim: { endpointId: string; lane: Lane; limit: number; now: number; leaseUntil: number },
): Promise<ClaimedDelivery[]> {
  const skipLocked = isPostgres(trx) ? sql`for update skip locked` : sql``;
  const { rows } = await sql<ClaimedRow>`
    with due as materialized (
      select id from deliveries
      where endpoint_id = ${claim.endpointId} and lane = ${sql.lit(claim.lane)} and state = 'pending'
        and next_attempt_at <= ${claim.now}
      order by next_attempt_at, id limit ${claim.limit} ${skipLocked}
    )
    update deliveries
    set state = 'sending', attempts = attempts + 1, lease_until = ${claim.leaseUntil},
      first_attempt_at = coalesce(first_attempt_at, ${claim.now})
    where id in (select id from due)
    returning ${claimedColumns}`.execute(trx);
  return rows.map(toClaimed).sort((a, b) => a.id - b.id);
}

/** The frozen bodies of events, by sequence. */
export async function getEventBodies(
  db: Db,
  sequences: readonly number[],
): Promise<Map<number, { id: string; body: string; createdAt: number }>> {
  if (sequences.length === 0) return new Map();
  const rows = await db
    .selectFrom('events')
    .select(['sequence', 'id', 'body', 'created_at'])
    .where('sequence', 'in', sequences)
    .execute();
  return new Map(
    rows.map((row) => [row.sequence, { id: row.id, body: row.body, createdAt: row.created_at }]),
  );
}

/**
 * Writes attempts and their consequences, all in a few statements. Answers those that changed their delivery: an
 * attempt whose lease was lost is kept in the log, and a success still ends its delivery, but a failure
 * changes nothing any more. Nothing is written of a delivery that is lost itself.
 */
export async function recordAttempts<T extends AttemptRecord>(
  trx: Trx,
  records: readonly T[],
): Promise<Set<T>> {
  if (records.length === 0) return new Set();
  const results = sql.join(records.map(toResult));
  const { rows } = await sql<{ id: number; first_attempt_at: number | null }>`
    with result (id, attempt, first_attempt_at, state, next_attempt_at, finished_at, status, error, uncounted)
      as (values ${results})
    update deliveries
    set state = result.state,
      attempts = deliveries.attempts - result.uncounted,
      lane = case when result.state = 'pending' then 'backlog' else deliveries.lane end,
      next_attempt_at = coalesce(result.next_attempt_at, deliveries.next_attempt_at),
      finished_at = result.finished_at,
      lease_until = null,
      last_status = result.status,
      last_error = result.error
    from result
    where deliveries.id = result.id
      and coalesce(deliveries.first_attempt_at, 0) = result.first_attempt_at
      and (
        (deliveries.state = 'sending' and deliveries.attempts = result.attempt)
        or (result.state = 'delivered' and deliveries.state in ('pending', 'sending', 'failed'))
      )
    returning deliveries.id as id, deliveries.first_attempt_at as first_attempt_at`.execute(trx);
  const ended = new Map(rows.map((row) => [row.id, row.first_attempt_at ?? 0]));
  const isEnded = (one: AttemptRecord) => ended.get(one.deliveryId) === one.firstAttemptAt;
  const changed = records.filter(isEnded);
  await logAttempts(trx, [
    ...changed,
    ...(await withoutLost(
      trx,
      records.filter((one) => !isEnded(one)),
    )),
  ]);
  return new Set(changed);
}

async function logAttempts(trx: Trx, records: readonly AttemptRecord[]): Promise<void> {
  if (records.length === 0) return;
  await trx
    .insertInto('delivery_attempts')
    .values(
      records.map((record) => ({
        delivery_id: record.deliveryId,
        attempt: record.attempt,
        started_at: record.startedAt,
        duration_ms: record.durationMs,
        status: record.status,
        error: record.error,
        detail: record.detail,
        response: record.response,
      })),
    )
    // A result that comes after its lease was given up replaces "interrupted".
    .onConflict((conflict) =>
      conflict.columns(['delivery_id', 'attempt']).doUpdateSet((eb) => ({
        started_at: eb.ref('excluded.started_at'),
        duration_ms: eb.ref('excluded.duration_ms'),
        status: eb.ref('excluded.status'),
        error: eb.ref('excluded.error'),
        detail: eb.ref('excluded.detail'),
        response: eb.ref('excluded.response'),
      })),
    )
    .execute();
}

/** What was sent of a delivery that is not there any more, or whose claim was lost, says nothing about whatever has its id now. */
async function withoutLost(trx: Trx, records: readonly AttemptRecord[]): Promise<AttemptRecord[]> {
  if (records.length === 0) return [];
  const rows = await trx
    .selectFrom('deliveries')
    .select(['id', 'first_attempt_at'])
    .where(
      'id',
      'in',
      records.map(({ deliveryId }) => deliveryId),
    )
    .execute();
  const firstAttemptAt = new Map(rows.map((row) => [row.id, row.first_attempt_at ?? 0]));
  return records.filter((one) => firstAttemptAt.get(one.deliveryId) === one.firstAttemptAt);
}

function toResult(record: AttemptRecord): RawBuilder<unknown> {
  const { next } = record;
  const nextAttemptAt = next.state === 'pending' ? next.nextAttemptAt : null;
  const finishedAt = next.state === 'pending' ? null : next.finishedAt;
  const uncounted = next.state === 'pending' && next.uncounted === true ? 1 : 0;
  // PostgreSQL takes bare parameters of a VALUES list for text.
  return sql`(cast(${record.deliveryId} as bigint), cast(${record.attempt} as bigint),
    cast(${record.firstAttemptAt} as bigint), cast(${next.state} as text), cast(${nextAttemptAt} as bigint),
    cast(${finishedAt} as bigint), cast(${record.status} as bigint), cast(${record.error} as text),
    cast(${uncounted} as bigint))`;
}

/** Gives back claims that were never sent; their attempt does not count. */
export async function releaseClaims(
  trx: Trx,
  claims: readonly Pick<ClaimedDelivery, 'id' | 'attempt'>[],
): Promise<void> {
  for (const { id, attempt } of claims) {
    await trx
      .updateTable('deliveries')
      .set({ state: 'pending', attempts: attempt - 1, lease_until: null })
      .$if(attempt === 1, (query) => query.set({ first_attempt_at: null }))
      .where('id', '=', id)
      .where('state', '=', 'sending')
      .where('attempts', '=', attempt)
      .execute();
  }
}

const claimedColumns = sql`id, endpoint_id, merchant_id, event_sequence, event_type, lane, attempts, first_attempt_at`;

type ClaimedRow = {
  id: number;
  endpoint_id: string;
  merchant_id: string;
  event_sequence: number;
  event_type: string;
  lane: Lane;
  attempts: number;
  first_attempt_at: number;
};

function toClaimed(row: ClaimedRow): ClaimedDelivery {
  return {
    id: row.id,
    endpointId: row.endpoint_id,
    merchantId: row.merchant_id,
    eventSequence: row.event_sequence,
    eventType: row.event_type as EventType,
    lane: row.lane,
    attempt: row.attempts,
    firstAttemptAt: row.first_attempt_at,
  };
}
