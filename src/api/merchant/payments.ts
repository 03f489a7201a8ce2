import { z } from 'zod';
import type { Clock } from '../../clock.ts';
import type { Config } from '../../config.ts';
import { cancelPayment } from '../../payments/cancel.ts';
import { presentPayment } from '../../present/payments.ts';
import { findPayment, listPayments } from '../../storage/payments/views.ts';
import type { Db } from '../../storage/schema.ts';
import { encodeCursor } from '../http/cursors.ts';
import { notFound, serviceError } from '../http/errors.ts';
import type { Api } from '../routes.ts';
import { paymentFilter, paymentListQuery } from './payment-list.ts';
import {
  bodyErrors,
  commonErrors,
  listOf,
  paymentPath,
  paymentSchema,
  serviceErrorSchema,
} from './schemas.ts';

const tags = ['Payments'];

export type PaymentRouteDeps = {
  db: Db;
  config: Pick<Config, 'chains' | 'providers' | 'publicUrl'>;
  clock: Clock;
};

/** A merchant's payments once they exist. */
export function registerPaymentRoutes(api: Api, { db, config, clock }: PaymentRouteDeps): void {
  api.route({
    method: 'GET',
    url: '/payments/:payment_number/',
    schema: {
      tags,
      operationId: 'retrievePayment',
      summary: 'Retrieve a payment',
      description: 'A number that is not yours is answered exactly like one that does not exist.',
      params: paymentPath,
      response: { ...commonErrors, 200: paymentSchema },
    },
    handler: async (request) => {
      const { payment_number } = request.params;
      const view = isPaymentNumber(payment_number)
        ? await findPayment(db, request.merchantId, payment_number)
        : null;
      if (view === null) throw notFound();
      return presentPayment(view, config.publicUrl);
    },
  });

  api.route({
    method: 'GET',
    url: '/payments/',
    schema: {
      tags,
      operationId: 'listPayments',
      summary: 'List payments, newest first',
      querystring: paymentListQuery,
      response: { ...commonErrors, 200: listOf(paymentSchema) },
    },
    handler: async (request) => {
      const page = await listPayments(db, {
        merchantId: request.merchantId,
        ...paymentFilter(request.query, config),
      });
      return {
        data: page.views.map((view) => presentPayment(view, config.publicUrl)),
        next_cursor: encodeCursor(page.nextId),
      };
    },
  });

  api.route({
    method: 'POST',
    url: '/payments/:payment_number/cancel/',
    schema: {
      tags,
      operationId: 'cancelPayment',
      summary: 'Cancel a payment',
      description: 'Only while it is pending and nothing has been received for it.',
      params: paymentPath,
      body: z.strictObject({}).optional(),
      response: { ...bodyErrors, 200: paymentSchema, 409: serviceErrorSchema },
    },
    handler: async (request) => {
      const paymentNumber = request.params.payment_number;
      if (!isPaymentNumber(paymentNumber)) throw notFound();
      const outcome = await cancelPayment({ db, clock }, { merchantId: request.merchantId, paymentNumber });
      switch (outcome.outcome) {
        case 'cancelled':
          return presentPayment(outcome.view, config.publicUrl);
        case 'not_found':
          throw notFound();
        case 'not_cancellable':
          throw serviceError(
            409,
            'not_cancellable',
            'Only a pending payment for which nothing was received can be cancelled.',
          );
        default:
          return outcome satisfies never;
      }
    },
  });
}

/** Anything else is not found without asking the database. */
export function isPaymentNumber(text: string): boolean {
  return /^PAY-[0-9]{4}-[0-9A-Z]{6,32}$/.test(text);
}
