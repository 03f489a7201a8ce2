import type { ProviderDesk } from '../../providers/desk.ts';
import { createOpenLimit } from '../http/auth.ts';
import { detailError, notFound } from '../http/errors.ts';
import type { Limiter } from '../http/limits.ts';
import type { Api } from '../routes.ts';

/** Where the providers' webhooks come in: raw bytes, as they were signed. */
export async function registerInboundRoutes(
  api: Api,
  { providers }: { providers: ProviderDesk },
  limiter: Limiter,
): Promise<void> {
  api.removeAllContentTypeParsers();
  api.addContentTypeParser('*', { parseAs: 'buffer' }, async (_request: unknown, body: Buffer) => body);
  api.addHook('onRequest', createOpenLimit(limiter));
  api.post<{ Params: { provider: string; path: string }; Body: unknown }>(
    '/:provider/:path',
    async (request, reply) => {
      const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
      const { provider, path } = request.params;
      const outcome = await providers.receive(provider, path, { headers: request.headers, body });
      switch (outcome) {
        case 'kept':
          return reply.code(200).send({});
        case 'refused':
          throw detailError(401, 'The signature is not right.');
        case 'not_found':
          throw notFound();
        default:
          return outcome satisfies never;
      }
    },
  );
}
