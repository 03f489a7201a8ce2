import { sql } from 'kysely';
import type { EventType } from '../../core/events.ts';
import { serializeByName } from '../database.ts';
import type { Db, Trx } from '../schema.ts';
import {
  dueAt,
  findReplayStart,
  isUndelivered,
  markRepeated,
  type ReplayRange,
  replayLock,
} from './replays.ts';

/*
 * What was given up is sent again once its endpoint accepts something. The endpoint's `recovery` says how far that
 * is: null, there is nothing to send again; `awaited`, something was given up and nothing accepted since; `due`, it
 * has accepted.
 */

/** Attempts of a delivery that was not refused, but never accepted. */
const exhaustedAttempts = 10;

/** How often an event is sent again by itself: less often where the receiver refused it at once. */
const mostRecoveries = 3;
const mostRecoveriesOfRefused = 1;

/** Something was given up at these endpoints. */
export async function awaitRecovery(trx: Trx, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return;
  await trx.updateTable('webhook_endpoints').set({ recovery: 'awaited' }).where('id', 'in', ids).execute();
}

/** These endpoints accepted something. */
export async function beginRecovery(trx: Trx, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return;
  await trx
    .updateTable('webhook_endpoints')
    .set({ recovery: 'due' })
    .where('id', 'in', ids)
    .where('recovery', '=', 'awaited')
    .execute();
}

/** Unless something was given up meanwhile. */
export async function endRecovery(trx: Trx, id: string): Promise<void> {
  await trx
    .updateTable('webhook_endpoints')
    .set({ recovery: null })
    .where('id', '=', id)
    .where('recovery', '=', 'due')
    .execute();
}

export type RecoveringEndpoint = {
  id: string;
  merchantId: string;
  /** Unix ms. */
  failingSince: number | null;
};

/** Endpoints that are on and whose recovery stands so, by id, after `after`; empty: from the first. */
export async function listRecovering(
  db: Db,
  recovery: 'awaited' | 'due',
  { after, limit }: { after: string; limit: number },
): Promise<RecoveringEndpoint[]> {
  const rows = await db
    .selectFrom('webhook_endpoints')
    .select(['id', 'merchant_id', 'failing_since'])
    .where('recovery', '=', recovery)
    .where('active', '=', 1)
    .where('deleted_at', 'is', null)
    .where('id', '>', after)
    .orderBy('id')
    .limit(limit)
    .execute();
  return rows.map((row) => ({ id: row.id, merchantId: row.merchant_id, failingSince: row.failing_since }));
}

/**
 * Queues what was given up at an endpoint since `since` (Unix ms) again, oldest first and `gapMs` apart, each once;
 * answers how many, or null while what was queued so before has not been sent.
 */
export async function enqueueRecovery(trx: Trx, range: Omit<ReplayRange, 'until'>): Promise<number | null> {
  await serializeByName(trx, replayLock(range.endpointId));
  if ((await findReplayStart(trx, range)) > range.at) return null;
  const chosen = givenUp(trx, range.endpointId)
    .select([
      'original.id',
      'original.endpoint_id',
      'original.merchant_id',
      'original.event_sequence',
      'original.event_type',
      'original.recoveries',
    ])
    .where('original.finished_at', '>=', range.since)
    .orderBy('original.id')
    .limit(range.limit)
    .as('chosen');
  const rows = await trx
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
      'recoveries',
      'created_at',
    ])
    .expression(
      trx
        .selectFrom(chosen)
        .select([
          'chosen.endpoint_id',
          'chosen.merchant_id',
          'chosen.event_sequence',
          'chosen.event_type',
          sql<string>`'pending'`.as('state'),
          sql<'backlog'>`'backlog'`.as('lane'),
          dueAt(range.at, range.gapMs, 'chosen.event_sequence').as('next_attempt_at'),
          'chosen.id as replay_of',
          sql<number>`chosen.recoveries + 1`.as('recoveries'),
          sql<number>`cast(${range.at} as bigint)`.as('created_at'),
        ])
        .orderBy('chosen.event_sequence'),
    )
    .returning('replay_of')
    .execute();
  await markRepeated(
    trx,
    rows.flatMap((row) => row.replay_of ?? []),
  );
  return rows.length;
}

export type GivenUpDelivery = {
  id: number;
  eventSequence: number;
  eventType: EventType;
  recoveries: number;
};

/**
 * Of an endpoint at which nothing waits: the oldest delivery that ran out of attempts, of an event since `since`
 * (Unix ms), and when such a delivery was given up last. Null: there is none.
 */
export async function findOldestExhausted(
  trx: Trx,
  endpointId: string,
  since: number,
): Promise<{ oldest: GivenUpDelivery; lastGivenUpAt: number } | null> {
  await serializeByName(trx, replayLock(endpointId));
  const waiting = await trx
    .selectFrom('deliveries')
    .select('id')
    .where('endpoint_id', '=', endpointId)
    .where('state', '=', sql.lit('pending'))
    .limit(1)
    .executeTakeFirst();
  if (waiting !== undefined) return null;
  const exhausted = givenUp(trx, endpointId)
    .innerJoin('events', 'events.sequence', 'original.event_sequence')
    .where('original.attempts', '>=', exhaustedAttempts)
    .where('events.created_at', '>=', since);
  const oldest = await exhausted
    .select(['original.id', 'original.event_sequence', 'original.event_type', 'original.recoveries'])
    .orderBy('original.event_sequence')
    .limit(1)
    .executeTakeFirst();
  if (oldest === undefined) return null;
  const { last } = await exhausted
    .select((eb) => eb.fn.max('original.finished_at').as('last'))
    .executeTakeFirstOrThrow();
  const { id, event_sequence: eventSequence, event_type: eventType, recoveries } = oldest;
  return {
    oldest: { id, eventSequence, eventType: eventType as EventType, recoveries },
    lastGivenUpAt: last ?? 0,
  };
}

/** What may still be sent again by itself. */
function givenUp(db: Db, endpointId: string) {
  return db
    .selectFrom('deliveries as original')
    .where('original.endpoint_id', '=', endpointId)
    .where(isUndelivered('original'))
    .where('original.repeated', '=', sql.lit(0))
    .where('original.state', '=', sql.lit('failed'))
    .where(({ eb, or, and }) =>
      or([
        eb('original.recoveries', '<', mostRecoveriesOfRefused),
        and([
          eb('original.attempts', '>=', exhaustedAttempts),
          eb('original.recoveries', '<', mostRecoveries),
        ]),
      ]),
    );
}
