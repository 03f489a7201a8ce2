import { z } from 'zod';
import type { Clock } from '../../clock.ts';
import type { Config } from '../../config.ts';
import { paymentReasons } from '../../core/payment.ts';
import { acceptPayment } from '../../payments/accept.ts';
import { cancelPayment } from '../../payments/cancel.ts';
import { searchPayments } from '../../payments/search.ts';
import { transactionUrl } from '../../present/explorer.ts';
import { lastActOn } from '../../present/last-act.ts';
import { presentToOperator } from '../../present/payments.ts';
import { presentTimeline, timelineKinds } from '../../present/timeline.ts';
import { findPaymentId } from '../../storage/payments/numbers.ts';
import { listPayments, viewById } from '../../storage/payments/views.ts';
import type { Db } from '../../storage/schema.ts';
import { encodeCursor } from '../http/cursors.ts';
import { type ErrorCode, fieldError, type HttpError, notFound, serviceError } from '../http/errors.ts';
import { paymentFilter, paymentListQuery } from '../merchant/payment-list.ts';
import { isPaymentNumber } from '../merchant/payments.ts';
import {
  bodyErrors,
  commonErrors,
  countSchema,
  filledText,
  listOf,
  networkSchema,
  operatorReason,
  paymentPath,
  paymentSchema,
  serviceErrorSchema,
  timeSchema,
} from '../merchant/schemas.ts';
import type { Api } from '../routes.ts';
import { merchantOfList, refuseForeign } from './access.ts';
import { requireMerchant } from './paths.ts';

const tags = ['Payments'];

/** What opens the checkout page is the customer's, not the operator's. */
const operatorPaymentSchema = paymentSchema
  .omit({ payment_token: true, checkout_url: true })
  .extend({ merchant_id: z.string() });

const timelineEntrySchema = z.object({
  at: timeSchema,
  kind: z.enum(timelineKinds),
  title: z.string().describe('For people.'),
  detail: z.string(),
  tx_hash: z.string().nullable(),
  network: networkSchema.nullable(),
  explorer_url: z.string().nullable().describe('Where people look at the transaction.'),
  delivery_id: countSchema.nullable(),
  actor: z.string().nullable(),
});

