import { z } from 'zod';
import { isoTime } from '../../present/values.ts';
import { listAudit } from '../../storage/operators/audit.ts';
import type { Db } from '../../storage/schema.ts';
import { decodeCursor, encodeCursor } from '../http/cursors.ts';
import {
  commonErrors,
  countSchema,
  cursorSchema,
  limitSchema,
  listOf,
  timeSchema,
} from '../merchant/schemas.ts';
import type { Api } from '../routes.ts';

const entrySchema = z.object({
  id: countSchema,
  at: timeSchema,
  actor: z
    .string()
    .describe('`admin` with the token, `cli` on the machine, `user` and the name of who is signed in.'),
  action: z.string().meta({ example: 'payment.accepted' }),
  subject: z.string().describe('The id of what was changed.'),
  detail: z.record(z.string(), z.unknown()),
});

/** Every change that an operator made. */
export function registerAuditRoutes(api: Api, { db }: { db: Db }): void {
  api.route({
    method: 'GET',
    url: '/audit/',
    schema: {
      tags: ['Audit'],
      operationId: 'listAudit',
      summary: 'What operators changed, newest first',
      description: 'Entries are never changed or removed: the database itself refuses it.',
      querystring: z.strictObject({
        subject: z.string().max(200).optional().describe('Only what was done to this.'),
        limit: limitSchema,
        cursor: cursorSchema,
      }),
      response: { ...commonErrors, 200: listOf(entrySchema) },
    },
    handler: async (request) => {
      const { subject = null, limit, cursor } = request.query;
      const beforeId = decodeCursor(cursor) ?? null;
      const found = await listAudit(db, { subject, beforeId, limit: limit + 1 });
      const page = found.slice(0, limit);
      return {
        data: page.map((entry) => ({ ...entry, at: isoTime(entry.at) })),
        next_cursor: encodeCursor(found.length > limit ? (page.at(-1)?.id ?? null) : null),
      };
    },
  });
}
