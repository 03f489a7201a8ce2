import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { counted } from '../../core/plural.ts';
import { reportPeriods } from '../../core/report.ts';
import { reportSums } from '../../payments/report.ts';
import { presentReportCsv, presentReportRow } from '../../present/reports.ts';
import type { Db } from '../../storage/schema.ts';
import { fieldError } from '../http/errors.ts';
import {
  amountSchema,
  commonErrors,
  countSchema,
  currencySchema,
  momentSchema,
  networkSchema,
} from '../merchant/schemas.ts';
import type { Api } from '../routes.ts';
import { merchantOfList } from './access.ts';
import { requireMerchant } from './paths.ts';

const tags = ['Reports'];
const dayMs = 24 * 60 * 60 * 1000;

/** A year, and some days for who asks for a year in another time zone. */
export const longestDays = 370;

/** More than anybody reads on a page; a longer period or less time does. */
const mostRows = 20_000;

const rowSchema = z.object({
  from: z.iso.date().describe('The first day of the period, in UTC; weeks begin on Monday.'),
  merchant_id: z.string().nullable().describe('Null: all together.'),
  network: networkSchema,
  currency: currencySchema,
  count: countSchema.describe('Payments that were confirmed.'),
  usd_cents: countSchema.describe('What was asked for them, at the quote.'),
  average_usd_cents: countSchema,
  fees: amountSchema.describe('What a provider kept of payments confirmed in this time.'),
  refunds: countSchema.describe('Refunds of a provider, and verified ones from your wallet.'),
  refunded: amountSchema,
  late: amountSchema.describe('What came late and does not count, of payments that ended in this time.'),
  over: amountSchema.describe('What came beyond what was asked for.'),
  under: amountSchema.describe('What was missing of what was asked for, where some had come.'),
  unmatched: amountSchema.describe('What was seen in this time and belongs to no payment.'),
});

const query = z.strictObject({
  merchant_id: z.string().max(100).optional(),
  since: momentSchema.describe('At or after.'),
  until: momentSchema.describe('Before; at most a year later.'),
  by: z.enum(reportPeriods).default('day'),
  per_merchant: z.enum(['true', 'false']).default('false').describe('`true`: each merchant for itself.'),
});

/** Sums for the books. */
export function registerReportRoutes(api: Api, { db }: { db: Db }): void {
  api.route({
    method: 'GET',
    url: '/reports/sums/',
    config: { access: 'merchant' },
    schema: {
      tags,
      operationId: 'reportSums',
      summary: 'What came in, what it cost and what was unusual about it, by day, week or month and asset',
      querystring: query,
      response: { ...commonErrors, 200: z.object({ data: z.array(rowSchema) }) },
    },
    handler: async (request) => ({ data: await rowsFor(request, request.query) }),
  });

  api.route({
    method: 'GET',
    url: '/reports/sums/export/',
    config: { access: 'merchant' },
    schema: {
      tags,
      operationId: 'exportSums',
      summary: 'The same as CSV',
      querystring: query.extend({
        separator: z
          .enum(['comma', 'semicolon'])
          .default('comma')
          .describe('`semicolon` for spreadsheets that write 1,5.'),
      }),
      response: { ...commonErrors, 200: { content: { 'text/csv': { schema: z.string() } } } },
    },
    handler: async (request, reply) => {
      const { separator, ...asked } = request.query;
      const rows = await rowsFor(request, asked);
      reply.headers({
        'content-type': 'text/csv; charset=utf-8',
        'content-disposition': 'attachment; filename="report.csv"',
      });
      return reply.send(presentReportCsv(rows, separator === 'comma' ? ',' : ';') as never);
    },
  });

  async function rowsFor(request: FastifyRequest, asked: z.output<typeof query>) {
    const id = merchantOfList(request, asked.merchant_id);
    const merchantId = id === undefined ? null : (await requireMerchant(db, id)).id;
    const [since, until] = [Date.parse(asked.since), Date.parse(asked.until)];
    if (until - since > longestDays * dayMs) throw fieldError('until', 'at most a year after since');
    const options = { by: asked.by, perMerchant: asked.per_merchant === 'true' };
    const rows = await reportSums(db, { merchantId, since, until }, options);
    if (rows.length > mostRows)
      throw fieldError('by', `more than ${counted(mostRows, 'row')}: ask for longer periods`);
    return rows.map(presentReportRow);
  }
}
