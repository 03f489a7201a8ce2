import type { FastifyRequest, onRequestAsyncHookHandler } from 'fastify';
import type { Clock } from '../../clock.ts';
import type { SignedIn } from '../../storage/operators/user-sessions.ts';
import type { Db } from '../../storage/schema.ts';
import { actorOf, isCsrfToken, resumeSession } from '../../users/sign-in.ts';
import { createTokenCheck, spend, tokenFault } from '../http/auth.ts';
import { detailError, notFound } from '../http/errors.ts';
import type { Limiter } from '../http/limits.ts';
import { readCookie, setCookie } from './cookie.ts';

/**
 * Who may use a route of the operator's API besides operators: nobody (a route that says nothing), except that viewers of
 * all merchants read; `merchant`: whoever belongs to the merchant, viewers only to read; `self`: whoever is signed in;
 * `anyone`: also who is not.
 */
export type Access = 'merchant' | 'self' | 'anyone';

declare module 'fastify' {
  interface FastifyContextConfig {
    access?: Access;
  }
  interface FastifyRequest {
    /** Who asks, for the audit log. */
    actor: string;
    /** Whose objects alone may be seen; null: everybody's. */
    onlyMerchant: string | null;
    /** Null for a machine with the token. */
    session: SignedIn | null;
  }
}

const reading = new Set(['GET', 'HEAD']);

/**
 * Opens the operator's API to the admin token and to the cookie of a session. A change with a cookie also needs what only
 * a page of ours can know; wrong tokens are counted, so that guessing takes for ever.
 */
export function createAccess(
  deps: { db: Db; clock: Clock },
  { adminToken, limiter }: { adminToken: string; limiter: Limiter },
): onRequestAsyncHookHandler {
  const hasToken = createTokenCheck(adminToken);
  return async (request, reply) => {
    const { access } = request.routeOptions.config;
    if (hasToken(request)) {
      request.actor = 'admin';
      return;
    }
    const cookie = readCookie(request);
    const session = cookie === null ? null : await resumeSession(deps, cookie);
    if (session === null || cookie === null) {
      spend(limiter, `admin ${request.ip}`, reply);
      if (access === 'anyone') return refuseOtherOrigin(request);
      if (cookie === null) throw detailError(401, tokenFault(request), { 'www-authenticate': 'Bearer' });
      setCookie(request, reply, null);
      throw detailError(401, 'This session has ended: sign in again.');
    }
    spend(limiter, `user ${session.userId}`, reply);
    setCookie(request, reply, cookie);
    request.session = session;
    request.actor = actorOf(session.name);
    request.onlyMerchant = session.merchantId;
    if (!reading.has(request.method)) refuseForged(request, cookie);
    refuseOthers(request, session, access);
  };
}

/** A page elsewhere can make a browser send its cookie; it cannot read the token that belongs to it. */
function refuseForged(request: FastifyRequest, cookie: string): void {
  refuseOtherOrigin(request);
  const given = request.headers['x-csrf-token'];
  if (typeof given === 'string' && isCsrfToken(given, cookie)) return;
  throw detailError(
    403,
    'A change needs the X-CSRF-Token of the session, as GET /admin/v1/session/ answers it.',
  );
}

function refuseOtherOrigin({ headers, host }: FastifyRequest): void {
  const { origin } = headers;
  if (origin === undefined || (URL.canParse(origin) && new URL(origin).host === host)) return;
  throw detailError(403, 'This was sent by a page of another origin.');
}

function refuseOthers(request: FastifyRequest, { role, merchantId }: SignedIn, access?: Access): void {
  if (role === 'operator' || access === 'self' || access === 'anyone') return;
  const reads = reading.has(request.method);
  if (role === 'viewer' && !reads) throw detailError(403, 'You may look at this, but not change it.');
  if (role === 'viewer' && merchantId === null) return;
  if (access !== 'merchant') throw detailError(403, 'Only operators may do this.');
  const { merchant_id: asked } = request.params as { merchant_id?: string };
  if (asked !== undefined && asked !== merchantId) throw notFound();
}

/** @throws HttpError 404 for what belongs to another merchant than the one whose objects may be seen. */
export function refuseForeign({ onlyMerchant }: FastifyRequest, merchantId: string): void {
  if (onlyMerchant !== null && onlyMerchant !== merchantId) throw notFound();
}

/** Whose objects a list shows: the merchant that was asked for, if it may be seen. @throws HttpError 404. */
export function merchantOfList(request: FastifyRequest, asked: string | undefined): string | undefined {
  if (asked !== undefined) refuseForeign(request, asked);
  return asked ?? request.onlyMerchant ?? undefined;
}
