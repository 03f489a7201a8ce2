import { Readable } from 'node:stream';
import { z } from 'zod';
import type { Config } from '../../config.ts';
import { byteOrderMark, csvHeader, presentCsvRow } from '../../present/payments-csv.ts';
import { listPayments, type PaymentFilter } from '../../storage/payments/views.ts';
import type { Db } from '../../storage/schema.ts';
import { paymentFilter, paymentListQuery } from '../merchant/payment-list.ts';
import { commonErrors } from '../merchant/schemas.ts';
import type { Api } from '../routes.ts';
import { merchantOfList } from './access.ts';
import { requireMerchant } from './paths.ts';

/** Payments that are read at once: others have their turn between. */
const atOnce = 200;

/** Payments as a file for a spreadsheet, however many: it is written while it is read. */
export function registerPaymentExport(
  api: Api,
  { db, config }: { db: Db; config: Pick<Config, 'chains' | 'providers'> },
): void {
  api.route({
    method: 'GET',
    url: '/payments/export/',
    config: { access: 'merchant' },
    schema: {
      tags: ['Payments'],
      operationId: 'exportPayments',
      summary: 'Payments as CSV, newest first',
      description:
        'UTF-8 with a byte order mark. Texts that a spreadsheet would take for a formula or a number begin with an apostrophe.',
      querystring: paymentListQuery.omit({ limit: true, cursor: true }).extend({
        merchant_id: z.string().max(100).optional(),
        separator: z
          .enum(['comma', 'semicolon'])
          .default('comma')
          .describe('`semicolon` for spreadsheets that write 1,5.'),
      }),
      response: { ...commonErrors, 200: z.string().describe('text/csv') },
    },
    handler: async (request, reply) => {
      const { separator, merchant_id, ...query } = request.query;
      const asked = merchantOfList(request, merchant_id);
      const merchantId = asked === undefined ? null : (await requireMerchant(db, asked)).id;
      const filter = { merchantId, ...paymentFilter({ ...query, limit: atOnce, cursor: undefined }, config) };
      reply.headers({
        'content-type': 'text/csv; charset=utf-8',
        'content-disposition': 'attachment; filename="payments.csv"',
      });
      return reply.send(Readable.from(rows(db, filter, separator === 'comma' ? ',' : ';')) as never);
    },
  });
}

async function* rows(db: Db, filter: PaymentFilter, separator: string): AsyncGenerator<string> {
  yield byteOrderMark + csvHeader(separator);
  for (let beforeId: number | null | undefined; beforeId !== null; ) {
    const page = await listPayments(db, beforeId === undefined ? filter : { ...filter, beforeId });
    yield page.views.map((view) => presentCsvRow(view, separator)).join('');
    beforeId = page.nextId;
  }
}
