import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyReply, FastifyRequest, onRequestAsyncHookHandler } from 'fastify';
import { findMerchantByKeyHash, hashApiKey } from '../../storage/operators/merchants.ts';
import type { Db } from '../../storage/schema.ts';
import { detailError } from './errors.ts';
import type { Limiter } from './limits.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Whose key the request carries; empty on routes without a key. */
    merchantId: string;
  }
}

const keyPattern = /^pk_[0-9a-f]{64}$/;

/**
 * Every request must carry a live key, which also says whose objects it may see. Requests are counted per
 * key, those without a valid one per network address: nobody can use up a merchant's allowance from outside.
 */
export function createMerchantAuth({ db, limiter }: { db: Db; limiter: Limiter }): onRequestAsyncHookHandler {
  return async (request, reply) => {
    const key = request.headers['x-api-key'];
    const owner =
      typeof key === 'string' && keyPattern.test(key)
        ? await findMerchantByKeyHash(db, hashApiKey(key))
        : null;
    spend(limiter, owner === null ? `address ${request.ip}` : `key ${owner.keyId}`, reply);
    if (owner === null) throw detailError(401, keyFault(request));
    request.merchantId = owner.merchantId;
  };
}

/** What is wrong with the key of a request that has no valid one. Repeats nothing of what was sent. */
function keyFault({ headers }: FastifyRequest): string {
  const key = headers['x-api-key'];
  if (key === undefined) {
    return headers.authorization === undefined
      ? 'No API key: send yours in the X-API-Key header.'
      : 'No API key: it is sent in the X-API-Key header, not in Authorization.';
  }
  if (typeof key === 'string' && keyPattern.test(key)) {
    return 'This API key is unknown or was revoked. Whoever runs depositd can add another: depositd key add.';
  }
  return 'This is not an API key: expected pk_ and 64 digits of 0-9 and a-f, as it was shown when it was made.';
}

/** Counts a request against an open route's limit, by network address. */
export function createOpenLimit(limiter: Limiter) {
  return async (request: FastifyRequest, reply: FastifyReply) =>
    spend(limiter, `address ${request.ip}`, reply);
}

/** Whether a request carries the operator's token. */
export function createTokenCheck(adminToken: string): (request: FastifyRequest) => boolean {
  const expected = digest(`Bearer ${adminToken}`);
  return ({ headers }) => {
    const given = (headers.authorization ?? '').replace(/^bearer +/i, 'Bearer ');
    // Digests have one length and tell nothing of where two texts differ.
    return timingSafeEqual(digest(given), expected);
  };
}

/** What is wrong with a request that does not carry the admin token. Repeats nothing of what was sent. */
export function tokenFault({ headers }: FastifyRequest): string {
  const given = headers.authorization ?? '';
  if (given === '' && headers['x-api-key'] === undefined) {
    return 'No admin token: send Authorization: Bearer and the adminToken of the configuration.';
  }
  if (given === '' || /^bearer +pk_/i.test(given)) {
    return 'A merchant’s API key does not open this: send Authorization: Bearer and the adminToken of the configuration.';
  }
  return /^bearer +\S/i.test(given)
    ? 'This is not the admin token: expected the adminToken of the configuration.'
    : 'Authorization is not as expected: send Bearer, a space, and the adminToken of the configuration.';
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

/** Counts a request of this caller; too many are refused. */
export function spend(limiter: Limiter, caller: string, reply: FastifyReply): void {
  const allowance = limiter(caller);
  reply.headers({
    'x-ratelimit-limit': String(allowance.limit),
    'x-ratelimit-remaining': String(allowance.remaining),
    'x-ratelimit-reset': String(allowance.resetSeconds),
  });
  if (allowance.retryAfterSeconds !== null) {
    throw detailError(429, 'Too many requests.', { 'retry-after': String(allowance.retryAfterSeconds) });
  }
}
