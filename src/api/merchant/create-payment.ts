import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import type { Config } from '../../config.ts';
import type { PaymentView } from '../../core/payment.ts';
import type { CreateOutcome, PaymentCreator } from '../../payments/create.ts';
import { presentPayment } from '../../present/payments.ts';
import type { ProviderDesk } from '../../providers/desk.ts';
import type { Rates } from '../../rates/rates.ts';
import { fieldError, type HttpError, serviceError } from '../http/errors.ts';
import type { Api } from '../routes.ts';
import { createByProvider, offerFor } from './create-charge.ts';
import { createInFlight, fingerprintOf, idempotencyHeader, readIdempotencyKey } from './idempotency.ts';
import { createPaymentSchema, requestedPrice, worthInUsdCents } from './payment-request.ts';
import {
  bodyErrors,
  detailSchema,
  fieldErrorsSchema,
  paymentSchema,
  requireNetwork,
  serviceErrorSchema,
} from './schemas.ts';

export type CreateRouteDeps = {
  config: Pick<Config, 'chains' | 'providers' | 'publicUrl' | 'sandbox'>;
  payments: PaymentCreator;
  providers: ProviderDesk;
  rates: Rates;
};

export function registerCreateRoute(api: Api, { config, payments, providers, rates }: CreateRouteDeps): void {
  const inFlight = createInFlight();

  api.route({
    method: 'POST',
    url: '/payments/',
    schema: {
      tags: ['Payments'],
      operationId: 'createPayment',
      summary: 'Create a payment',
      description:
        'Quotes the amount in a coin, locks one of your addresses and answers with what to show the customer.',
      headers: idempotencyHeader,
      body: createPaymentSchema,
      response: {
        ...bodyErrors,
        201: paymentSchema,
        400: z.union([fieldErrorsSchema, serviceErrorSchema, detailSchema]),
        409: serviceErrorSchema,
        422: serviceErrorSchema,
        502: serviceErrorSchema.describe('A fiat provider refused or failed.'),
      },
    },
    handler: async (request, reply) => {
      const { body, merchantId } = request;
      const key = readIdempotencyKey(request.headers['idempotency-key']);
      const idempotency = key === null ? null : { key, fingerprint: fingerprintOf(body) };
      const exclusive = key === null ? null : `${merchantId} ${key}`;
      const price = requestedPrice(body);
      const offer = offerFor(providers, body.network, merchantId);
      if (offer !== null) {
        const made = await inFlight.exclusively(exclusive, () =>
          createByProvider({ desk: providers, rates }, offer, body, {
            merchantId,
            livemode: !config.sandbox,
            price,
            idempotency,
          }),
        );
        return answer(reply, made);
      }
      const chain = config.chains[body.network];
      requireNetwork(body.network, config.chains, config.providers);
      if (!chain?.enabled || !chain.assets.some((asset) => asset.currency === body.currency)) {
        const offered = chain?.enabled ? chain.assets.map(({ currency }) => currency) : [];
        const expected = offered.length === 0 ? '' : `; expected one of ${offered.join(', ')}`;
        throw fieldError('currency', `${body.currency} on ${body.network} is not offered here${expected}`);
      }
      const outcome = await inFlight.exclusively(exclusive, () =>
        payments.create({
          merchantId,
          network: body.network,
          currency: body.currency,
          amountUsdCents: worthInUsdCents(price, rates) ?? 0,
          price,
          externalOrderId: body.external_order_id,
          customerEmail: body.customer_email,
          redirectUrl: body.redirect_url,
          metadata: body.metadata,
          locale: body.locale,
          idempotency,
        }),
      );
      if (!('view' in outcome)) throw refusal(outcome, body, chain.name);
      return answer(reply, outcome);
    },
  });

  function answer(
    reply: FastifyReply,
    { outcome, view }: { outcome: 'created' | 'replayed'; view: PaymentView },
  ): z.output<typeof paymentSchema> {
    const payment = presentPayment(view, config.publicUrl);
    reply.code(201).header('location', `/api/v1/payments/${payment.payment_number}/`);
    if (outcome === 'replayed') reply.header('idempotency-replayed', 'true');
    return payment;
  }
}

type Refusal = Exclude<CreateOutcome, { outcome: 'created' | 'replayed' }>;

function refusal(
  outcome: Refusal,
  { currency }: z.output<typeof createPaymentSchema>,
  chainName: string,
): HttpError {
  const pair = `${currency} on ${chainName}`;
  switch (outcome.outcome) {
    case 'idempotency_key_reused':
      return serviceError(
        422,
        'idempotency_key_reused',
        'This Idempotency-Key was used with another body in the last 24 hours; use a new key.',
      );
    case 'no_address':
      return serviceError(
        400,
        'NoAddressConfiguredError',
        `No active receive address for ${pair}; add one and try again.`,
      );
    case 'all_held':
      return serviceError(
        503,
        'all_addresses_held',
        outcome.heldBack === undefined
          ? `Every receive address for ${pair} is held by another pending payment; try again, or add addresses.`
          : `No payment for ${pair} can be made: ${outcome.heldBack}.`,
        { 'retry-after': String(outcome.retryAfterSeconds) },
      );
    case 'rate_unavailable':
      return serviceError(
        503,
        'rate_unavailable',
        `There is no trustworthy rate for ${pair} at the moment.`,
        {
          'retry-after': '10',
        },
      );
    case 'chain_unavailable':
      return serviceError(
        503,
        'chain_unavailable',
        `${chainName} cannot be used at the moment: ${outcome.reason}.`,
        { 'retry-after': '30' },
      );
    case 'database_unchecked':
      return serviceError(
        503,
        'storage_unavailable',
        `No payment can be made at the moment: ${outcome.reason}.`,
        { 'retry-after': '5' },
      );
    case 'clock_skew':
      return serviceError(503, 'clock_skew', `No payment can be made at the moment: ${outcome.reason}.`, {
        'retry-after': '60',
      });
    default:
      return outcome satisfies never;
  }
}
