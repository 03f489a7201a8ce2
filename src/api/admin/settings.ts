import { z } from 'zod';
import type { Config } from '../../config.ts';
import { presentSettings } from '../../present/settings.ts';
import { timeOrNull } from '../../present/values.ts';
import { isPostgres } from '../../storage/database.ts';
import { lastAuditAt } from '../../storage/operators/audit.ts';
import type { Db } from '../../storage/schema.ts';
import { programVersion } from '../../version.ts';
import { commonErrors, timeSchema } from '../merchant/schemas.ts';
import type { Api } from '../routes.ts';

/** What this service is set to. */
export function registerSettingRoutes(api: Api, { db, config }: { db: Db; config: Config }): void {
  const settings = presentSettings(config);

  api.route({
    method: 'GET',
    url: '/settings/',
    schema: {
      tags: ['Settings'],
      operationId: 'readSettings',
      summary: 'The configuration in effect, without what gives access',
      response: {
        ...commonErrors,
        200: z.object({
          version: z.string(),
          database: z.enum(['SQLite', 'PostgreSQL']),
          backup_at: timeSchema.nullable().describe('When `depositd backup` last wrote one.'),
          settings: z.array(
            z.object({
              path: z.string().describe('Its place in the configuration.'),
              value: z.string(),
              origin: z.enum(['file', 'environment', 'default']).describe('Who said so.'),
              variables: z
                .array(z.string())
                .describe('The environment variables that are in it, or in a part of it.'),
            }),
          ),
        }),
      },
    },
    handler: async () => ({
      version: programVersion(),
      database: isPostgres(db) ? ('PostgreSQL' as const) : ('SQLite' as const),
      backup_at: timeOrNull(await lastAuditAt(db, { subject: 'database', action: 'database.backed_up' })),
      settings,
    }),
  });
}
