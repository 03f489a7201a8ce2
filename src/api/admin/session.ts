import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Clock } from '../../clock.ts';
import { sessionIdleMs } from '../../core/user.ts';
import { presentSession, presentUser } from '../../present/users.ts';
import { inTransaction } from '../../storage/database.ts';
import { endSession, listSessions, type SignedIn } from '../../storage/operators/user-sessions.ts';
import { getUser } from '../../storage/operators/users.ts';
import type { Db } from '../../storage/schema.ts';
import { changePassword, setUp } from '../../users/accounts.ts';
import type { Attempts } from '../../users/attempts.ts';
import { isHashingBusy } from '../../users/password.ts';
import { csrfTokenOf, signIn, signOut, type Unseal } from '../../users/sign-in.ts';
import { detailError, fieldError, notFound, serviceError } from '../http/errors.ts';
import { bodyErrors, commonErrors, detailSchema, listOf, serviceErrorSchema } from '../merchant/schemas.ts';
import type { Api } from '../routes.ts';
import { readCookie, setCookie } from './cookie.ts';
import { givenPassword, sessionSchema, userSchema } from './user-schemas.ts';

const tags = ['Users'];

export const signedInSchema = z.object({
  user: userSchema.nullable().describe('Null for the admin token.'),
  csrf_token: z.string().nullable().describe('To be sent as `X-CSRF-Token` with every change.'),
});

/** Answers who has just signed in, and sets their cookie. */
export type BeginSession = ReturnType<typeof createBeginSession>['begin'];

export function createBeginSession(db: Db) {
  async function signedIn(session: SignedIn, token: string): Promise<z.output<typeof signedInSchema>> {
    const user = await getUser(db, session.userId);
    return { user: user === null ? null : presentUser(user), csrf_token: csrfTokenOf(token) };
  }

  /** The browser's session from before ends: what somebody else may have put there opens nothing. */
  async function begin(
    request: FastifyRequest,
    reply: FastifyReply,
    begun: { token: string; session: SignedIn },
  ) {
    if (request.session !== null) await signOut({ db }, request.session);
    setCookie(request, reply, begun.token);
    return signedIn(begun.session, begun.token);
  }

  return { begin, signedIn };
}

export type SessionDeps = { db: Db; clock: Clock; attempts: Attempts; secrets: { unseal: Unseal } };

