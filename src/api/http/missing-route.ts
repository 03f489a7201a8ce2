import type { FastifyRequest } from 'fastify';
import type { Api } from '../routes.ts';
import { detailError } from './errors.ts';

/**
 * Answers requests that no route takes: 405 with `Allow` where the path is there and serves other methods (RFC 9110,
 * 15.5.6), else 404. To be called before the routes are registered.
 */
export function createMissingRoute(api: Api): (request: FastifyRequest) => never {
  const served = new Map<string, { pattern: RegExp; methods: Set<string> }>();
  api.addHook('onRoute', ({ url, method }) => {
    const route = served.get(url) ?? { pattern: patternOf(url), methods: new Set() };
    for (const one of [method].flat()) route.methods.add(one);
    served.set(url, route);
  });
  return (request) => {
    const path = request.url.split('?', 1)[0] ?? '';
    const found = [...served].filter(([, { pattern }]) => pattern.test(path));
    // A path that is there word for word is not one of those with a name in its place.
    const exact = found.filter(([url]) => !url.includes(':'));
    const routes = exact.length > 0 ? exact : found;
    const methods = new Set(routes.flatMap(([, route]) => [...route.methods]));
    if (methods.size === 0)
      throw detailError(404, 'There is no such path. GET /api/v1/schema/ describes those that there are.');
    const allow = [...methods].sort().join(', ');
    throw detailError(405, `${request.method} is not possible here, only ${allow}.`, { allow });
  };
}

/** `/payments/:payment_number/` also without its last slash. */
function patternOf(url: string): RegExp {
  const parts = url.split('/').filter((part) => part !== '');
  const source = parts
    .map((part) => (part.startsWith(':') ? '[^/]+' : part.replace(/[^a-z0-9_-]/gi, '\\$&')))
    .join('/');
  return new RegExp(`^/${source}/?$`);
}
