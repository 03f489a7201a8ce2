import { z } from 'zod';
import { isoTime } from '../../present/values.ts';
import type { Db } from '../../storage/schema.ts';
import { hasEvent, lastPrunedEvent, listEvents } from '../../storage/webhooks/events.ts';
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
          .regex(cursorPattern, 'expected the next_cursor of an earlier answer')
          .optional()
          .describe('A `next_cursor` of an earlier answer; from the oldest event that is kept without it.'),
        limit: limitSchema,
      }),
      response: {
        ...commonErrors,
        409: serviceErrorSchema.describe(
          '`unknown_cursor`: the cursor is not of this database, such as after a restore from a backup.',
        ),
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
      const place = after === undefined ? null : await placeOf(request.merchantId, after);
      const events = await listEvents(db, request.merchantId, place ?? 0, limit);
      // Asked for after the list: what is deleted in between is not missed without a word.
      if (place !== null && place < (await lastPrunedEvent(db, request.merchantId))) {
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
        next_cursor:
          last === undefined ? null : `${last.sequence}-${last.id.slice('evt_'.length, cursorIdEnd)}`,
      };
    },
  });

  /** @throws HttpError 409 when there is no such event: then those after it cannot be told from others. */
  async function placeOf(merchantId: string, cursor: string): Promise<number> {
    const [, number, id] = cursorPattern.exec(cursor) ?? [];
    const sequence = Number(number);
    if (await hasEvent(db, merchantId, { sequence, idPrefix: `evt_${id}` })) return sequence;
    // It was deleted with its id; whether others after it were is asked for later.
    if (sequence > 0 && sequence <= (await lastPrunedEvent(db, merchantId))) return sequence;
    throw serviceError(
      409,
      'unknown_cursor',
      'This cursor is of an event that is not in this database, which was restored from a backup or is another one. Ask again without a cursor or with an older one, and leave out what you handled by its id and its payment.',
    );
  }
}

/**
 * The event's sequence and the beginning of its id. After a restore a sequence is given again, to another event: by the
 * number alone a shop would go on behind events that it never saw.
 */
const cursorPattern = /^([0-9]{1,15})-([0-9a-f]{8})$/;
const cursorIdEnd = 'evt_'.length + 8;
