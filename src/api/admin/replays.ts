import { z } from 'zod';
import type { Clock } from '../../clock.ts';
import type { Config } from '../../config.ts';
import { operatorReplays, operatorReplaysOne } from '../../notify/replays.ts';
import { presentDelivery } from '../../present/webhooks.ts';
import { inTransaction } from '../../storage/database.ts';
import type { Db } from '../../storage/schema.ts';
import { getDelivery } from '../../storage/webhooks/deliveries.ts';
import { fieldError, notFound } from '../http/errors.ts';
import { bodyErrors, countSchema, momentSchema, serviceErrorSchema } from '../merchant/schemas.ts';
import type { Api } from '../routes.ts';
import { refuseForeign } from './access.ts';
import { deliveryPath } from './deliveries.ts';
import { endpointDisabled } from './endpoint-change.ts';
import { isId, requireEndpointSeen, rowId } from './paths.ts';
import { deliverySchema } from './webhook-schemas.ts';

const tags = ['Webhooks'];

export type ReplayRouteDeps = {
  db: Db;
  config: Pick<Config, 'webhooks'>;
  clock: Clock;
  wakeNotifier: () => void;
};

const dayMs = 24 * 60 * 60 * 1000;

/** Sending again what was sent before. */
export function registerReplayRoutes(api: Api, deps: ReplayRouteDeps): void {
  const { db, config, clock, wakeNotifier } = deps;
  const retentionMs = config.webhooks.retentionDays * dayMs;

  api.route({
    method: 'POST',
    url: '/deliveries/:delivery_id/replay/',
    config: { access: 'merchant' },
    schema: {
      tags,
      operationId: 'replayDelivery',
      summary: 'Send the event of a delivery again',
      description: 'The same bytes, as a delivery of its own with the usual attempts.',
      params: deliveryPath,
      body: z.strictObject({}).optional(),
      response: { ...bodyErrors, 201: deliverySchema, 409: serviceErrorSchema },
    },
    handler: async (request, reply) => {
      const deliveryId = rowId(request.params.delivery_id);
      const replayed = await getDelivery(db, deliveryId);
      if (replayed !== null) refuseForeign(request, replayed.merchantId);
      const act = { at: clock(), actor: request.actor };
      const sent = await inTransaction(db, (trx) => operatorReplaysOne(trx, deliveryId, act));
      if (sent.kind === 'not-found') throw notFound();
      if (sent.kind === 'endpoint-disabled') throw endpointDisabled();
      wakeNotifier();
      return reply.code(201).send(presentDelivery(sent.delivery));
    },
  });

  api.route({
    method: 'POST',
    url: '/deliveries/replay/',
    config: { access: 'merchant' },
    schema: {
      tags,
      operationId: 'replayDeliveries',
      summary: 'Send again what went to an endpoint in a span of time',
      description:
        'Oldest first and paced. What was sent again already is passed over, so that asking twice sends nothing twice.',
      body: z.strictObject({
        endpoint_id: z.string().max(100),
        since: momentSchema.describe('Created at or after.'),
        until: momentSchema.optional().describe('Created before; now by default.'),
        status: z
          .enum(['failed', 'cancelled', 'delivered', 'missed'])
          .optional()
          .describe(
            'By default all that was not delivered: `failed`, and `cancelled` (kept while the endpoint was off). `missed`: events that never became a delivery to this endpoint, because it was added later or did not subscribe to them then.',
          ),
      }),
      response: {
        ...bodyErrors,
        202: z.object({
          count: countSchema,
          more: z.boolean().describe('The limit cut: asking again goes on.'),
        }),
        409: serviceErrorSchema,
      },
    },
    handler: async (request, reply) => {
      const { endpoint_id: endpointId, since, until, status } = request.body;
      if (!isId(endpointId)) throw unknownEndpoint();
      await requireEndpointSeen(db, request, endpointId);
      const wish = {
        endpointId,
        since: Date.parse(since),
        until: until === undefined ? undefined : Date.parse(until),
        status,
        retentionMs,
      };
      const act = { at: clock(), actor: request.actor };
      const replayed = await inTransaction(db, (trx) => operatorReplays(trx, wish, act));
      if (replayed.kind === 'not-found') throw unknownEndpoint();
      if (replayed.kind === 'endpoint-disabled') throw endpointDisabled();
      wakeNotifier();
      return reply.code(202).send({ count: replayed.count, more: replayed.more });
    },
  });
}

function unknownEndpoint() {
  return fieldError('endpoint_id', 'there is no such endpoint');
}
