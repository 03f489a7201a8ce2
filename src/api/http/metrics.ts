import { Counter, Histogram, type Registry } from '@prometheus-io/client';
import type { Api } from '../routes.ts';

export type RequestMetrics = ReturnType<typeof createRequestMetrics>;

/** For all servers of one daemon. */
export function createRequestMetrics(registry: Registry) {
  const requests = new Counter({
    name: 'depositd_http_requests_total',
    help: 'HTTP requests answered.',
    labelNames: ['method', 'route', 'status'] as const,
    registers: [registry],
  });
  const seconds = new Histogram({
    name: 'depositd_http_request_seconds',
    help: 'Time from the head of a request to the end of its answer.',
    labelNames: ['route'] as const,
    buckets: [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
    registers: [registry],
  });
  return { requests, seconds };
}

/** Counts and times every request by its route, never by its path: paths hold payment numbers. */
export function countRequests(api: Api, { requests, seconds }: RequestMetrics): void {
  api.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'none';
    requests.inc({ method: request.method, route, status: String(reply.statusCode) });
    seconds.observe({ route }, reply.elapsedTime / 1000);
  });
}
