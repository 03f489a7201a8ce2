import { z } from 'zod';
import type { Clock } from '../../clock.ts';
import type { Config } from '../../config.ts';
import { describePools } from '../../pool/status.ts';
import { presentPool } from '../../present/pools.ts';
import type { Db } from '../../storage/schema.ts';
import { commonErrors, countSchema, currencySchema, listOf, networkSchema } from '../merchant/schemas.ts';
import type { Api } from '../routes.ts';
import { merchantOfList } from './access.ts';
import { requireMerchant } from './paths.ts';

const poolSchema = z.object({
  merchant_id: z.string(),
  network: networkSchema,
  currency: currencySchema.nullable().describe('Null: the addresses for every currency of the network.'),
  level: z
    .enum(['ok', 'low', 'exhausted'])
    .describe('`low`: fewer than a fifth can be had. `exhausted`: none.'),
  total: countSchema.describe('Active: not retired.'),
  free: countSchema.describe('Active, held by no payment and not in quarantine.'),
  held: countSchema.describe('Active and held by pending payments.'),
  quarantined: countSchema.describe(
    'Active, and let go by a payment within `payments.quarantineSeconds`, or held back because payments may have been lost.',
  ),
  retired: countSchema.describe('No further payment gets them; a payment may still hold one.'),
  derivable: countSchema.describe('Could still be derived from a public key.'),
  forecast: z
    .object({
      payments_last_day: countSchema,
      busiest_hour: countSchema.describe('Payments in the busiest hour of the last day.'),
      mean_lock_seconds: countSchema.describe('How long payments of the last day held an address.'),
      expected_held: z.number().describe('Addresses held at once if every hour were like the busiest.'),
      exhausted_in_seconds: countSchema
        .nullable()
        .describe('When the pool runs dry at that pace; null: it suffices.'),
    })
    .describe('From the payments of the last day. Payments that were refused are not in it.'),
});

/** How every pool stands. */
export function registerPoolRoutes(
  api: Api,
  { db, config, clock }: { db: Db; config: Pick<Config, 'payments'>; clock: Clock },
): void {
  api.route({
    method: 'GET',
    url: '/pool/',
    config: { access: 'merchant' },
    schema: {
      tags: ['Pool'],
      operationId: 'readPool',
      summary: 'How many addresses are free, pool by pool, and when they run out',
      querystring: z.strictObject({ merchant_id: z.string().max(100).optional() }),
      response: { ...commonErrors, 200: listOf(poolSchema) },
    },
    handler: async (request) => {
      const id = merchantOfList(request, request.query.merchant_id);
      const merchantId = id === undefined ? null : (await requireMerchant(db, id)).id;
      const pools = await describePools(db, merchantId, config.payments, clock());
      return { data: pools.map(presentPool), next_cursor: null };
    },
  });
}
