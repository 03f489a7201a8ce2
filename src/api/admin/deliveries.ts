import { z } from 'zod';
import { eventTypes } from '../../core/events.ts';
import { presentAttempt, presentDelivery } from '../../present/webhooks.ts';
import type { Db } from '../../storage/schema.ts';
import { countByState } from '../../storage/webhooks/counts.ts';
import {
  deliveryStates,
  getDelivery,
  listAttempts,
  listDeliveries,
} from '../../storage/webhooks/deliveries.ts';
import { decodeCursor, encodeCursor } from '../http/cursors.ts';
import { notFound } from '../http/errors.ts';
import { commonErrors, cursorSchema, limitSchema, listOf, momentSchema } from '../merchant/schemas.ts';
import type { Api } from '../routes.ts';
import { merchantOfList, refuseForeign } from './access.ts';
import { idSchema, requireEndpointSeen, rowId } from './paths.ts';
import { attemptSchema, deliveryCountsSchema, deliverySchema } from './webhook-schemas.ts';

const tags = ['Webhooks'];
export const deliveryPath = z.object({ delivery_id: z.string() });

const listQuery = z.strictObject({
  merchant_id: idSchema.optional(),
  endpoint_id: idSchema.optional(),
  status: z.enum(deliveryStates).optional(),
  event: z.enum(eventTypes).optional(),
  since: momentSchema.optional(),
  until: momentSchema.optional(),
  limit: limitSchema,
  cursor: cursorSchema,
});

/** What was sent to webhook endpoints. */
export function registerDeliveryRoutes(api: Api, { db }: { db: Db }): void {
  api.route({
    method: 'GET',
    url: '/deliveries/',
    config: { access: 'merchant' },
    schema: {
      tags,
      operationId: 'listDeliveries',
      summary: 'Deliveries, newest first',
      querystring: listQuery,
      response: { ...commonErrors, 200: listOf(deliverySchema) },
    },
    handler: async (request) => {
      const { limit } = request.query;
      const found = await listDeliveries(db, {
        ...deliveryFilter({
          ...request.query,
          merchant_id: merchantOfList(request, request.query.merchant_id),
        }),
        limit: limit + 1,
      });
      const page = found.slice(0, limit);
      return {
        data: page.map(presentDelivery),
        next_cursor: encodeCursor(found.length > limit ? (page.at(-1)?.id ?? null) : null),
      };
    },
  });

  api.route({
    method: 'GET',
    url: '/deliveries/:delivery_id/',
    config: { access: 'merchant' },
    schema: {
      tags,
      operationId: 'retrieveDelivery',
      summary: 'One delivery with all its attempts',
      params: deliveryPath,
      response: { ...commonErrors, 200: deliverySchema.extend({ attempt_log: z.array(attemptSchema) }) },
    },
    handler: async (request) => {
      const delivery = await getDelivery(db, rowId(request.params.delivery_id));
      if (delivery === null) throw notFound();
      refuseForeign(request, delivery.merchantId);
      const attempts = await listAttempts(db, delivery.id);
      return { ...presentDelivery(delivery), attempt_log: attempts.map(presentAttempt) };
    },
  });

  api.route({
    method: 'GET',
    url: '/deliveries/counts/',
    config: { access: 'merchant' },
    schema: {
      tags,
      operationId: 'countDeliveries',
      summary: 'How the deliveries to an endpoint stand, such as those of a range replay',
      querystring: z.strictObject({
        endpoint_id: idSchema,
        since: momentSchema.describe('Created at or after.'),
        until: momentSchema.optional().describe('Created before.'),
        replays: z.enum(['true', 'false']).default('false').describe('Only those that repeat another.'),
      }),
      response: { ...commonErrors, 200: deliveryCountsSchema },
    },
    handler: async (request) => {
      const { endpoint_id: endpointId, since, until, replays } = request.query;
      await requireEndpointSeen(db, request, endpointId);
      return countByState(db, {
        endpointId,
        since: Date.parse(since),
        ...(until === undefined ? {} : { until: Date.parse(until) }),
        replays: replays === 'true',
      });
    },
  });
}

function deliveryFilter(
  query: Omit<z.output<typeof listQuery>, 'merchant_id'> & { merchant_id: string | undefined },
) {
  const beforeId = decodeCursor(query.cursor);
  const { merchant_id: merchantId, endpoint_id: endpointId, status, event, since, until } = query;
  return {
    ...(merchantId === undefined ? {} : { merchantId }),
    ...(endpointId === undefined ? {} : { endpointId }),
    ...(status === undefined ? {} : { state: status }),
    ...(event === undefined ? {} : { eventType: event }),
    ...(since === undefined ? {} : { since: Date.parse(since) }),
    ...(until === undefined ? {} : { until: Date.parse(until) }),
    ...(beforeId === undefined ? {} : { beforeId }),
  };
}
