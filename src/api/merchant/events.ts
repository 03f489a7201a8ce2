import { z } from 'zod';
import { isoTime } from '../../payments/present.ts';
import type { Db } from '../../storage/schema.ts';
import { lastPrunedEvent, listEvents } from '../../storage/webhooks/events.ts';
import { serviceError } from '../http/errors.ts';
import type { Api } from '../routes.ts';

import { commonErrors, countSchema, limitSchema, serviceErrorSchema, timeSchema } from './schemas.ts';
import { webhookBodySchema } from './webhook-body.ts';

const eventSchema = z.object({
  sequence: countSchema.describe('Grows from event to event; gaps are normal.'),
  id: z.string().meta({ example: 'evt_9f86d081884c7d659a2feaa0c55ad015' }),
  created_at: timeSchema,
  body: webhookBodySchema,
});

/** What happened, in order: for a shop that was down. */
export function registerEventRoutes(api: Api, { db }: { db: Db }): void {
  api.route({
    method: 'GET',
    url: '/events/',
    schema: {
      tags: ['Events'],
      operationId: 'listEvents',
      summary: 'Events from a cursor, oldest first',
      description: 'The same bodies as the webhooks, each of them once, in the order in which they happened.',
      querystring: z.strictObject({
        after: z
          .string()
          .regex(/^[0-9]{1,15}$/, 'expected the next_cursor of an earlier answer')
          .default('0')
          .describe('A `next_cursor` of an earlier answer; from the oldest event that is kept without it.'),
        limit: limitSchema,
      }),
      response: {
        ...commonErrors,
        410: serviceErrorSchema,
        200: z.object({
          data: z.array(eventSchema),
          next_cursor: z
            .string()
            .nullable()
            .describe('Continues after the last event here. Null with no data: then keep the one you had.'),
        }),
      },
    },
    handler: async (request) => {
      const { after, limit } = request.query;
      const events = await listEvents(db, request.merchantId, Number(after), limit);
      // Asked for after the list: what is deleted in between is not missed without a word.
      const pruned = await lastPrunedEvent(db, request.merchantId);
      if (after !== '0' && Number(after) < pruned) {
        throw serviceError(
          410,
          'cursor_expired',
          'Events after this cursor were deleted. List the payments, then follow the events without a cursor.',
        );
      }
      const last = events.at(-1);
      return {
        data: events.map((event) => ({
          sequence: event.sequence,
          id: event.id,
          created_at: isoTime(event.createdAt),
          body: JSON.parse(event.body) as z.output<typeof webhookBodySchema>,
        })),
        next_cursor: last === undefined ? null : String(last.sequence),
      };
    },
  });
}
