import { Readable } from 'node:stream';
import { z } from 'zod';
import type { Config } from '../../config.ts';
import { paymentReasons } from '../../core/payment.ts';
import { exportPayments } from '../../payments/export.ts';
import type { Db } from '../../storage/schema.ts';
import { paymentFilter, paymentListQuery } from '../merchant/payment-list.ts';
import { commonErrors } from '../merchant/schemas.ts';
import type { Api } from '../routes.ts';
import { merchantOfList } from './access.ts';
import { requireMerchant } from './paths.ts';

/** Payments as a file for a spreadsheet. */
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
        reason: z.enum(paymentReasons).optional(),
        separator: z
          .enum(['comma', 'semicolon'])
          .default('comma')
          .describe('`semicolon` for spreadsheets that write 1,5.'),
      }),
      response: { ...commonErrors, 200: { content: { 'text/csv': { schema: z.string() } } } },
    },
    handler: async (request, reply) => {
      const { separator, merchant_id, reason, ...query } = request.query;
      const asked = merchantOfList(request, merchant_id);
      const merchantId = asked === undefined ? null : (await requireMerchant(db, asked)).id;
      const filter = {
        merchantId,
        ...paymentFilter({ ...query, limit: 1, cursor: undefined }, config),
        ...(reason === undefined ? {} : { reason }),
      };
      reply.headers({
        'content-type': 'text/csv; charset=utf-8',
        'content-disposition': 'attachment; filename="payments.csv"',
      });
      return reply.send(
        Readable.from(exportPayments(db, filter, separator === 'comma' ? ',' : ';')) as never,
      );
    },
  });
}
