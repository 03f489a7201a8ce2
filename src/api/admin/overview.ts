import { z } from 'zod';
import type { Clock } from '../../clock.ts';
import { readOverview, sumByDay } from '../../storage/payments/overview.ts';
import type { Db } from '../../storage/schema.ts';
import { fieldError } from '../http/errors.ts';
import {
  commonErrors,
  countSchema,
  currencySchema,
  momentSchema,
  networkSchema,
} from '../merchant/schemas.ts';
import type { Api } from '../routes.ts';
import { merchantOfList } from './access.ts';
import { requireMerchant } from './paths.ts';
import { longestDays } from './reports.ts';

const tags = ['Reports'];
const dayMs = 24 * 60 * 60 * 1000;

const daySchema = z.object({
  day: z.iso.date().describe('In UTC.'),
  network: networkSchema,
  currency: currencySchema,
  count: countSchema,
  usd_cents: countSchema.describe('What was asked for, at the quote.'),
});

/** What came in. */
export function registerOverviewRoutes(api: Api, { db, clock }: { db: Db; clock: Clock }): void {
  api.route({
    method: 'GET',
    url: '/overview/',
    config: { access: 'merchant' },
    schema: {
      tags,
      operationId: 'readOverview',
      summary: 'The last 24 hours in four numbers, and 30 days by day and asset',
      querystring: z.strictObject({ merchant_id: z.string().max(100).optional() }),
      response: {
        ...commonErrors,
        200: z.object({
          created: countSchema.describe('Payments that were made in the last 24 hours.'),
          paid: countSchema.describe('Confirmed in the last 24 hours.'),
          received_usd_cents: countSchema,
          median_seconds_to_paid: countSchema.nullable(),
          days: z.array(daySchema),
        }),
      },
    },
    handler: async (request) => {
      const asked = merchantOfList(request, request.query.merchant_id);
      const merchantId = asked === undefined ? null : (await requireMerchant(db, asked)).id;
      const now = clock();
      const first = Math.floor(now / dayMs - 29) * dayMs;
      const overview = await readOverview(db, { merchantId, since: now - dayMs });
      const days = await sumByDay(db, {
        merchantId,
        since: first,
        until: (Math.floor(now / dayMs) + 1) * dayMs,
      });
      return {
        created: overview.created,
        paid: overview.paid,
        received_usd_cents: overview.receivedUsdCents,
        median_seconds_to_paid: overview.medianSecondsToPaid,
        days: days.map(presentDay),
      };
    },
  });

  api.route({
    method: 'GET',
    url: '/reports/received/',
    config: { access: 'merchant' },
    schema: {
      tags,
      operationId: 'reportReceived',
      summary: 'What was confirmed, by day, network and asset',
      querystring: z.strictObject({
        merchant_id: z.string().max(100).optional(),
        since: momentSchema.describe('Confirmed at or after.'),
        until: momentSchema.describe('Confirmed before; at most a year later.'),
      }),
      response: { ...commonErrors, 200: z.object({ data: z.array(daySchema) }) },
    },
    handler: async (request) => {
      const asked = merchantOfList(request, request.query.merchant_id);
      const merchantId = asked === undefined ? null : (await requireMerchant(db, asked)).id;
      const [since, until] = [Date.parse(request.query.since), Date.parse(request.query.until)];
      if (until - since > longestDays * dayMs) throw fieldError('until', 'at most a year after since');
      return { data: (await sumByDay(db, { merchantId, since, until })).map(presentDay) };
    },
  });
}

function presentDay({
  day,
  network,
  currency,
  count,
  usdCents,
}: Awaited<ReturnType<typeof sumByDay>>[number]) {
  return {
    day,
    network: network as z.output<typeof networkSchema>,
    currency: currency as z.output<typeof currencySchema>,
    count,
    usd_cents: usdCents,
  };
}
