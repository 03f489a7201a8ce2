import { createHash } from 'node:crypto';
import type { FastifyReply } from 'fastify';
import { parseAccent, withAccent } from '../../checkout/accent.ts';
import type { Asset, Assets } from '../../checkout/assets.ts';
import { findLogo } from '../../storage/operators/brands.ts';
import type { Db } from '../../storage/schema.ts';
import { notFound } from '../http/errors.ts';
import type { Api } from '../routes.ts';

/** The style sheet and the script of every page. Their names say what is in them, so that they may be kept. */
export function registerAssetRoutes(api: Api, db: Db, { style, script }: Assets): void {
  api.get<{ Params: { hash: string } }>('/assets/logo-:hash', async (request, reply) => {
    const { hash } = request.params;
    const logo = /^[0-9a-f]{64}$/.test(hash) ? await findLogo(db, hash) : null;
    if (logo === null) throw notFound();
    // An image that is opened by itself is a page of ours: it may do nothing.
    reply.header('content-security-policy', "default-src 'none'; style-src 'unsafe-inline'; sandbox");
    return send(
      reply,
      { type: logo.type, etag: `"${hash}"`, body: logo.bytes },
      request.headers['if-none-match'],
    );
  });

  api.get<{ Params: { file: string }; Querystring: { accent?: unknown } }>(
    '/assets/:file',
    async (request, reply) => {
      const asset = [style, script].find(({ path }) => path.endsWith(`/${request.params.file}`));
      if (asset === undefined) throw notFound();
      const { accent } = request.query;
      const colour = typeof accent === 'string' && asset === style ? parseAccent(accent) : null;
      if (colour === null) return send(reply, asset, request.headers['if-none-match']);
      const body = withAccent(style.body, colour);
      const etag = `"${createHash('sha256').update(body).digest('hex').slice(0, 16)}"`;
      return send(reply, { ...asset, body, etag }, request.headers['if-none-match']);
    },
  );
}

function send(
  reply: FastifyReply,
  asset: Pick<Asset, 'type' | 'etag'> & { body: string | Buffer },
  known: string | undefined,
) {
  reply.headers({
    'content-type': asset.type,
    etag: asset.etag,
    'cache-control': 'public, max-age=31536000, immutable',
  });
  return known === asset.etag ? reply.code(304).send() : reply.send(asset.body);
}
