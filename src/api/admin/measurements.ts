import { z } from 'zod';
import type { Config } from '../../config.ts';
import { measurementDays, measurementMs } from '../../core/measurement.ts';
import type { Network } from '../../core/networks.ts';
import { counted } from '../../core/plural.ts';
import {
  presentEndpointSeries,
  presentNodeSeries,
  presentPaymentTimes,
  presentPoolSeries,
} from '../../present/measurements.ts';
import { listNodeMeasurements } from '../../storage/chains/node-measurements.ts';
import { listPaymentTimes } from '../../storage/payments/overview.ts';
import { listPoolMeasurements } from '../../storage/pool/measurements.ts';
import type { Db } from '../../storage/schema.ts';
import { listEndpoints } from '../../storage/webhooks/endpoints.ts';
import { sumEndpointMeasurements } from '../../storage/webhooks/measurements.ts';
import { fieldError, notFound } from '../http/errors.ts';
import {
  commonErrors,
  countSchema,
  currencySchema,
  momentSchema,
  networkSchema,
  timeSchema,
} from '../merchant/schemas.ts';
import type { Api } from '../routes.ts';
import { merchantOfList } from './access.ts';
import { nodeMeasurementSchema } from './chains.ts';
import { merchantPath, requireMerchant } from './paths.ts';

const dayMs = 24 * 60 * 60 * 1000;

/** What is kept, and some hours for who asks in another time zone. */
const longestDays = measurementDays + 1;

const mostPoints = 300;

/** Payments that are looked at for all points together: their times are a sample. */
const mostPayments = 6_000;

/** Series in one answer; nobody tells more lines of a plot apart. */
const mostEndpoints = 20;

const span = z.strictObject({
  since: momentSchema,
  until: momentSchema.describe(`Before; at most ${counted(longestDays, 'day')} later.`),
  points: z.coerce
    .number()
    .int()
    .min(2)
    .max(mostPoints)
    .default(150)
    .describe(
      'At most so many in each series: of a long time one point stands for several intervals of ten minutes.',
    ),
});

type Span = { since: number; until: number; stepMs: number };

const stepSchema = countSchema.describe('For how long each point stands. What was not measured has none.');
const at = timeSchema.describe('When it begins.');

/** Points that begin at multiples of their length. */
function spanOf({ since: from, until: to, points }: z.output<typeof span>): Span {
  const [since, until] = [Date.parse(from), Date.parse(to)];
  if (until <= since) throw fieldError('until', 'expected a time after since');
  if (until - since > longestDays * dayMs)
    throw fieldError('until', `at most ${counted(longestDays, 'day')} after since`);
  // One more than it is long: it may begin in the middle of one.
  const stepMs = measurementMs * Math.ceil((until - since) / measurementMs / (points - 1));
  return { since: Math.floor(since / stepMs) * stepMs, until, stepMs };
}

