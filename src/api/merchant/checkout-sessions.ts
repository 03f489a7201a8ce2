import { z } from 'zod';
import type { Clock } from '../../clock.ts';
import type { Config } from '../../config.ts';
import type { Method } from '../../core/checkout-session.ts';
import { parseFiatCode } from '../../core/fiat.ts';
import { cancelSession, createSession } from '../../payments/sessions.ts';
import { presentSession } from '../../present/checkout-sessions.ts';
import type { ProviderDesk } from '../../providers/desk.ts';
import type { Rates } from '../../rates/rates.ts';
import { findSession, listSessions } from '../../storage/checkout/sessions.ts';
import type { Db } from '../../storage/schema.ts';
import { decodeCursor, encodeCursor } from '../http/cursors.ts';
import { fieldError, notFound, serviceError } from '../http/errors.ts';
import type { Api } from '../routes.ts';
import { offerFor } from './create-charge.ts';
import { createInFlight, fingerprintOf, idempotencyHeader, readIdempotencyKey } from './idempotency.ts';
import { createSessionSchema, requestedPrice, worthInUsdCents } from './payment-request.ts';
import {
  bodyErrors,
  commonErrors,
  cursorSchema,
  detailSchema,
  fieldErrorsSchema,
  limitSchema,
  listOf,
  momentSchema,
  plainText,
  serviceErrorSchema,
  sessionSchema,
  sessionStatusSchema,
} from './schemas.ts';

const tags = ['Checkout'];

/** Anything that is no id of ours is not found, like one of somebody else. */
const sessionPath = z.object({ id: z.string() });

export type SessionRouteDeps = {
  db: Db;
  config: Pick<Config, 'chains' | 'publicUrl' | 'sandbox'>;
  clock: Clock;
  rates: Rates;
  providers: ProviderDesk;
};

