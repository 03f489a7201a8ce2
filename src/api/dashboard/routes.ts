import type { FastifyReply, FastifyRequest } from 'fastify';
import { type Clock, steadyClock } from '../../clock.ts';
import type { Logger } from '../../log.ts';
import { detailError, notFound } from '../http/errors.ts';
import type { Api } from '../routes.ts';
import { type DashboardFile, readDashboard } from './build.ts';

/** Nothing from anywhere else, no code in the page, and nobody's frame. */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ');

/** A build that failed is not tried again for so long, ms: whoever asks could keep a processor busy. */
const buildAgainMs = 60_000;

/** The operator's pages. What they show comes from /admin/v1/: they themselves hold nothing. */
export function registerDashboardRoutes(
  api: Api,
  { log, clock, read = readDashboard }: { log: Logger; clock: Clock; read?: typeof readDashboard },
): void {
  const steady = steadyClock(clock);
  let reading: Promise<Map<string, DashboardFile>> | null = null;
  let failedAt = Number.NEGATIVE_INFINITY;

  /** Read at the first request: most processes are never asked. */
  async function files(): Promise<Map<string, DashboardFile>> {
    if (reading === null && steady() - failedAt < buildAgainMs) throw notBuilt();
    reading ??= read().catch((error: unknown) => {
      reading = null;
      failedAt = steady();
      log.warn({ err: error }, 'dashboard not built');
      throw notBuilt();
    });
    return reading;
  }

  async function send(request: FastifyRequest, reply: FastifyReply, name: string, cache: string) {
    const file = (await files()).get(name);
    if (file === undefined) throw notFound();
    reply.headers({ 'content-type': file.type, etag: file.etag, 'cache-control': cache });
    return request.headers['if-none-match'] === file.etag ? reply.code(304).send() : reply.send(file.body);
  }

  api.get('/', async (request, reply) => {
    reply.header('content-security-policy', policy);
    return send(request, reply, 'index.html', 'no-cache');
  });

  // Their names say what is in them.
  api.get<{ Params: { file: string } }>('/assets/:file', (request, reply) =>
    send(request, reply, `assets/${request.params.file}`, 'public, max-age=31536000, immutable'),
  );
}

function notBuilt() {
  return detailError(503, 'The dashboard was not built: run npm run build.');
}
