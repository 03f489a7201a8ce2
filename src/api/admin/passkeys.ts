import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { presentPasskey } from '../../present/users.ts';
import { listPasskeys } from '../../storage/operators/passkeys.ts';
import type { SignedIn } from '../../storage/operators/user-sessions.ts';
import { createPasskeys, type PasskeyDeps, type Place } from '../../users/passkeys.ts';
import { detailError, fieldError, notFound } from '../http/errors.ts';
import { bodyErrors, commonErrors, filledText, listOf, timeSchema } from '../merchant/schemas.ts';
import type { Api } from '../routes.ts';
import { type BeginSession, signedInSchema } from './session.ts';
import { givenPassword } from './user-schemas.ts';

const tags = ['Users'];

const passkeySchema = z.object({
  id: z.string(),
  name: z.string(),
  created_at: timeSchema,
  used_at: timeSchema.nullable(),
});

const optionsSchema = z.record(z.string(), z.unknown());

const optionsOf = 'For `PublicKeyCredential.parse…OptionsFromJSON` of a browser. Good for five minutes.';

const credential = z
  .record(z.string(), z.unknown())
  .describe('What `toJSON()` of the browser’s answer gives.');

/** Keys in users' devices: made by whoever is signed in, and enough to sign in. */
export function registerPasskeyRoutes(api: Api, deps: PasskeyDeps, begin: BeginSession): void {
  const { db } = deps;
  const passkeys = createPasskeys(deps);

  api.route({
    method: 'GET',
    url: '/session/passkeys/',
    config: { access: 'self' },
    schema: {
      tags,
      operationId: 'listPasskeys',
      summary: "One's own passkeys, oldest first",
      response: { ...commonErrors, 200: listOf(passkeySchema) },
    },
    handler: async ({ session }) => {
      const found = session === null ? [] : await listPasskeys(db, session.userId);
      return { data: found.map(presentPasskey), next_cursor: null };
    },
  });

  api.route({
    method: 'POST',
    url: '/session/passkeys/',
    config: { access: 'self' },
    schema: {
      tags,
      operationId: 'newPasskey',
      summary: 'Ask a device for a passkey; it counts once its answer was sent back',
      description: optionsOf,
      body: z.strictObject({}).optional(),
      response: { ...bodyErrors, 200: optionsSchema },
    },
    handler: async (request) => ({ ...(await passkeys.beginAdding(sessionOf(request), placeOf(request))) }),
  });

  api.route({
    method: 'PUT',
    url: '/session/passkeys/',
    config: { access: 'self' },
    schema: {
      tags,
      operationId: 'addPasskey',
      summary: 'Sign in with this passkey from now on, too',
      body: z.strictObject({
        password: givenPassword,
        code: z
          .string()
          .max(40)
          .default('')
          .describe('Of the authenticator app, or a recovery code, where signing in asks for one.'),
        name: filledText(60, 'expected a name').describe('To know the device by.'),
        credential,
      }),
      response: { ...bodyErrors, 200: passkeySchema },
    },
    handler: async (request) => {
      const outcome = await passkeys.add(sessionOf(request), request.body, placeOf(request));
      if ('fault' in outcome) throw fieldError(outcome.field, outcome.fault);
      return presentPasskey(outcome);
    },
  });

  api.route({
    method: 'POST',
    url: '/session/passkeys/remove/',
    config: { access: 'self' },
    schema: {
      tags,
      operationId: 'removePasskey',
      summary: 'Take a passkey out of use',
      body: z.strictObject({ password: givenPassword, id: z.string().max(2_000) }),
      response: { ...bodyErrors, 200: z.object({}) },
    },
    handler: async (request) => {
      const outcome = await passkeys.remove(sessionOf(request), request.body);
      if (outcome === 'not_found') throw notFound();
      if (outcome !== 'removed') throw fieldError(outcome.field, outcome.fault);
      return {};
    },
  });

  api.route({
    method: 'POST',
    url: '/session/passkey/',
    config: { access: 'anyone' },
    schema: {
      tags,
      security: [],
      operationId: 'beginPasskeySignIn',
      summary: 'Ask a device to sign in with a passkey',
      description: optionsOf,
      body: z.strictObject({}).optional(),
      response: { ...bodyErrors, 200: optionsSchema },
    },
    handler: async (request) => ({ ...passkeys.beginSignIn(placeOf(request)) }),
  });

  api.route({
    method: 'PUT',
    url: '/session/passkey/',
    config: { access: 'anyone' },
    schema: {
      tags,
      security: [],
      operationId: 'signInWithPasskey',
      summary: 'Sign in; the answer sets the cookie of the session',
      body: z.strictObject({ credential }),
      response: { ...bodyErrors, 200: signedInSchema },
    },
    handler: async (request, reply) => {
      const from = { address: request.ip, agent: request.headers['user-agent'] ?? '' };
      const outcome = await passkeys.signIn({ ...request.body, ...from }, placeOf(request));
      switch (outcome.outcome) {
        case 'signed_in':
          return begin(request, reply, outcome);
        case 'refused':
          throw detailError(401, 'This passkey is not known here, or was not verified. Try again.');
        case 'too_many':
          throw detailError(429, 'Too many attempts failed. Try again later.', {
            'retry-after': String(outcome.seconds),
          });
        default:
          return outcome satisfies never;
      }
    },
  });
}

/** A page names its origin with every change, and one of another host was refused before: see access.ts. */
function placeOf({ headers, hostname, protocol, host }: FastifyRequest): Place {
  return { origin: headers.origin ?? `${protocol}://${host}`, rpId: hostname };
}

/** @throws HttpError 404: a machine with the token has no account. */
function sessionOf({ session }: FastifyRequest): SignedIn {
  if (session === null) throw notFound();
  return session;
}
