import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Clock } from '../../clock.ts';
import type { OnchainPayment } from '../../core/payment.ts';
import { refundRecordStatuses } from '../../core/refund-record.ts';
import { recordRefund, removeRefundRecord } from '../../payments/refund-record.ts';
import { presentRefundRecord } from '../../present/refund-records.ts';
import { findNumbered } from '../../storage/payments/numbers.ts';
import { findPaymentById } from '../../storage/payments/payments.ts';
import { listRefundRecords } from '../../storage/payments/refund-records.ts';
import { viewById } from '../../storage/payments/views.ts';
import type { Db } from '../../storage/schema.ts';
import { fieldError, notFound, serviceError } from '../http/errors.ts';
import { isPaymentNumber } from '../merchant/payments.ts';
import {
  amountSchema,
  bodyErrors,
  commonErrors,
  countSchema,
  currencySchema,
  listOf,
  networkSchema,
  operatorReason,
  paymentPath,
  plainText,
  serviceErrorSchema,
  timeSchema,
} from '../merchant/schemas.ts';
import type { Api } from '../routes.ts';
import { refuseForeign } from './access.ts';
import { rowId } from './paths.ts';

const tags = ['Payments'];

/** Nobody sends more from hand for one payment. */
const mostShown = 200;

const refundRecordSchema = z.object({
  id: countSchema,
  payment_number: z.string(),
  network: networkSchema,
  currency: currencySchema,
  amount: amountSchema,
  to: z.string(),
  tx_hash: z.string(),
  status: z
    .enum(refundRecordStatuses)
    .describe(
      '`verified`: a final block has that transfer. `mismatch`: the transaction is final and does not make it. `not_found`: not yet.',
    ),
  detail: z.string().describe('What the chain says of it, for people.'),
  reason: z.string(),
  actor: z.string(),
  created_at: timeSchema,
  checked_at: timeSchema.nullable(),
  block_height: countSchema.nullable(),
  block_time: timeSchema.nullable(),
});

/** Refunds that operators sent from wallets of their own. */
export function registerRefundRecordRoutes(api: Api, { db, clock }: { db: Db; clock: Clock }): void {
  api.route({
    method: 'GET',
    url: '/payments/:payment_number/refunds/',
    config: { access: 'merchant' },
    schema: {
      tags,
      operationId: 'listRefundRecords',
      summary: 'Refunds of a payment that were sent from your wallet, oldest first',
      params: paymentPath,
      response: { ...commonErrors, 200: listOf(refundRecordSchema) },
    },
    handler: async (request) => {
      const payment = await requirePayment(request, request.params.payment_number);
      if (payment === null) return { data: [], next_cursor: null };
      const records = await listRefundRecords(db, payment.id, mostShown);
      return { data: records.map((record) => presentRefundRecord(record, payment)), next_cursor: null };
    },
  });

  api.route({
    method: 'POST',
    url: '/payments/:payment_number/refunds/',
    schema: {
      tags,
      operationId: 'recordRefund',
      summary: 'Write down that you sent a refund from your wallet',
      description:
        'In what the payment asked for. It is looked for on the chain, as a deposit is before it is confirmed, and changes nothing about the payment. Repeating it changes nothing.',
      params: paymentPath,
      body: z.strictObject({
        amount: plainText(100).meta({ example: '50.000000' }),
        to: plainText(100).describe("The customer's address."),
        tx_hash: plainText(2_000).describe('The transaction, by its hash or a link of an explorer.'),
        reason: operatorReason,
      }),
      response: { ...bodyErrors, 200: refundRecordSchema, 201: refundRecordSchema, 409: serviceErrorSchema },
    },
    handler: async (request, reply) => {
      const { payment_number: paymentNumber } = request.params;
      if (!isPaymentNumber(paymentNumber)) throw notFound();
      const { reason, ...words } = request.body;
      const { actor } = request;
      const outcome = await recordRefund({ db, clock }, { paymentNumber, words, reason, actor });
      switch (outcome.outcome) {
        case 'recorded':
          reply.status(outcome.repeated ? 200 : 201);
          return presentRefundRecord(outcome.record, outcome.payment);
        case 'not_found':
          throw notFound();
        case 'wrong':
          throw fieldError(outcome.field, outcome.why);
        case 'not_recordable':
          throw serviceError(409, 'not_recordable', `The refund cannot be recorded: ${outcome.why}.`);
        default:
          return outcome satisfies never;
      }
    },
  });

  api.route({
    method: 'DELETE',
    url: '/payments/:payment_number/refunds/:refund_id/',
    schema: {
      tags,
      operationId: 'removeRefundRecord',
      summary: 'Take back a refund that was written down wrong',
      description: 'Not one that is verified.',
      params: paymentPath.extend({ refund_id: z.string() }),
      response: { ...commonErrors, 200: refundRecordSchema, 409: serviceErrorSchema },
    },
    handler: async (request) => {
      const { payment_number: paymentNumber, refund_id } = request.params;
      if (!isPaymentNumber(paymentNumber)) throw notFound();
      const remove = { paymentNumber, id: rowId(refund_id), actor: request.actor };
      const outcome = await removeRefundRecord({ db, clock }, remove);
      switch (outcome.outcome) {
        case 'removed':
          return presentRefundRecord(outcome.record, outcome.payment);
        case 'not_found':
          throw notFound();
        case 'not_removable':
          throw serviceError(409, 'not_removable', `The refund cannot be removed: ${outcome.why}.`);
        default:
          return outcome satisfies never;
      }
    },
  });

  /** Null for one made by a provider. @throws HttpError 404 also for another merchant's. */
  async function requirePayment(request: FastifyRequest, number: string): Promise<OnchainPayment | null> {
    const found = isPaymentNumber(number) ? await findNumbered(db, number) : null;
    if (found === null) throw notFound();
    const view = await viewById(db, found.id);
    refuseForeign(request, view.payment.merchantId);
    return found.kind === 'provider' ? null : findPaymentById(db, found.id);
  }
}
