import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Clock } from '../../clock.ts';
import type { SignedIn } from '../../storage/operators/user-sessions.ts';
import type { Db } from '../../storage/schema.ts';
import type { Attempts } from '../../users/attempts.ts';
import { addSecondFactor, removeSecondFactor } from '../../users/second-factor.ts';
import type { Unseal } from '../../users/sign-in.ts';
import { newTotpSecret, totpUri } from '../../users/totp.ts';
import { fieldError, notFound } from '../http/errors.ts';
import { bodyErrors } from '../merchant/schemas.ts';
import type { Api } from '../routes.ts';
import { givenPassword } from './user-schemas.ts';

const tags = ['Users'];

export type SecondFactorDeps = {
  db: Db;
  clock: Clock;
  attempts: Attempts;
  secrets: { seal(secret: string, subject: string): string; unseal: Unseal };
};

/** An authenticator app beside the password: of whoever is signed in, for themselves. */
export function registerSecondFactorRoutes(
  api: Api,
  { db, clock, attempts, secrets }: SecondFactorDeps,
): void {
  api.route({
    method: 'POST',
    url: '/session/totp/',
    config: { access: 'self' },
    schema: {
      tags,
      operationId: 'newSecondFactor',
      summary: 'A secret for an authenticator app; it counts only once a code of it was sent back',
      body: z.strictObject({}).optional(),
      response: {
        ...bodyErrors,
        200: z.object({ secret: z.string(), uri: z.string().describe('For a QR code.') }),
      },
    },
    handler: async (request) => {
      const { name } = sessionOf(request);
      const secret = newTotpSecret();
      return { secret, uri: totpUri(secret, { issuer: `depositd (${request.hostname})`, name }) };
    },
  });

  api.route({
    method: 'PUT',
    url: '/session/totp/',
    config: { access: 'self' },
    schema: {
      tags,
      operationId: 'addSecondFactor',
      summary: 'Ask for a code of this authenticator app at every sign-in from now on',
      body: z.strictObject({
        password: givenPassword,
        secret: z.string().regex(/^[A-Z2-7]{32}$/, 'expected the secret as it was answered'),
        code: z.string().max(20),
      }),
      response: {
        ...bodyErrors,
        200: z.object({
          recovery_codes: z.array(z.string()).describe('Shown this once. Each opens the account once.'),
        }),
      },
    },
    handler: async (request) => {
      const outcome = await addSecondFactor(
        { db, clock, attempts, seal: secrets.seal },
        sessionOf(request),
        request.body,
      );
      if ('fault' in outcome) throw fieldError(outcome.field, outcome.fault);
      return { recovery_codes: outcome.recoveryCodes };
    },
  });

  api.route({
    method: 'POST',
    url: '/session/totp/remove/',
    config: { access: 'self' },
    schema: {
      tags,
      operationId: 'removeSecondFactor',
      summary: 'Ask for the password alone again',
      body: z.strictObject({
        password: givenPassword,
        code: z.string().max(40).describe('Of the authenticator app, or a recovery code.'),
      }),
      response: { ...bodyErrors, 200: z.object({}) },
    },
    handler: async (request) => {
      const fault = await removeSecondFactor(
        { db, clock, attempts, unseal: secrets.unseal },
        sessionOf(request),
        request.body,
      );
      if (fault !== null) throw fieldError(fault.field, fault.fault);
      return {};
    },
  });
}

/** @throws HttpError 404: a machine with the token has no account. */
function sessionOf({ session }: FastifyRequest): SignedIn {
  if (session === null) throw notFound();
  return session;
}
