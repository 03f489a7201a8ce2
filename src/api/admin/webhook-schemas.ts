import { z } from 'zod';
import { eventTypes } from '../../core/events.ts';
import { deliveryStates } from '../../storage/webhooks/deliveries.ts';
import { countSchema, timeSchema } from '../merchant/schemas.ts';

export const endpointSchema = z
  .object({
    id: z.string().meta({ example: 'we_0123456789abcdef' }),
    url: z.string(),
    events: z.array(z.enum(eventTypes)),
    description: z.string(),
    headers: z
      .record(z.string(), z.string())
      .describe('More headers that are sent along; their values are not shown.'),
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
    last_day: z
      .object({ succeeded: countSchema, failed: countSchema })
      .describe('Attempts that ended in the last 24 hours.'),
    oldest_pending_at: timeSchema
      .nullable()
      .describe(
        'When the oldest delivery was made that still waits to be sent, or sent again; null: none does.',
      ),
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
