import { z } from 'zod';
import type { Clock } from '../../clock.ts';
import type { Config } from '../../config.ts';
import { eventTypes } from '../../core/events.ts';
import { auditEndpoint } from '../../notify/audit.ts';
import { changeEndpoint, createEndpoint, type EndpointFaults } from '../../notify/endpoints.ts';
import type { Secrets } from '../../notify/secrets.ts';
import { presentEndpoint } from '../../present/webhooks.ts';
import { inTransaction } from '../../storage/database.ts';
import type { Db } from '../../storage/schema.ts';
import {
  deleteEndpoint,
  disableEndpoint,
  enableEndpoint,
  getEndpoint,
  listEndpoints,
} from '../../storage/webhooks/endpoints.ts';
import { fieldErrors, type HttpError, notFound } from '../http/errors.ts';
import { bodyErrors, commonErrors, listOf, plainText, refusePrivateKey } from '../merchant/schemas.ts';
import type { Api } from '../routes.ts';
import { createEndpointChange, endpointPath } from './endpoint-change.ts';
import { merchantPath, requireMerchant, requireMerchantInUse } from './paths.ts';
import { endpointSchema, endpointSecretSchema } from './webhook-schemas.ts';

const tags = ['Webhooks'];

const url = plainText(2048);
const events = z
  .array(
    z
      .string()
      .max(100)
      .meta({ enum: [...eventTypes] }),
  )
  .max(100)
  .describe('None: the default set.');
const description = plainText(500).superRefine(refusePrivateKey);
const headers = z
  .record(z.string().max(100), z.string().max(4096))
  .describe(
    'At most five more headers that are sent along, such as `Authorization`. Stored sealed, shown by name.',
  );

const allowSameUrl = z
  .boolean()
  .default(false)
  .describe(
    'Whether another endpoint of this merchant may have the URL: its receiver gets every event of both.',
  );

export type WebhookRouteDeps = {
  db: Db;
  config: Pick<Config, 'webhooks' | 'sandbox'>;
  clock: Clock;
  secrets: Secrets;
  /** Deliveries were queued. */
  wakeNotifier: () => void;
};

/** Where merchants are told what happened. */
export function registerWebhookRoutes(api: Api, deps: WebhookRouteDeps): void {
  const { db, config, clock, secrets } = deps;
  const { allowHosts, headerPrefix } = config.webhooks;
  const rules = { secrets, allowHosts, headerPrefix };

  const change = createEndpointChange(deps);

  api.route({
    method: 'GET',
    url: '/merchants/:merchant_id/webhooks/',
    config: { access: 'merchant' },
    schema: {
      tags,
      operationId: 'listWebhooks',
      summary: "A merchant's webhook endpoints",
      params: merchantPath,
      response: { ...commonErrors, 200: listOf(endpointSchema) },
    },
    handler: async (request) => {
      const merchant = await requireMerchant(db, request.params.merchant_id);
      const endpoints = await listEndpoints(db, merchant.id);
      return {
        data: await Promise.all(endpoints.map((one) => presentEndpoint(db, one, clock()))),
        next_cursor: null,
      };
    },
  });

  api.route({
    method: 'POST',
    url: '/merchants/:merchant_id/webhooks/',
    config: { access: 'merchant' },
    schema: {
      tags,
      operationId: 'addWebhook',
      summary: 'Add a webhook endpoint',
      params: merchantPath,
      body: z.strictObject({
        url,
        events: events.default([]),
        description: description.default(''),
        headers: headers.default({}),
        allow_same_url: allowSameUrl,
      }),
      response: { ...bodyErrors, 201: endpointSecretSchema },
    },
    handler: async (request, reply) => {
      const merchant = await requireMerchantInUse(db, request.params.merchant_id);
      const at = clock();
      const { allow_same_url: allowSameUrl, ...given } = request.body;
      const { endpoint, secret } = await inTransaction(db, async (trx) => {
        const wanted = { ...given, allowSameUrl, merchantId: merchant.id, at };
        const outcome = await createEndpoint(trx, rules, wanted);
        if (outcome.kind === 'invalid') throw toFieldErrors(outcome.faults);
        const { events } = outcome.endpoint;
        await auditEndpoint(trx, 'added', outcome.endpoint, { at, actor: request.actor }, { events });
        return outcome;
      });
      const { id, url, events } = endpoint;
      return reply.code(201).send({ id, url, events: [...events], secret });
    },
  });

  api.route({
    method: 'PATCH',
    url: '/merchants/:merchant_id/webhooks/:endpoint_id/',
    config: { access: 'merchant' },
    schema: {
      tags,
      operationId: 'changeWebhook',
      summary: 'Change what is given; `active` turns an endpoint off and on',
      params: endpointPath,
      body: z.strictObject({
        url: url.optional(),
        events: events.optional(),
        description: description.optional(),
        headers: headers.optional(),
        active: z.boolean().optional(),
        allow_same_url: allowSameUrl,
      }),
      response: { ...bodyErrors, 200: endpointSchema },
    },
    handler: async (request) => {
      const { active, allow_same_url, ...given } = request.body;
      const wanted = {
        allowSameUrl: allow_same_url,
        ...(given.url === undefined ? {} : { url: given.url }),
        config: { access: 'merchant' },
        ...(given.events === undefined ? {} : { events: given.events }),
        ...(given.description === undefined ? {} : { description: given.description }),
        ...(given.headers === undefined ? {} : { headers: given.headers }),
      };
      const changed = await change(request, 'changed', async (trx, endpoint) => {
        const faults = await changeEndpoint(trx, rules, endpoint, wanted);
        if (faults !== null) throw toFieldErrors(faults);
        if (active === true) await enableEndpoint(trx, endpoint.id);
        if (active === false) await disableEndpoint(trx, endpoint.id, 'operator');
        const result = await getEndpoint(trx, endpoint.id);
        if (result === null) throw notFound();
        const { events, active: on } = result;
        return { result, detail: { host: new URL(result.url).host, events, active: on } };
      });
      return presentEndpoint(db, changed, clock());
    },
  });

  api.route({
    method: 'DELETE',
    url: '/merchants/:merchant_id/webhooks/:endpoint_id/',
    config: { access: 'merchant' },
    schema: {
      tags,
      operationId: 'deleteWebhook',
      summary: 'Remove a webhook endpoint; what waits for it is cancelled',
      params: endpointPath,
      response: { ...commonErrors, 200: endpointSchema },
    },
    handler: async (request) => {
      const deleted = await change(request, 'removed', async (trx, endpoint, at) => {
        await deleteEndpoint(trx, endpoint.id, at);
        return { result: { ...endpoint, active: false }, detail: {} };
      });
      return presentEndpoint(db, deleted, clock());
    },
  });
}

function toFieldErrors(faults: EndpointFaults): HttpError {
  return fieldErrors(
    Object.entries(faults).flatMap(([field, messages]) =>
      messages.map((message) => [field, message] as const),
    ),
  );
}