/** Every merchant's payments. */
export function registerAdminPaymentRoutes(
  api: Api,
  { db, config, clock }: { db: Db; config: Pick<Config, 'chains' | 'providers'>; clock: Clock },
): void {
  api.route({
    method: 'GET',
    url: '/payments/',
    config: { access: 'merchant' },
    schema: {
      tags,
      operationId: 'listPayments',
      summary: 'Payments of all merchants, newest first',
      querystring: paymentListQuery.extend({
        merchant_id: z.string().max(100).optional(),
        reason: z.enum(paymentReasons).optional(),
      }),
      response: { ...commonErrors, 200: listOf(operatorPaymentSchema) },
    },
    handler: async (request) => {
      const id = merchantOfList(request, request.query.merchant_id);
      const merchantId = id === undefined ? null : (await requireMerchant(db, id)).id;
      const { reason } = request.query;
      const page = await listPayments(db, {
        merchantId,
        ...paymentFilter(request.query, config),
        ...(reason === undefined ? {} : { reason }),
      });
      return { data: page.views.map(presentToOperator), next_cursor: encodeCursor(page.nextId) };
    },
  });

  api.route({
    method: 'GET',
    url: '/payments/search/',
    config: { access: 'merchant' },
    schema: {
      tags,
      operationId: 'searchPayments',
      summary: 'The latest payments that a text names',
      description:
        'A payment number, an address, a transaction, an order id, or an amount, whole; at most 50, the newest first. An amount is the price in dollars, or what was asked for or sent in a coin, exactly: `12.50`, `$12.50`, `0.02 bnb`, `1.234,50`. A point alone is the decimal point; `1,234` can be read in two ways and is refused, unless it is an order.',
      querystring: z.strictObject({ q: filledText(300, 'expected a text') }),
      response: { ...commonErrors, 200: listOf(operatorPaymentSchema) },
    },
    handler: async (request) => {
      const { q } = request.query;
      const found = await searchPayments(db, config.chains, q, request.onlyMerchant);
      switch (found.kind) {
        case 'found':
          return { data: found.views.map(presentToOperator), next_cursor: null };
        case 'ambiguous': {
          const { either, or } = found;
          throw fieldError('q', `may be ${either} or ${or}: write the one that is meant`);
        }
        default:
          return found satisfies never;
      }
    },
  });

  api.route({
    method: 'GET',
    url: '/payments/:payment_number/timeline/',
    config: { access: 'merchant' },
    schema: {
      tags,
      operationId: 'readTimeline',
      summary: 'Everything that happened to a payment, in order',
      params: paymentPath,
      response: { ...commonErrors, 200: z.object({ data: z.array(timelineEntrySchema) }) },
    },
    handler: async (request) => {
      const { payment_number } = request.params;
      const id = isPaymentNumber(payment_number) ? await findPaymentId(db, payment_number) : null;
      if (id === null) throw notFound();
      const view = await viewById(db, id);
      refuseForeign(request, view.payment.merchantId);
      const entries = await presentTimeline(db, view);
      return {
        data: entries.map((entry) => ({
          ...entry,
          explorer_url: transactionUrl(config.chains, entry.network, entry.tx_hash),
        })),
      };
    },
  });

  api.route({
    method: 'GET',
    url: '/payments/:payment_number/',
    config: { access: 'merchant' },
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
      const view = await viewById(db, id);
      refuseForeign(request, view.payment.merchantId);
      return presentToOperator(view);
    },
  });

  api.route({
    method: 'POST',
    url: '/payments/:payment_number/accept/',
    schema: {
      tags,
      operationId: 'acceptPayment',
      summary: 'Take what came for a payment as enough',
      description:
        'For one that was paid late or too little. It is confirmed as any other; repeating changes nothing.',
      params: paymentPath,
      body: z.strictObject({ reason: operatorReason }),
      response: { ...bodyErrors, 200: operatorPaymentSchema, 409: serviceErrorSchema },
    },
    handler: async (request) => {
      const { payment_number: paymentNumber } = request.params;
      if (!isPaymentNumber(paymentNumber)) throw notFound();
      const outcome = await acceptPayment(
        { db, clock },
        { paymentNumber, reason: request.body.reason, actor: request.actor },
      );
      switch (outcome.outcome) {
        case 'accepted':
          return presentToOperator(outcome.view);
        case 'not_found':
          throw notFound();
        case 'not_acceptable':
          throw await refused(
            'not_acceptable',
            `The payment cannot be accepted: ${outcome.why}.`,
            paymentNumber,
          );
        default:
          return outcome satisfies never;
      }
    },
  });

  api.route({
    method: 'POST',
    url: '/payments/:payment_number/cancel/',
    schema: {
      tags,
      operationId: 'cancelPaymentByHand',
      summary: 'Cancel a payment for which nothing has come yet',
      description: 'As its shop may. What comes for it afterwards is late.',
      params: paymentPath,
      body: z.strictObject({ reason: operatorReason }),
      response: { ...bodyErrors, 200: operatorPaymentSchema, 409: serviceErrorSchema },
    },
    handler: async (request) => {
      const { payment_number: paymentNumber } = request.params;
      const id = isPaymentNumber(paymentNumber) ? await findPaymentId(db, paymentNumber) : null;
      if (id === null) throw notFound();
      const { merchantId } = (await viewById(db, id)).payment;
      const act = { actor: request.actor, reason: request.body.reason };
      const outcome = await cancelPayment({ db, clock }, { merchantId, paymentNumber, act });
      switch (outcome.outcome) {
        case 'cancelled':
          return presentToOperator(outcome.view);
        case 'not_found':
          throw notFound();
        case 'not_cancellable': {
          const { status } = (await viewById(db, id)).payment;
          const why = status === 'pending' ? 'something has come for it' : `it is ${status}`;
          throw await refused('not_cancellable', `The payment cannot be cancelled: ${why}.`, paymentNumber);
        }
        default:
          return outcome satisfies never;
      }
    },
  });

  /** Whoever comes second is told what the first did. */
  async function refused(code: ErrorCode, text: string, subject: string): Promise<HttpError> {
    return serviceError(409, code, text + (await lastActOn(db, subject)));
  }
}
