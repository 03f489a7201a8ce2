import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Clock } from '../../clock.ts';
import type { Config } from '../../config.ts';
import { hashPaymentToken } from '../../storage/payments/numbers.ts';
import { spend } from '../http/auth.ts';
import { createLimiter } from '../http/limits.ts';

/** What a page's token looks like: 32 random bytes. */
const tokenPattern = /^[A-Za-z0-9_-]{43}$/;

/** Many payers may share a network address; nobody needs as many requests of one page. */
const pagesPerAddress = 5;

/** The token of a request for a payer's page, counted against the limits; null where it can open nothing. */
export type ReadToken = (request: FastifyRequest, reply: FastifyReply) => string | null;

export function createReadToken({ config, clock }: { config: Config; clock: Clock }): ReadToken {
  const { requestsPerSecond } = config.checkout;
  const byToken = createLimiter({ perSecond: requestsPerSecond, clock });
  const byAddress = createLimiter({ perSecond: requestsPerSecond * pagesPerAddress, clock });
  return (request, reply) => {
    spend(byAddress, `address ${request.ip}`, reply);
    const { token } = request.params as { token: string };
    if (!tokenPattern.test(token)) return null;
    // Before anything is read, and known to nobody but who has it.
    spend(byToken, hashPaymentToken(token), reply);
    return token;
  };
}
