import { z } from 'zod';
import type { Config } from '../../config.ts';
import { refundStatuses } from '../../core/charge.ts';
import { parseFiatAmount, parseFiatCode } from '../../core/fiat.ts';
import type { ProviderPayment } from '../../core/payment.ts';
import { presentPayment } from '../../present/payments.ts';
import { presentRefund } from '../../present/providers.ts';
import type { ProviderDesk } from '../../providers/desk.ts';
import { findPayment } from '../../storage/payments/views.ts';
import type { Db } from '../../storage/schema.ts';
import { fieldError, notFound, serviceError } from '../http/errors.ts';
import type { Api } from '../routes.ts';
import { readIdempotencyKey } from './idempotency.ts';
import { isPaymentNumber } from './payments.ts';
import { providerError } from './provider-answers.ts';
import {
  amountSchema,
  bodyErrors,
  paymentPath,
  paymentSchema,
  plainText,
  serviceErrorSchema,
} from './schemas.ts';

const tags = ['Payments'];

const amountField = plainText(30).optional().describe('In the currency of the payment. Default: the whole.');

const refundSchema = z
  .object({
    id: z.string(),
    status: z
      .enum(refundStatuses)
      .describe(
        '`unknown`: the answer was lost, and nothing is repeated until the provider tells what became of it.',
      ),
    amount: amountSchema,
    currency: z.string().meta({ example: 'USD' }),
  })
  .meta({ id: 'Refund' });

const errors = { ...bodyErrors, 409: serviceErrorSchema, 422: serviceErrorSchema, 502: serviceErrorSchema };

export type ChargeRouteDeps = {
  db: Db;
  config: Pick<Config, 'publicUrl' | 'providers'>;
  providers: ProviderDesk;
};

/** What a merchant does with the money of a payment by a provider. */
export function registerChargeRoutes(api: Api, { db, config, providers }: ChargeRouteDeps): void {
  api.route({
    method: 'POST',
    url: '/payments/:payment_number/refunds/',
    schema: {
      tags,
      operationId: 'refundPayment',
      summary: 'Refund a payment by a provider, or a part of it',
      description: 'Only where the provider can. The status of the payment stays; `provider.refunded` tells.',
      headers: z.object({
        'idempotency-key': z
          .string()
          .optional()
          .describe('Makes a retry safe: the same key is refunded once.'),
      }),
      params: paymentPath,
      body: z.strictObject({ amount: amountField, reason: plainText(200).default('requested_by_customer') }),
      response: { ...errors, 201: refundSchema },
    },
    handler: async (request, reply) => {
      const payment = await requirePayment(request.merchantId, request.params.payment_number);
      const { amount, reason } = request.body;
      const outcome = await providers.refund(payment.network, {
        paymentId: payment.id,
        amount: amount === undefined ? null : readAmount(amount, payment),
        reason,
        idempotencyKey: readIdempotencyKey(request.headers['idempotency-key']),
      });
      if (outcome === null) throw unconfigured(payment);
      switch (outcome.outcome) {
        case 'refunded': {
          const { refund } = outcome;
          if (outcome.replayed) reply.header('idempotency-replayed', 'true');
          reply.code(201);
          return presentRefund(refund, payment);
        }
        case 'not_refundable':
          throw serviceError(409, 'not_refundable', `The payment cannot be refunded: ${outcome.reason}.`);
        case 'idempotency_key_reused':
          throw serviceError(
            422,
            'idempotency_key_reused',
            'This Idempotency-Key was used with another body.',
          );
        case 'unsupported':
        case 'provider_failed':
        case 'provider_unavailable':
          throw providerError(outcome, payment.chain);
        default:
          return outcome satisfies never;
      }
    },
  });

  api.route({
    method: 'POST',
    url: '/payments/:payment_number/capture/',
    schema: {
      tags,
      operationId: 'capturePayment',
      summary: 'Take what the customer authorized, or a part of it',
      description:
        'Only where the provider can. A part never confirms the payment by itself: an operator accepts it.',
      params: paymentPath,
      body: z.strictObject({ amount: amountField }).optional(),
      response: { ...errors, 200: paymentSchema },
    },
    handler: async (request) => {
      const payment = await requirePayment(request.merchantId, request.params.payment_number);
      const amount = request.body?.amount;
      const outcome = await providers.capture(payment.network, {
        paymentId: payment.id,
        amount: amount === undefined ? null : readAmount(amount, payment),
      });
      if (outcome === null) throw unconfigured(payment);
      switch (outcome.outcome) {
        case 'captured':
          return presentPayment({ kind: 'provider', payment: outcome.payment }, config.publicUrl);
        case 'not_capturable':
          throw serviceError(409, 'not_capturable', `The payment cannot be captured: ${outcome.reason}.`);
        case 'unsupported':
        case 'provider_failed':
        case 'provider_unavailable':
          throw providerError(outcome, payment.chain);
        default:
          return outcome satisfies never;
      }
    },
  });

  /** @throws HttpError 404 when it is not the merchant's, 409 when it is not by a provider. */
  async function requirePayment(merchantId: string, paymentNumber: string): Promise<ProviderPayment> {
    const view = isPaymentNumber(paymentNumber) ? await findPayment(db, merchantId, paymentNumber) : null;
    if (view === null) throw notFound();
    if (view.kind === 'provider') return view.payment;
    throw serviceError(
      409,
      'unsupported_by_provider',
      'The payment is on a chain: only its receiver can send money back.',
    );
  }
}

function readAmount(text: string, { currency }: ProviderPayment): bigint {
  const code = parseFiatCode(currency);
  const amount = code === null ? null : parseFiatAmount(text, code);
  if (amount === null || amount === 0n) throw fieldError('amount', `expected a positive decimal in ${code}`);
  return amount;
}

function unconfigured(payment: ProviderPayment) {
  return serviceError(409, 'unsupported_by_provider', `${payment.chain} is not configured any more.`);
}