/** Signing in and out, and what users do with their own sessions and password. */
export function registerSessionRoutes(api: Api, { db, clock, attempts, secrets }: SessionDeps): void {
  const signing = { db, clock, attempts, unseal: secrets.unseal };

  const { begin, signedIn } = createBeginSession(db);

  api.route({
    method: 'GET',
    url: '/session/',
    config: { access: 'self' },
    schema: {
      tags,
      operationId: 'readSession',
      summary: 'Who is signed in',
      response: { ...commonErrors, 200: signedInSchema },
    },
    handler: async (request) => {
      const cookie = readCookie(request);
      if (request.session === null || cookie === null) return { user: null, csrf_token: null };
      return signedIn(request.session, cookie);
    },
  });

  api.route({
    method: 'POST',
    url: '/session/',
    config: { access: 'anyone' },
    schema: {
      tags,
      security: [],
      operationId: 'signIn',
      summary: 'Sign in; the answer sets the cookie of the session',
      body: z.strictObject({
        name: z.string().max(64),
        password: givenPassword,
        code: z
          .string()
          .max(40)
          .optional()
          .describe('Of the authenticator app, or a recovery code, where one is asked for.'),
      }),
      response: { ...bodyErrors, 200: signedInSchema, 401: z.union([detailSchema, serviceErrorSchema]) },
    },
    handler: async (request, reply) => {
      const { name, password, code = null } = request.body;
      const from = { address: request.ip, agent: request.headers['user-agent'] ?? '' };
      const outcome = await signIn(signing, { name, password, code, ...from });
      switch (outcome.outcome) {
        case 'signed_in':
          return begin(request, reply, outcome);
        case 'refused':
          throw detailError(401, 'The name or the password is wrong.');
        case 'code_required':
          throw serviceError(401, 'code_required', 'Now the code of your authenticator app.');
        case 'code_refused':
          throw detailError(
            401,
            'This code is not right, or was used before. Wait for the next one, or use a recovery code.',
          );
        case 'too_many':
          throw detailError(429, 'Too many attempts failed. Try again later.', {
            'retry-after': String(outcome.seconds),
          });
        default:
          return outcome satisfies never;
      }
    },
  });

  api.route({
    method: 'DELETE',
    url: '/session/',
    config: { access: 'self' },
    schema: {
      tags,
      operationId: 'signOut',
      summary: 'Sign out',
      response: { ...commonErrors, 200: z.object({}) },
    },
    handler: async (request, reply) => {
      if (request.session !== null) await signOut({ db }, request.session);
      setCookie(request, reply, null);
      return {};
    },
  });

  api.route({
    method: 'POST',
    url: '/setup/',
    config: { access: 'anyone' },
    schema: {
      tags,
      security: [],
      operationId: 'setUpUser',
      summary: 'Choose a password with the link that was printed or handed out; it is good once',
      body: z.strictObject({
        link: z.string().min(1).max(100),
        name: z.string().min(1).max(64).optional().describe("The first operator's, who has none yet."),
        password: givenPassword,
      }),
      response: { ...bodyErrors, 200: signedInSchema },
    },
    handler: async (request, reply) => {
      const { link, name = null, password } = request.body;
      // Of this address alone: failures from everywhere would keep everybody out.
      const account = `link from ${request.ip}`;
      const wait = attempts.wait(account, request.ip);
      if (wait !== null) throw detailError(429, 'Too many attempts failed.', { 'retry-after': String(wait) });
      if (isHashingBusy()) throw detailError(429, 'Too many attempts at once.', { 'retry-after': '5' });
      const from = { address: request.ip, agent: request.headers['user-agent'] ?? '' };
      const outcome = await attempts.count(account, request.ip, async (attempt) => {
        const set = await setUp({ db, clock }, { link, name, password, ...from });
        if (set.outcome === 'done') attempt.succeeded();
        if (set.outcome === 'invalid') attempt.takeBack();
        return set;
      });
      switch (outcome.outcome) {
        case 'done':
          if (outcome.begun === null) return { user: null, csrf_token: null };
          return begin(request, reply, outcome.begun);
        case 'invalid':
          throw fieldError(outcome.field, outcome.fault);
        case 'link_over':
          throw fieldError('link', 'this link was used, or its time is over: ask for another');
        default:
          return outcome satisfies never;
      }
    },
  });

  api.route({
    method: 'POST',
    url: '/session/password/',
    config: { access: 'self' },
    schema: {
      tags,
      operationId: 'changePassword',
      summary: "Change one's own password; all other sessions end",
      body: z.strictObject({ password: givenPassword, new_password: givenPassword }),
      response: { ...bodyErrors, 200: z.object({}) },
    },
    handler: async (request) => {
      const { password, new_password: wanted } = request.body;
      if (request.session === null) throw notFound();
      const fault = await changePassword({ db, clock, attempts }, request.session, { password, wanted });
      if (fault !== null) throw fieldError(fault.field, fault.fault);
      return {};
    },
  });

  api.route({
    method: 'GET',
    url: '/sessions/',
    config: { access: 'self' },
    schema: {
      tags,
      operationId: 'listSessions',
      summary: "One's own sessions, last seen first",
      response: { ...commonErrors, 200: listOf(sessionSchema) },
    },
    handler: async ({ session }) => {
      const found = session === null ? [] : await listSessions(db, session.userId, clock() - sessionIdleMs);
      return { data: found.map((one) => presentSession(one, session?.id ?? null)), next_cursor: null };
    },
  });

  api.route({
    method: 'DELETE',
    url: '/sessions/:session_id/',
    config: { access: 'self' },
    schema: {
      tags,
      operationId: 'endSession',
      summary: "End one of one's own sessions",
      params: z.object({ session_id: z.string() }),
      response: { ...commonErrors, 200: z.object({}) },
    },
    handler: async ({ session, params }) => {
      const ended =
        session !== null &&
        (await inTransaction(db, (trx) => endSession(trx, session.userId, params.session_id)));
      if (!ended) throw notFound();
      return {};
    },
  });
}
