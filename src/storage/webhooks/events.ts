import { randomBytes } from 'node:crypto';
import type { EventType } from '../../core/events.ts';
import { serializeInserts } from '../database.ts';
import type { Db, Trx } from '../schema.ts';
import { enqueueDeliveries } from './deliveries.ts';

export type NewEvent = {
  merchantId: string;
  type: EventType;
  /** Null when the event is not about a payment. */
  paymentId: number | null;
  /** The frozen webhook body. */
  body: string;
  /** Unix ms. */
  at: number;
};

export type StoredEvent = { sequence: number; id: string; type: EventType; body: string; createdAt: number };

/** Records what happened, and a delivery for each endpoint that wants to know, in the caller's transaction. */
export async function appendEvent(trx: Trx, event: NewEvent): Promise<void> {
  const sequence = await insertEvent(trx, event);
  await enqueueDeliveries(trx, { sequence, merchantId: event.merchantId, type: event.type, at: event.at });
}

/** Records an event and tells nobody: the caller queues its deliveries. Answers its sequence. */
export async function insertEvent(trx: Trx, event: NewEvent): Promise<number> {
  await serializeInserts(trx, 'events');
  const { sequence } = await trx
    .insertInto('events')
    .values({
      id: `evt_${randomBytes(16).toString('hex')}`,
      merchant_id: event.merchantId,
      type: event.type,
      payment_id: event.paymentId,
      body: event.body,
      created_at: event.at,
    })
    .returning('sequence')
    .executeTakeFirstOrThrow();
  return sequence;
}

/** Whether a merchant's event with this sequence has an id that begins so. */
export async function hasEvent(
  db: Db,
  merchantId: string,
  event: { sequence: number; idPrefix: string },
): Promise<boolean> {
  const row = await db
    .selectFrom('events')
    .select('id')
    .where('sequence', '=', event.sequence)
    .where('merchant_id', '=', merchantId)
    .executeTakeFirst();
  return row?.id.startsWith(event.idPrefix) ?? false;
}

/** A merchant's events after `sequence`, in commit order. */
export async function listEvents(
  db: Db,
  merchantId: string,
  afterSequence: number,
  limit: number,
): Promise<StoredEvent[]> {
  const rows = await db
    .selectFrom('events')
    .select(['sequence', 'id', 'type', 'body', 'created_at'])
    .where('merchant_id', '=', merchantId)
    .where('sequence', '>', afterSequence)
    .orderBy('sequence')
    .limit(limit)
    .execute();
  return rows.map((row) => ({
    sequence: row.sequence,
    id: row.id,
    type: row.type as EventType,
    body: row.body,
    createdAt: row.created_at,
  }));
}

/**
 * Deletes events that happened before `before` (Unix ms), up to `limit`, but those that a delivery may still need;
 * answers how many. Notes for each merchant how far, so that nobody who follows the feed misses any without a word.
 */
export async function pruneEvents(trx: Trx, before: number, limit: number): Promise<number> {
  const deleted = await trx
    .deleteFrom('events')
    .where('sequence', 'in', (eb) =>
      eb
        .selectFrom('events as old')
        .select('old.sequence')
        .where('old.created_at', '<', before)
        .where(({ not, exists, selectFrom }) =>
          not(
            exists(
              selectFrom('deliveries')
                .select('deliveries.id')
                .whereRef('deliveries.event_sequence', '=', 'old.sequence'),
            ),
          ),
        )
        .orderBy('old.created_at')
        .limit(limit),
    )
    .returning(['merchant_id', 'sequence'])
    .execute();
  const last = new Map<string, number>();
  for (const { merchant_id: id, sequence } of deleted) last.set(id, Math.max(sequence, last.get(id) ?? 0));
  for (const [merchantId, sequence] of [...last].sort()) {
    await trx
      .insertInto('pruned_events')
      .values({ merchant_id: merchantId, sequence })
      .onConflict((conflict) =>
        conflict
          .column('merchant_id')
          .doUpdateSet({ sequence })
          .where('pruned_events.sequence', '<', sequence),
      )
      .execute();
  }
  return deleted.length;
}

/** The last of a merchant's events that was deleted; 0 while none was. */
export async function lastPrunedEvent(db: Db, merchantId: string): Promise<number> {
  const row = await db
    .selectFrom('pruned_events')
    .select('sequence')
    .where('merchant_id', '=', merchantId)
    .executeTakeFirst();
  return row?.sequence ?? 0;
}

/** The numbers of payments whose confirmation was taken back since `since` (Unix ms). */
export async function listRevertedSince(db: Db, since: number): Promise<string[]> {
  const rows = await db
    .selectFrom('payments')
    .select('payment_number')
    // Never from the payments on: there are many, and few events are young.
    .where('id', 'in', ({ selectFrom }) =>
      selectFrom('events')
        .select('payment_id')
        .$narrowType<{ payment_id: number }>()
        .where('created_at', '>=', since)
        .where('type', '=', 'payment.reverted'),
    )
    .execute();
  return rows.map((row) => row.payment_number);
}
