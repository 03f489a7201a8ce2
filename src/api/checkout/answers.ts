import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Assets } from '../../checkout/assets.ts';
import { noBrand } from '../../checkout/brand.ts';
import { renderNotice } from '../../checkout/document.ts';
import { chooseLanguage, type Language, messagesIn } from '../../checkout/languages/languages.ts';

/**
 * What a payer's page may do: load from here what it names, and nothing else. Only the origins of `checkout.embedOrigins`
 * may show it in a frame.
 */
export function pageHeaders(reply: FastifyReply, embedOrigins: readonly string[]): FastifyReply {
  const ancestors = embedOrigins.length === 0 ? "'none'" : embedOrigins.join(' ');
  const policy = [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    `frame-ancestors ${ancestors}`,
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ];
  // The older header knows no list of origins: where there is one, the policy alone decides.
  if (embedOrigins.length > 0) reply.removeHeader('x-frame-options');
  return reply.headers({
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': policy.join('; '),
    'referrer-policy': 'no-referrer',
    'cache-control': 'no-store',
    'x-robots-tag': 'noindex',
    'permissions-policy': 'clipboard-write=(self)',
  });
}

/** In the language that the payer asked for, the shop said, or the browser prefers. */
export function languageOf(request: FastifyRequest, locale: string): Language {
  const query = (request.query as { lang?: unknown }).lang;
  return chooseLanguage({ query, locale, acceptLanguage: request.headers['accept-language'] });
}

/** One page for every token that opens nothing. */
export function sendNotFound(reply: FastifyReply, shell: { language: Language; assets: Assets }) {
  const { notFound } = messagesIn(shell.language);
  return pageHeaders(reply, [])
    .code(404)
    .send(renderNotice({ ...shell, brand: noBrand }, notFound));
}
