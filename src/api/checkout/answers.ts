import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Assets } from '../../checkout/assets.ts';
import { noBrand } from '../../checkout/brand.ts';
import { renderNotice } from '../../checkout/document.ts';
import { chooseLanguage, type Language, messagesIn } from '../../checkout/languages/languages.ts';
import type { Logger } from '../../log.ts';
import { isStorageFault } from '../../storage/faults.ts';
import { createErrorHandler, HttpError } from '../http/errors.ts';

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

/** What all pages of a service share. */
export type Site = { assets: Assets; embedOrigins: readonly string[] };

/** One page for every path and token that opens nothing. */
export function sendNotFound(reply: FastifyReply, language: Language, { assets, embedOrigins }: Site) {
  const { notFound } = messagesIn(language);
  return pageHeaders(reply, embedOrigins)
    .code(404)
    .send(renderNotice({ language, assets, brand: noBrand }, notFound));
}

/**
 * What went wrong, as a page where a browser asked for one, else in the API's own shapes. Only our own faults are logged,
 * and nothing that a payer sent.
 */
export function createPageErrors(log: Logger, { assets, embedOrigins }: Site) {
  const answerJson = createErrorHandler(log);
  return async (error: unknown, request: FastifyRequest, reply: FastifyReply) => {
    if (!request.headers.accept?.includes('text/html')) return answerJson(error, request, reply);
    const language = languageOf(request, '');
    const words = messagesIn(language);
    const status =
      error instanceof HttpError ? error.statusCode : isStorageFault(error) ? 503 : statusOf(error);
    const headers = error instanceof HttpError ? error.headers : status === 503 ? { 'retry-after': '5' } : {};
    if (status >= 500) {
      const fields = { err: error, method: request.method, route: request.routeOptions.url ?? null };
      if (status === 503) log.warn(fields, 'request failed: storage unavailable');
      else log.error(fields, 'request failed');
    }
    const notice =
      status === 404
        ? words.notFound
        : status === 429
          ? words.tooMany
          : status >= 500
            ? words.unavailable
            : words.badRequest;
    const page = renderNotice({ language, assets, brand: noBrand }, notice);
    return pageHeaders(reply, embedOrigins).code(status).headers(headers).send(page);
  };
}

function statusOf(error: unknown): number {
  const { statusCode } = error as { statusCode?: unknown };
  return typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500 ? statusCode : 500;
}
