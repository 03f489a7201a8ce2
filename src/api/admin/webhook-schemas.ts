import { z } from 'zod';
import { eventTypes } from '../../core/events.ts';
import { isoTime } from '../../payments/present.ts';
import type { Db } from '../../storage/schema.ts';
import { type Delivery, type DeliveryAttempt, deliveryStates } from '../../storage/webhooks/deliveries.ts';
import type { Endpoint } from '../../storage/webhooks/endpoints.ts';
import { countKept, countRejected, type KeptEvents } from '../../storage/webhooks/replays.ts';
import { countSchema, timeSchema } from '../merchant/schemas.ts';

export const endpointSchema = z
  .object({
    id: z.string().meta({ example: 'we_0123456789abcdef' }),
    url: z.string(),
    events: z.array(z.enum(eventTypes)),
    description: z.string(),
    active: z.boolean(),
    disabled_reason: z
      .enum(['operator', 'gone', 'failing'])
      .nullable()
      .describe('`gone`: it answered 410; `failing`: five days without one success.'),
    failing_since: timeSchema.nullable().describe('First failure since the last success.'),
    rotated_at: timeSchema.nullable(),
    previous_secret_until: timeSchema.nullable().describe('Until then the old secret signs, too.'),
    rejected_since_rotation: countSchema
      .nullable()
      .describe(
        'Deliveries given up on a 4xx answer since the secret was changed and not replayed (at most 1000); null: it never was.',
      ),
    kept: countSchema.describe('Events kept while it was off and not sent since (at most 10,000).'),
    kept_since: timeSchema
      .nullable()
      .describe('When the oldest of them was queued: a replay from there sends all.'),
    created_at: timeSchema,
  })
  .meta({ id: 'WebhookEndpoint' });

/** What is shown of an endpoint together with its secret. */
export const endpointSecretSchema = z.object({
  id: z.string(),
  url: z.string(),
  events: z.array(z.enum(eventTypes)),
  secret: z.string().describe('Shown this once.').meta({ example: 'whsec_…' }),
});

export const deliverySchema = z
  .object({
    id: countSchema.describe('What the receiver sees as the delivery id.'),
    endpoint_id: z.string(),
    merchant_id: z.string(),
    event_id: z.string(),
    event: z.enum(eventTypes),
    payment_number: z.string().nullable(),
    status: z.enum(deliveryStates),
    attempts: countSchema.describe('Begun so far, at most ten.'),
    next_attempt_at: timeSchema.nullable(),
    replay_of: countSchema.nullable().describe('The delivery that this one repeats.'),
    last_status: countSchema.nullable().describe('HTTP status of the last answer.'),
    last_error: z.string().nullable(),
    created_at: timeSchema,
    finished_at: timeSchema.nullable(),
  })
  .meta({ id: 'Delivery' });

export const attemptSchema = z.object({
  attempt: countSchema,
  started_at: timeSchema,
  duration_ms: countSchema,
  status: countSchema.nullable(),
  error: z.string().nullable(),
  detail: z.string(),
  response: z.string().describe('The first bytes of the answer: text from a stranger.'),
});

/** How deliveries stand. */
export const deliveryCountsSchema = z
  .record(z.enum(deliveryStates), countSchema)
  .meta({ id: 'DeliveryCounts' });

/** An endpoint with what must be looked up about it. */
export async function describeEndpoint(db: Db, endpoint: Endpoint): Promise<z.output<typeof endpointSchema>> {
  const { id, rotatedAt } = endpoint;
  const rejected = rotatedAt === null ? null : await countRejected(db, id, rotatedAt);
  return presentEndpoint(endpoint, rejected, await countKept(db, id));
}

function presentEndpoint(
  endpoint: Endpoint,
  rejected: number | null,
  kept: KeptEvents,
): z.output<typeof endpointSchema> {
  return {
    id: endpoint.id,
    url: endpoint.url,
    events: [...endpoint.events],
    description: endpoint.description,
    active: endpoint.active,
    disabled_reason: endpoint.disabledReason,
    failing_since: timeOrNull(endpoint.failingSince),
    rotated_at: timeOrNull(endpoint.rotatedAt),
    previous_secret_until: timeOrNull(endpoint.previousSecretUntil),
    rejected_since_rotation: rejected,
    kept: kept.count,
    kept_since: timeOrNull(kept.since),
    created_at: isoTime(endpoint.createdAt),
  };
}

export function presentDelivery(delivery: Delivery): z.output<typeof deliverySchema> {
  return {
    id: delivery.id,
    endpoint_id: delivery.endpointId,
    merchant_id: delivery.merchantId,
    event_id: delivery.eventId,
    event: delivery.eventType,
    payment_number: delivery.paymentNumber,
    status: delivery.state,
    attempts: delivery.attempts,
    next_attempt_at: timeOrNull(delivery.nextAttemptAt),
    replay_of: delivery.replayOf,
    last_status: delivery.lastStatus,
    last_error: delivery.lastError,
    created_at: isoTime(delivery.createdAt),
    finished_at: timeOrNull(delivery.finishedAt),
  };
}

export function presentAttempt(attempt: DeliveryAttempt): z.output<typeof attemptSchema> {
  return {
    attempt: attempt.attempt,
    started_at: isoTime(attempt.startedAt),
    duration_ms: attempt.durationMs,
    status: attempt.status,
    error: attempt.error,
    detail: attempt.detail,
    response: attempt.response,
  };
}

function timeOrNull(ms: number | null): string | null {
  return ms === null ? null : isoTime(ms);
}
