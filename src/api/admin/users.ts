import { z } from 'zod';
import type { Clock } from '../../clock.ts';
import { userRoles } from '../../core/user.ts';
import { presentUser } from '../../present/users.ts';
import { listUsers } from '../../storage/operators/users.ts';
import type { Db } from '../../storage/schema.ts';
import { addUser, disable, resetPassword } from '../../users/accounts.ts';
import { passwordLinkPath } from '../../users/links.ts';
import { decodeCursor, pageFrom } from '../http/cursors.ts';
import { fieldError, notFound, serviceError } from '../http/errors.ts';
import {
  bodyErrors,
  commonErrors,
  cursorSchema,
  limitSchema,
  listOf,
  serviceErrorSchema,
} from '../merchant/schemas.ts';
import type { Api } from '../routes.ts';
import { userSchema } from './user-schemas.ts';

const tags = ['Users'];
const userPath = z.object({ user_id: z.string() });

const linkSchema = z
  .string()
  .describe('Opens the page on which a password is chosen: a path of this server, good once and for a day.');

/** Who may sign in: for operators. */
export function registerUserRoutes(api: Api, { db, clock }: { db: Db; clock: Clock }): void {
  api.route({
    method: 'GET',
    url: '/users/',
    schema: {
      tags,
      operationId: 'listUsers',
      summary: 'All users, oldest first, disabled ones included',
      querystring: z.strictObject({ limit: limitSchema, cursor: cursorSchema }),
      response: { ...commonErrors, 200: listOf(userSchema) },
    },
    handler: async (request) => {
      const { limit, cursor } = request.query;
      const offset = decodeCursor(cursor) ?? 0;
      const found = await listUsers(db, { offset, limit: limit + 1 });
      return pageFrom(found.map(presentUser), { offset, limit });
    },
  });

  api.route({
    method: 'POST',
    url: '/users/',
    schema: {
      tags,
      operationId: 'addUser',
      summary: 'Add a user, who chooses a password by the link',
      body: z.strictObject({
        name: z.string().min(1).max(64),
        role: z.enum(userRoles),
        merchant_id: z
          .string()
          .max(100)
          .nullable()
          .default(null)
          .describe('Whose objects alone they see; needed for the role `merchant`.'),
      }),
      response: { ...bodyErrors, 201: z.object({ user: userSchema, link: linkSchema }) },
    },
    handler: async (request, reply) => {
      const { name, role, merchant_id: merchantId } = request.body;
      const outcome = await addUser({ db, clock }, { name, role, merchantId, actor: request.actor });
      if (outcome.outcome === 'invalid') throw fieldError(outcome.field, outcome.fault);
      return reply.code(201).send({ user: presentUser(outcome.user), link: passwordLinkPath(outcome.token) });
    },
  });

  api.route({
    method: 'POST',
    url: '/users/:user_id/reset-password/',
    schema: {
      tags,
      operationId: 'resetPassword',
      summary: 'A link by which a user chooses a new password',
      params: userPath,
      body: z
        .strictObject({
          without_totp: z
            .boolean()
            .default(false)
            .describe('Also takes the authenticator app away, for a phone that is lost.'),
        })
        .optional(),
      response: { ...bodyErrors, 200: z.object({ user: userSchema, link: linkSchema }) },
    },
    handler: async (request) => {
      const { user_id: userId } = request.params;
      const wish = { userId, withoutTotp: request.body?.without_totp ?? false, actor: request.actor };
      const reset = await resetPassword({ db, clock }, wish);
      if (reset === null) throw notFound();
      return { user: presentUser(reset.user), link: passwordLinkPath(reset.token) };
    },
  });

  api.route({
    method: 'DELETE',
    url: '/users/:user_id/',
    schema: {
      tags,
      operationId: 'disableUser',
      summary: 'Disable a user for ever; their sessions end',
      params: userPath,
      response: { ...commonErrors, 200: z.object({}), 409: serviceErrorSchema },
    },
    handler: async (request) => {
      const wish = { userId: request.params.user_id, actor: request.actor };
      const outcome = await disable({ db, clock }, wish);
      switch (outcome) {
        case 'disabled':
          return {};
        case 'not_found':
          throw notFound();
        case 'last_operator':
          throw serviceError(409, 'not_removable', 'This is the last operator: add another one first.');
        default:
          return outcome satisfies never;
      }
    },
  });
}