/** Checkouts in which the payer chooses how to pay. */
export function registerSessionRoutes(api: Api, deps: SessionRouteDeps): void {
  const { db, config, clock, rates, providers } = deps;
  const inFlight = createInFlight();

  api.route({
    method: 'POST',
    url: '/checkout-sessions/',
    schema: {
      tags,
      operationId: 'createCheckoutSession',
      summary: 'Let the customer choose how to pay',
      description:
        'Locks no address and quotes nothing. On the page of `checkout_url` the customer chooses a coin and a network, or a provider: only then is a payment made.',
      headers: idempotencyHeader,
      body: createSessionSchema,
      response: {
        ...bodyErrors,
        201: sessionSchema,
        400: z.union([fieldErrorsSchema, detailSchema]),
        409: serviceErrorSchema,
        422: serviceErrorSchema,
      },
    },
    handler: async (request, reply) => {
      const { body, merchantId } = request;
      const key = readIdempotencyKey(request.headers['idempotency-key']);
      const price = requestedPrice(body);
      for (const method of body.methods) requireOffered(method, merchantId);
      const amountUsdCents = worthInUsdCents(price, rates);
      if (amountUsdCents === null) {
        const missing = `There is no trustworthy rate for ${price.currency} at the moment.`;
        throw serviceError(503, 'rate_unavailable', missing, { 'retry-after': '60' });
      }
      // Also a payment's body is another body.
      const idempotency = key === null ? null : { key, fingerprint: fingerprintOf({ session: body }) };
      const outcome = await inFlight.exclusively(key === null ? null : `${merchantId} ${key}`, () =>
        createSession(
          { db, clock },
          {
            merchantId,
            price: { minorUnits: Number(price.minorUnits), currency: price.currency },
            amountUsdCents,
            methods: body.methods,
            externalOrderId: body.external_order_id,
            customerEmail: body.customer_email,
            redirectUrl: body.redirect_url,
            cancelUrl: body.cancel_url,
            metadata: body.metadata,
            locale: body.locale,
            livemode: !config.sandbox,
            expiresInSeconds: body.expires_in_seconds,
            idempotency,
          },
        ),
      );
      if (outcome.outcome === 'idempotency_key_reused') {
        throw serviceError(
          422,
          'idempotency_key_reused',
          'This Idempotency-Key was used with another body in the last 24 hours; use a new key.',
        );
      }
      const session = presentSession(outcome.view, config.publicUrl, clock());
      reply.code(201).header('location', `/api/v1/checkout-sessions/${session.id}/`);
      if (outcome.outcome === 'replayed') reply.header('idempotency-replayed', 'true');
      return session;
    },
  });

  api.route({
    method: 'GET',
    url: '/checkout-sessions/:id/',
    schema: {
      tags,
      operationId: 'retrieveCheckoutSession',
      summary: 'Retrieve a checkout session',
      params: sessionPath,
      response: { ...commonErrors, 200: sessionSchema },
    },
    handler: async (request) => {
      const view = await find(request.merchantId, request.params.id);
      return presentSession(view, config.publicUrl, clock());
    },
  });

  api.route({
    method: 'GET',
    url: '/checkout-sessions/',
    schema: {
      tags,
      operationId: 'listCheckoutSessions',
      summary: 'List checkout sessions, newest first',
      querystring: z.strictObject({
        status: sessionStatusSchema.optional(),
        external_order_id: plainText(255).optional(),
        created_after: momentSchema.optional(),
        created_before: momentSchema.optional(),
        limit: limitSchema,
        cursor: cursorSchema,
      }),
      response: { ...commonErrors, 200: listOf(sessionSchema) },
    },
    handler: async (request) => {
      const { status, external_order_id, created_after, created_before, limit, cursor } = request.query;
      const beforeId = decodeCursor(cursor);
      const now = clock();
      const page = await listSessions(db, {
        merchantId: request.merchantId,
        limit,
        now,
        ...(status === undefined ? {} : { status }),
        ...(external_order_id === undefined ? {} : { externalOrderId: external_order_id }),
        ...(created_after === undefined ? {} : { createdAfter: Date.parse(created_after) }),
        ...(created_before === undefined ? {} : { createdBefore: Date.parse(created_before) }),
        ...(beforeId === undefined ? {} : { beforeId }),
      });
      return {
        data: page.views.map((view) => presentSession(view, config.publicUrl, now)),
        next_cursor: encodeCursor(page.nextId),
      };
    },
  });

  api.route({
    method: 'POST',
    url: '/checkout-sessions/:id/cancel/',
    schema: {
      tags,
      operationId: 'cancelCheckoutSession',
      summary: 'Cancel a checkout session',
      description:
        'Cancels the payment that is open in it too. Only while it is open and nothing has been received for that payment.',
      params: sessionPath,
      body: z.strictObject({}).optional(),
      response: { ...bodyErrors, 200: sessionSchema, 409: serviceErrorSchema },
    },
    handler: async (request) => {
      const { merchantId } = request;
      const { session } = await find(merchantId, request.params.id);
      const outcome = await cancelSession({ db, clock }, { merchantId, id: session.id });
      switch (outcome.outcome) {
        case 'cancelled':
          return presentSession(outcome.view, config.publicUrl, clock());
        case 'not_found':
          throw notFound();
        case 'not_cancellable':
          throw serviceError(
            409,
            'not_cancellable',
            'Only an open checkout session for which nothing was received can be cancelled.',
          );
        default:
          return outcome satisfies never;
      }
    },
  });

  async function find(merchantId: string, id: string) {
    const view = /^cs_[0-9a-f]{32}$/.test(id) ? await findSession(db, merchantId, id) : null;
    if (view === null) throw notFound();
    return view;
  }

  /** @throws HttpError for what neither a chain nor a provider of the configuration offers this merchant. */
  function requireOffered({ network, currency }: Method, merchantId: string): void {
    const chain = config.chains[network];
    if (chain?.enabled && chain.assets.some((asset) => asset.currency === currency)) return;
    const offer = offerFor(providers, network, merchantId);
    const code = parseFiatCode(currency);
    if (offer !== null && code !== null && offer.currencies.includes(code)) return;
    throw fieldError('methods', `${currency} on ${network} is not offered here; see GET /api/v1/methods/`);
  }
}
