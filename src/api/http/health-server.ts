import Fastify from 'fastify';
import type { Logger } from '../../log.ts';
import type { Api } from '../routes.ts';
import { bodyLimit } from './body.ts';
import { answerClientError } from './client-error.ts';
import { createErrorHandler } from './errors.ts';
import { type HealthRouteDeps, registerHealthRoutes } from './health.ts';
import { createMissingRoute } from './missing-route.ts';
import { validatorCompiler } from './validation.ts';

/** What a process without the role `api` answers: whether it is alive and able to work, and its metrics. */
export async function createHealthServer(deps: HealthRouteDeps & { log: Logger }): Promise<Api> {
  const handleError = createErrorHandler(deps.log);
  const api: Api = Fastify({
    bodyLimit,
    routerOptions: { ignoreTrailingSlash: true },
    return503OnClosing: false,
    frameworkErrors: handleError,
    clientErrorHandler: answerClientError,
  });
  api.setValidatorCompiler(validatorCompiler);
  api.setSerializerCompiler(() => (data) => JSON.stringify(data));
  api.setErrorHandler(handleError);
  const missing = createMissingRoute(api);
  api.addHook('onRequest', async (request) => {
    if (request.is404) missing(request);
  });
  await api.register(async (routes: Api) => registerHealthRoutes(routes, deps));
  return api;
}
