import type { FastifyRequest } from 'fastify';
import { detailError, unsupportedMediaType } from '../http/errors.ts';
import type { Api } from '../routes.ts';

/** Largest form of a payer's, bytes: a token's choice, or an explorer's link. */
const formLimit = 8 * 1024;

/** Reads what browsers send of a form, in this scope alone: each field once, and nothing else. */
export function acceptForms(api: Api): void {
  api.removeAllContentTypeParsers();
  api.addContentTypeParser(
    'application/x-www-form-urlencoded',
    { parseAs: 'string', bodyLimit: formLimit },
    async (_request: unknown, body: string) => parseForm(body),
  );
  api.addContentTypeParser(
    '*',
    { parseAs: 'buffer', bodyLimit: formLimit },
    async (_request: unknown, body: Buffer) => {
      if (body.length > 0) throw unsupportedMediaType();
    },
  );
}

/** @throws HttpError 400 for a field that comes twice. */
function parseForm(text: string): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(text)) {
    if (fields.has(name)) throw detailError(400, 'A field is repeated.');
    fields.set(name, value);
  }
  return fields;
}

/** One field of a form; empty where it is not there. */
export function fieldOf({ body }: FastifyRequest, name: string): string {
  return body instanceof Map ? ((body as Map<string, string>).get(name) ?? '') : '';
}

/**
 * Refuses a form that another site has sent. The token in the path is the secret that only the payer's page knows; this
 * also stops a page that has got hold of a link. A page without a referrer sends `Origin: null`, which says nothing.
 *
 * @throws HttpError 403.
 */
export function refuseForeign({ headers }: FastifyRequest, publicUrl: string): void {
  const site = headers['sec-fetch-site'];
  const { origin } = headers;
  const foreignSite = typeof site === 'string' && site !== 'same-origin' && site !== 'none';
  const foreignOrigin = origin !== undefined && origin !== 'null' && origin !== new URL(publicUrl).origin;
  if (foreignSite || (foreignOrigin && site === undefined))
    throw detailError(403, 'The form is of another site.');
}
