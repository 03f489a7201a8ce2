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
