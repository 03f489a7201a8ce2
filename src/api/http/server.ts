import helmet from '@fastify/helmet';
import type { Registry } from '@prometheus-io/client';
import Fastify from 'fastify';
import type { LookUp } from '../../checkout/look.ts';
import type { AskNode } from '../../checkout/sandbox-wallet.ts';
import type { Logger } from '../../log.ts';
import { type AdminDeps, registerAdminApi } from '../admin/routes.ts';
import { registerActionRoutes } from '../checkout/actions.ts';
import { registerChoiceRoutes } from '../checkout/choice.ts';
import { registerCheckoutRoutes } from '../checkout/routes.ts';
import { createReadToken } from '../checkout/token.ts';
import { registerDashboardRoutes } from '../dashboard/routes.ts';
import { registerInboundRoutes } from '../inbound/routes.ts';
import { type MerchantApiDeps, registerMerchantApi } from '../merchant/routes.ts';
import type { Api } from '../routes.ts';
import { createOpenLimit } from './auth.ts';
import { bodyLimit, parseJsonBody } from './body.ts';
import { answerClientError } from './client-error.ts';
import { createErrorHandler, unsupportedMediaType } from './errors.ts';
import { registerHealthRoutes } from './health.ts';
import { createLimiter, type Limiter } from './limits.ts';
import { countRequests, createRequestMetrics, type RequestMetrics } from './metrics.ts';
import { createMissingRoute } from './missing-route.ts';
import { refuseNul, validatorCompiler } from './validation.ts';

export type ApiDeps = MerchantApiDeps &
  AdminDeps & {
    log: Logger;
    registry: Registry;
    /** Looks for a transaction that a payer names. */
    lookUp: LookUp;
    /** For the wallet of a sandbox. */
    askNode?: AskNode;
    /** Counts a step of a loop that threw. */
    failed?: (loop: string) => void;
    /** Whether the daemon is on its way down. */
    isStopping: () => boolean;
  };

/** A request, head and body, must have arrived within this time, ms. */
const requestTimeoutMs = 30_000;

export type ApiOptions = {
  /** Whose routes it has. Each server also tells how the daemon is. */
  audience?: 'everybody' | 'customers' | 'operators';
  /** Where another server of the daemon counts too. */
  requests?: RequestMetrics;
};

/** Builds an HTTP server with the routes of its audience; the caller lets it listen and closes it. */
export async function createApi(
  deps: ApiDeps,
  { audience = 'everybody', requests = createRequestMetrics(deps.registry) }: ApiOptions = {},
): Promise<Api> {
  const { config } = deps;
  const handleError = createErrorHandler(deps.log);
  const api: Api = Fastify({
    bodyLimit,
    trustProxy: [...config.checkout.trustedProxies],
    requestTimeout: requestTimeoutMs,
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 200 },
    // While it closes, requests already on their way are still answered.
    return503OnClosing: false,
    frameworkErrors: handleError,
    clientErrorHandler: answerClientError,
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
  // What is not there has no type: many clients name one all the same when they send nothing.
  api.addContentTypeParser('*', { parseAs: 'buffer' }, async (_request: unknown, body: Buffer) => {
    if (body.length > 0) throw unsupportedMediaType();
  });
  api.setErrorHandler(handleError);
  const missing = createMissingRoute(api);
  const limiter = createLimiter({ perSecond: config.api.requestsPerSecond, clock: deps.clock });
  api.decorateRequest('merchantId', '');
  countRequests(api, requests);

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
  const openLimit = createOpenLimit(limiter);
  // Before a body is read that nobody wants.
  api.addHook('onRequest', async (request, reply) => {
    if (!request.is404) return;
    await openLimit(request, reply);
    missing(request);
  });
  // After a route has let the caller in, and before its schema is asked.
  api.addHook('preValidation', refuseNul);

  await api.register(async (routes: Api) => registerHealthRoutes(routes, deps));
  if (audience !== 'customers') await registerForOperators(api, deps, limiter);
  if (audience !== 'operators') await registerForCustomers(api, deps, limiter);
  return api;
}

async function registerForOperators(api: Api, deps: ApiDeps, limiter: Limiter): Promise<void> {
  await api.register(async (routes: Api) => registerAdminApi(routes, deps, limiter), { prefix: '/admin/v1' });
  if (deps.config.dashboard === false) return;
  await api.register(async (routes: Api) => registerDashboardRoutes(routes, deps), { prefix: '/dashboard' });
}

async function registerForCustomers(api: Api, deps: ApiDeps, limiter: Limiter): Promise<void> {
  await api.register(async (routes: Api) => registerMerchantApi(routes, deps, limiter), {
    prefix: '/api/v1',
  });
  await api.register(async (routes: Api) => registerInboundRoutes(routes, deps, limiter), { prefix: '/in' });
  const readToken = createReadToken(deps);
  await api.register(async (routes: Api) => registerCheckoutRoutes(routes, deps, readToken), {
    prefix: '/pay',
  });
  await api.register(async (routes: Api) => registerActionRoutes(routes, deps, readToken), {
    prefix: '/pay',
  });
  await api.register(async (routes: Api) => registerChoiceRoutes(routes, deps, readToken), {
    prefix: '/checkout',
  });
}
