import { sql } from 'kysely';
import type { EventType } from '../core/events.ts';
import type { Trx } from './schema.ts';

/**
 * Puts an event in the queue of every active endpoint of its merchant that subscribes to its type, in the
 * transaction that wrote the event. Answers how many that were. `at` in Unix milliseconds.
 */
export async function enqueueDeliveries(
  trx: Trx,
  event: { sequence: number; merchantId: string; type: EventType; at: number },
): Promise<number> {
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
      'created_at',
    ])
    .expression((eb) =>
      eb
        .selectFrom('webhook_endpoints')
        .select([
          'id',
          'merchant_id',
          sql<number>`cast(${event.sequence} as bigint)`.as('event_sequence'),
          sql<string>`cast(${event.type} as text)`.as('event_type'),
          sql<string>`'pending'`.as('state'),
          sql<'fresh'>`'fresh'`.as('lane'),
          sql<number>`cast(${event.at} as bigint)`.as('next_attempt_at'),
          sql<number>`cast(${event.at} as bigint)`.as('created_at'),
        ])
        .where('merchant_id', '=', event.merchantId)
        .where('active', '=', 1)
        .where('deleted_at', 'is', null)
        // `events` is a JSON array of strings; exact, unlike LIKE, in which `_` is a wildcard.
        .where(sql<boolean>`replace(events, ${JSON.stringify(event.type)}, '') <> events`),
    )
    .executeTakeFirstOrThrow();
  return Number(result.numInsertedOrUpdatedRows ?? 0);
}
