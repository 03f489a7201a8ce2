import { z } from 'zod';
import { rotateSecret } from '../../notify/endpoints.ts';
import { sendTestEvent } from '../../notify/replays.ts';
import { presentDelivery, presentEndpoint } from '../../present/webhooks.ts';
import { finishEndpointRotation } from '../../storage/webhooks/endpoints.ts';
import { notFound } from '../http/errors.ts';
import { bodyErrors, serviceErrorSchema } from '../merchant/schemas.ts';
import type { Api } from '../routes.ts';
import { createEndpointChange, endpointDisabled, endpointPath } from './endpoint-change.ts';
import { deliverySchema, endpointSchema, endpointSecretSchema } from './webhook-schemas.ts';
import type { WebhookRouteDeps } from './webhooks.ts';

const tags = ['Webhooks'];

/** Longest time that an old secret may go on signing, seconds. */
const longestOverlap = 30 * 24 * 60 * 60;

/** What an operator does with an endpoint besides changing it. */
export function registerWebhookActions(api: Api, deps: WebhookRouteDeps): void {
  const { config, secrets, wakeNotifier } = deps;
  const change = createEndpointChange(deps);

  api.route({
    method: 'POST',
    url: '/merchants/:merchant_id/webhooks/:endpoint_id/rotate/',
    config: { access: 'merchant' },
    schema: {
      tags,
      operationId: 'rotateWebhookSecret',
      summary: 'Give an endpoint a new secret',
      params: endpointPath,
      body: z
        .strictObject({
          overlap_seconds: z
            .int()
            .min(0)
            .max(longestOverlap)
            .optional()
            .describe('How long the old secret signs, too; a day by default, 0: it stops at once.'),
        })
        .default({}),
      response: { ...bodyErrors, 200: endpointSecretSchema },
    },
    handler: async (request) => {
      const { overlap_seconds: overlap } = request.body;
      const { endpoint, secret } = await change(request, 'rotated', async (trx, { id }, at) => {
        const overlapMs = overlap === undefined ? {} : { overlapMs: overlap * 1000 };
        const rotated = await rotateSecret(trx, secrets, { endpointId: id, at, ...overlapMs });
        if (rotated === null) throw notFound();
        return { result: rotated, detail: { previous_secret_until: rotated.endpoint.previousSecretUntil } };
      });
      return { id: endpoint.id, url: endpoint.url, events: [...endpoint.events], secret };
    },
  });

  api.route({
    method: 'POST',
    url: '/merchants/:merchant_id/webhooks/:endpoint_id/rotate/finish/',
    config: { access: 'merchant' },
    schema: {
      tags,
      operationId: 'finishWebhookRotation',
      summary: 'End a rotation now: the old secret stops signing',
      params: endpointPath,
      body: z.strictObject({}).optional(),
      response: { ...bodyErrors, 200: endpointSchema },
    },
    handler: async (request) => {
      const finished = await change(request, 'rotation_finished', async (trx, { id }) => {
        const result = await finishEndpointRotation(trx, id);
        if (result === null) throw notFound();
        return { result, detail: {} };
      });
      return presentEndpoint(deps.db, finished, deps.clock());
    },
  });

  api.route({
    method: 'POST',
    url: '/merchants/:merchant_id/webhooks/:endpoint_id/test/',
    config: { access: 'merchant' },
    schema: {
      tags,
      operationId: 'testWebhook',
      summary: 'Send `webhook.test` to one endpoint',
      params: endpointPath,
      body: z.strictObject({}).optional(),
      response: { ...bodyErrors, 201: deliverySchema, 409: serviceErrorSchema },
    },
    handler: async (request, reply) => {
      const delivery = await change(request, 'tested', async (trx, { id }, at) => {
        const sent = await sendTestEvent(trx, { endpointId: id, livemode: !config.sandbox, at });
        if (sent.kind === 'endpoint-disabled') throw endpointDisabled();
        if (sent.kind === 'not-found') throw notFound();
        return { result: sent.delivery, detail: { delivery: sent.delivery.id } };
      });
      wakeNotifier();
      return reply.code(201).send(presentDelivery(delivery));
    },
  });
}
