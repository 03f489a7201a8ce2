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
    if (owner === null) {
      throw detailError(
        401,
        key === undefined
          ? 'No API key: send yours in the X-API-Key header.'
          : 'The API key is unknown or revoked.',
      );
    }
    request.merchantId = owner.merchantId;
  };
}

/** Counts a request against an open route's limit, by network address. */
export function createOpenLimit(limiter: Limiter) {
  return async (request: FastifyRequest, reply: FastifyReply) =>
    spend(limiter, `address ${request.ip}`, reply);
}

/** Only the operator's token opens these routes. Wrong ones are counted, so that guessing takes for ever. */
export function createAdminAuth({
  adminToken,
  limiter,
}: {
  adminToken: string;
  limiter: Limiter;
}): onRequestAsyncHookHandler {
  const expected = digest(`Bearer ${adminToken}`);
  return async (request, reply) => {
    if (isOperator(request, expected)) return;
    spend(limiter, `admin ${request.ip}`, reply);
    throw detailError(401, 'Send the admin token: Authorization: Bearer <token>.', {
      'www-authenticate': 'Bearer',
    });
  };
}

function isOperator(request: FastifyRequest, expected: Buffer): boolean {
  const given = request.headers.authorization ?? '';
  // Digests have one length and tell nothing of where two texts differ.
  return timingSafeEqual(digest(given.replace(/^bearer +/i, 'Bearer ')), expected);
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function spend(limiter: Limiter, caller: string, reply: FastifyReply): void {
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
