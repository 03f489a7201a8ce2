import { z } from 'zod';
import type { Config } from '../../config.ts';
import type { PaymentView } from '../../core/payment.ts';
import { presentPayment } from '../../payments/present.ts';
import { findPaymentId } from '../../storage/payment-numbers.ts';
import { findPaymentById, listPayments, viewOf } from '../../storage/payments.ts';
import type { Db } from '../../storage/schema.ts';
import { encodeCursor } from '../cursors.ts';
import { notFound } from '../errors.ts';
import { paymentFilter, paymentListQuery } from '../payment-list.ts';
import { isPaymentNumber } from '../payments.ts';
import type { Api } from '../routes.ts';
import { commonErrors, listOf, paymentPath, paymentSchema } from '../schemas.ts';
import { requireMerchant } from './merchant-path.ts';

const tags = ['Payments'];

/** What opens the checkout page is the customer's, not the operator's. */
const operatorPaymentSchema = paymentSchema
  .omit({ payment_token: true, checkout_url: true })
  .extend({ merchant_id: z.string() });

/** Every merchant's payments. */
export function registerAdminPaymentRoutes(
  api: Api,
  { db, config }: { db: Db; config: Pick<Config, 'publicUrl'> },
): void {
  api.route({
    method: 'GET',
    url: '/payments/',
    schema: {
      tags,
      operationId: 'listPayments',
      summary: 'Payments of all merchants, newest first',
      querystring: paymentListQuery.extend({ merchant_id: z.string().max(100).optional() }),
      response: { ...commonErrors, 200: listOf(operatorPaymentSchema) },
    },
    handler: async (request) => {
      const id = request.query.merchant_id;
      const merchantId = id === undefined ? null : (await requireMerchant(db, id)).id;
      const page = await listPayments(db, { merchantId, ...paymentFilter(request.query) });
      return { data: page.views.map(present), next_cursor: encodeCursor(page.nextId) };
    },
  });

  api.route({
    method: 'GET',
    url: '/payments/:payment_number/',
    schema: {
      tags,
      operationId: 'retrievePayment',
      summary: 'One payment',
      params: paymentPath,
      response: { ...commonErrors, 200: operatorPaymentSchema },
    },
    handler: async (request) => {
      const { payment_number } = request.params;
      const id = isPaymentNumber(payment_number) ? await findPaymentId(db, payment_number) : null;
      if (id === null) throw notFound();
      return present(await viewOf(db, await findPaymentById(db, id)));
    },
  });

  function present(view: PaymentView): z.output<typeof operatorPaymentSchema> {
    const { payment_token, checkout_url, ...shown } = presentPayment(view, config.publicUrl);
    return { ...shown, merchant_id: view.payment.merchantId };
  }
}