/** How it went: what was measured, by time. */
export function registerMeasurementRoutes(
  api: Api,
  { db, config }: { db: Db; config: Pick<Config, 'chains'> },
): void {
  const isConfigured = (network: Network) =>
    Object.values(config.chains).some((chain) => chain.network === network);

  api.route({
    method: 'GET',
    url: '/chains/:network/measurements/',
    schema: {
      tags: ['Chains'],
      operationId: 'readNodeMeasurements',
      summary: 'How the nodes of a chain answered, by time',
      params: z.object({ network: networkSchema }),
      querystring: span,
      response: {
        ...commonErrors,
        200: z.object({
          step_seconds: stepSchema,
          data: z.array(
            z.object({ host: z.string(), points: z.array(nodeMeasurementSchema.extend({ at })) }),
          ),
        }),
      },
    },
    handler: async (request) => {
      const { since, until, stepMs } = spanOf(request.query);
      const { network } = request.params;
      if (!isConfigured(network)) throw notFound();
      const rows = await listNodeMeasurements(db, { network, since, until });
      return { step_seconds: stepMs / 1000, data: presentNodeSeries(rows, stepMs) };
    },
  });

  api.route({
    method: 'GET',
    url: '/merchants/:merchant_id/measurements/pools/',
    config: { access: 'merchant' },
    schema: {
      tags: ['Pool'],
      operationId: 'readPoolMeasurements',
      summary: 'How many addresses of each pool were free, by time',
      params: merchantPath,
      querystring: span,
      response: {
        ...commonErrors,
        200: z.object({
          step_seconds: stepSchema,
          data: z.array(
            z.object({
              network: networkSchema,
              currency: currencySchema.nullable(),
              points: z.array(
                z
                  .object({
                    at,
                    free: countSchema,
                    held: countSchema,
                    quarantined: countSchema,
                    retired: countSchema,
                  })
                  .describe('As it was when the fewest were free.'),
              ),
            }),
          ),
        }),
      },
    },
    handler: async (request) => {
      const { since, until, stepMs } = spanOf(request.query);
      const merchant = await requireMerchant(db, request.params.merchant_id);
      const rows = await listPoolMeasurements(db, { merchantId: merchant.id, since, until });
      return { step_seconds: stepMs / 1000, data: presentPoolSeries(rows, stepMs) };
    },
  });

  api.route({
    method: 'GET',
    url: '/merchants/:merchant_id/measurements/webhooks/',
    config: { access: 'merchant' },
    schema: {
      tags: ['Webhooks'],
      operationId: 'readWebhookMeasurements',
      summary: "Attempts to a merchant's endpoints that succeeded and failed, by time",
      params: merchantPath,
      querystring: span,
      response: {
        ...commonErrors,
        200: z.object({
          step_seconds: stepSchema,
          data: z
            .array(
              z.object({
                endpoint_id: z.string(),
                url: z.string(),
                points: z.array(
                  z.object({
                    at,
                    succeeded: countSchema.describe('Attempts that ended.'),
                    failed: countSchema,
                    oldest_pending_seconds: countSchema.describe(
                      'How old the oldest delivery became that it had not got, looked at once a minute; 0: it had got all.',
                    ),
                  }),
                ),
              }),
            )
            .describe(`Of the first ${mostEndpoints}.`),
        }),
      },
    },
    handler: async (request) => {
      const { since, until, stepMs } = spanOf(request.query);
      const merchant = await requireMerchant(db, request.params.merchant_id);
      const endpoints = (await listEndpoints(db, merchant.id)).slice(0, mostEndpoints);
      const endpointIds = endpoints.map(({ id }) => id);
      const rows = await sumEndpointMeasurements(db, { endpointIds, since, until, stepMs });
      return { step_seconds: stepMs / 1000, data: presentEndpointSeries(endpoints, rows) };
    },
  });

  api.route({
    method: 'GET',
    url: '/measurements/payment-times/',
    config: { access: 'merchant' },
    schema: {
      tags: ['Payments'],
      operationId: 'readPaymentTimes',
      summary: 'How long payments took from being made to being confirmed, by when they were made',
      querystring: span.extend({ merchant_id: z.string().max(100).optional() }),
      response: {
        ...commonErrors,
        200: z.object({
          step_seconds: stepSchema,
          points: z.array(
            z.object({
              at,
              payments: countSchema.describe(
                `How many of them were looked at: the last, of all points together at most ${mostPayments}.`,
              ),
              p50_seconds: countSchema.describe('Half of them took no longer.'),
              p95_seconds: countSchema.describe('19 of 20 took no longer.'),
            }),
          ),
        }),
      },
    },
    handler: async (request) => {
      const { since, until, stepMs } = spanOf(request.query);
      const asked = merchantOfList(request, request.query.merchant_id);
      const merchantId = asked === undefined ? null : (await requireMerchant(db, asked)).id;
      const steps = Math.ceil((until - since) / stepMs);
      const limit = Math.max(1, Math.floor(mostPayments / steps));
      const times: { at: number; times: number[] }[] = [];
      for (let from = since; from < until; from += stepMs) {
        const part = { since: from, until: Math.min(until, from + stepMs) };
        times.push({ at: from, times: await listPaymentTimes(db, { merchantId, ...part, limit }) });
      }
      return { step_seconds: stepMs / 1000, points: presentPaymentTimes(times) };
    },
  });
}
