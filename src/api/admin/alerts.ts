import { z } from 'zod';
import { alertNames, byUrgency } from '../../alerts/catalog.ts';
import { presentAlert } from '../../present/alerts.ts';
import { listEndedAlerts, listOpenAlerts } from '../../storage/operators/alerts.ts';
import type { Db } from '../../storage/schema.ts';
import { commonErrors, limitSchema, timeSchema } from '../merchant/schemas.ts';
import type { Api } from '../routes.ts';

const alertSchema = z.object({
  alert: z.enum(alertNames).describe('Others may be added.'),
  severity: z.enum(['page', 'warn', 'ticket']).describe('Now; today; somebody has to decide.'),
  subject: z.string().describe('What it is about; empty where there is only one.'),
  text: z.string(),
  action: z.string().describe('What to do first.'),
  runbook: z.string().meta({ example: 'docs/alerts.md#pool_exhausted' }),
  began_at: timeSchema,
  ended_at: timeSchema.nullable(),
});

/** What needs an operator. */
export function registerAlertRoutes(api: Api, { db }: { db: Db }): void {
  api.route({
    method: 'GET',
    url: '/alerts/',
    schema: {
      tags: ['Alerts'],
      operationId: 'listAlerts',
      summary: 'What needs an operator, the most urgent first; or what is over, the newest first',
      querystring: z.strictObject({
        state: z.enum(['active', 'ended']).default('active').describe('Ended ones are kept for 30 days.'),
        limit: limitSchema.describe('Of those that ended; those that last are always all shown.'),
      }),
      response: { ...commonErrors, 200: z.object({ data: z.array(alertSchema) }) },
    },
    handler: async (request) => {
      const { state, limit } = request.query;
      if (state === 'ended') return { data: (await listEndedAlerts(db, limit)).map(presentAlert) };
      const open = await listOpenAlerts(db);
      const active = open.filter(({ endedAt }) => endedAt === null);
      return { data: active.toSorted((a, b) => byUrgency(a.name, b.name)).map(presentAlert) };
    },
  });
}
