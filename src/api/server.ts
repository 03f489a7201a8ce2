import helmet from '@fastify/helmet';
import swagger from '@fastify/swagger';
import type { Registry } from '@prometheus-io/client';
import Fastify from 'fastify';
import { z } from 'zod';
import type { Clock } from '../clock.ts';
import type { Config } from '../config.ts';
import type { Logger } from '../log.ts';
import type { PaymentCreator } from '../payments/create.ts';
import type { Rates } from '../rates/rates.ts';
import type { Db } from '../storage/schema.ts';
import { createMerchantAuth, createOpenLimit } from './auth.ts';
import { bodyLimit, parseJsonBody } from './body.ts';
import { registerCreateRoute } from './create-payment.ts';
import { createErrorHandler, notFound } from './errors.ts';
import { registerEventRoutes } from './events.ts';
import { registerHealthRoutes } from './health.ts';
import { createLimiter } from './limits.ts';
import { registerMethodRoutes } from './methods.ts';
import { countRequests } from './metrics.ts';
import { openApiOptions } from './openapi.ts';
import { registerPaymentRoutes } from './payments.ts';
import type { Api } from './routes.ts';
import { validatorCompiler } from './validation.ts';

export type ApiDeps = {
  db: Db;
  config: Config;
  clock: Clock;
  log: Logger;
  rates: Rates;
  payments: PaymentCreator;
  registry: Registry;
  isStopping: () => boolean;
};

/** A request, head and body, must have arrived within this time, ms. */
const requestTimeoutMs = 30_000;

/** Builds the HTTP server with all its routes; the caller lets it listen and closes it. */
export async function createApi(deps: ApiDeps): Promise<Api> {
  const { config, log } = deps;
  const handleError = createErrorHandler(log);
  const api: Api = Fastify({
    bodyLimit,
    requestTimeout: requestTimeoutMs,
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 200 },
    // While it closes, requests already on their way are still answered.
    return503OnClosing: false,
    frameworkErrors: handleError,
  });
  api.setValidatorCompiler(validatorCompiler);
  // Our own answers are described by their schemas and held to them by tests: a payment that was made must
  // not be answered with an error because its description is wrong.
  api.setSerializerCompiler(() => (data) => JSON.stringify(data));
  api.removeAllContentTypeParsers();
  api.addContentTypeParser(
    'application/json',
    { parseAs: 'buffer' },
    async (_request: unknown, body: Buffer) => parseJsonBody(body),
  );
  api.setErrorHandler(handleError);
  api.setNotFoundHandler(() => {
    throw notFound();
  });
  api.decorateRequest('merchantId', '');
  countRequests(api, deps.registry);

  await api.register(helmet, {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: { 'default-src': ["'none'"], 'frame-ancestors': ["'none'"] },
    },
    xFrameOptions: { action: 'deny' },
    strictTransportSecurity: config.publicUrl.startsWith('https:') ? { includeSubDomains: false } : false,
  });
  api.addHook('onRequest', async (_request, reply) => {
    reply.header('cache-control', 'no-store');
  });

  const limiter = createLimiter({ perSecond: config.api.requestsPerSecond, clock: deps.clock });
  await api.register(async (open: Api) => registerHealthRoutes(open, deps));
  await api.register(
    async (open: Api) => {
      await open.register(swagger, openApiOptions(config, merchantDocument));
      await open.register(async (keyed: Api) => {
        keyed.addHook('onRequest', createMerchantAuth({ db: deps.db, limiter }));
        registerCreateRoute(keyed, deps);
        registerPaymentRoutes(keyed, deps);
        registerEventRoutes(keyed, deps);
        registerMethodRoutes(keyed, deps);
      });
      open.route({
        method: 'GET',
        url: '/schema/',
        onRequest: createOpenLimit(limiter),
        schema: {
          tags: ['Schema'],
          operationId: 'readSchema',
          summary: 'This document',
          security: [],
          response: { 200: z.record(z.string(), z.unknown()) },
        },
        handler: async () => open.swagger() as unknown as Record<string, unknown>,
      });
    },
    { prefix: '/api/v1' },
  );
  return api;
}

const merchantDocument = {
  title: 'depositd',
  description: 'Crypto payments straight to your own addresses.',
  security: 'apiKey',
  scheme: { type: 'apiKey', in: 'header', name: 'X-API-Key', description: 'pk_ and 64 hex digits.' },
  tags: [
    { name: 'Payments', description: 'Create, follow and cancel payments.' },
    { name: 'Events', description: 'What happened, in order.' },
    { name: 'Methods', description: 'What customers can pay with.' },
    { name: 'Schema', description: 'This document.' },
  ],
} satisfies Parameters<typeof openApiOptions>[1];
