import { z } from 'zod';
import type { Clock } from '../../clock.ts';
import {
  issueKey,
  namesakeWarning,
  registerMerchant,
  removeMerchant,
  withdrawKey,
} from '../../payments/merchants.ts';
import { presentKey, presentMerchant } from '../../present/merchants.ts';
import { listKeys, listMerchants } from '../../storage/operators/merchants.ts';
import type { Db } from '../../storage/schema.ts';
import { decodeCursor, pageFrom } from '../http/cursors.ts';
import { notFound, serviceError } from '../http/errors.ts';
import {
  bodyErrors,
  commonErrors,
  cursorSchema,
  filledText,
  limitSchema,
  listOf,
  refusePrivateKey,
  serviceErrorSchema,
  timeSchema,
} from '../merchant/schemas.ts';
import type { Api } from '../routes.ts';
import { isId, merchantPath, requireMerchant, requireMerchantInUse } from './paths.ts';

const tags = ['Merchants'];

const merchantSchema = z.object({
  id: z.string(),
  name: z.string(),
  created_at: timeSchema,
  removed_at: timeSchema.nullable(),
});

const apiKeySchema = z.object({
  id: z.string(),
  merchant_id: z.string(),
  prefix: z.string().describe('The first characters, to recognise it by.'),
  created_at: timeSchema,
  revoked_at: timeSchema.nullable(),
});

const shownOnce = z.string().describe('Shown this once.');

/** Merchants and the keys they call the API with. */
export function registerMerchantRoutes(api: Api, { db, clock }: { db: Db; clock: Clock }): void {
  api.route({
    method: 'GET',
    url: '/merchants/',
    schema: {
      tags,
      operationId: 'listMerchants',
      summary: 'All merchants, oldest first, removed ones included',
      querystring: z.strictObject({ limit: limitSchema, cursor: cursorSchema }),
      response: { ...commonErrors, 200: listOf(merchantSchema) },
    },
    handler: async (request) => {
      const { limit, cursor } = request.query;
      const offset = decodeCursor(cursor) ?? 0;
      const found = await listMerchants(db, { offset, limit: limit + 1 });
      return pageFrom(found.map(presentMerchant), { offset, limit });
    },
  });

  api.route({
    method: 'POST',
    url: '/merchants/',
    schema: {
      tags,
      operationId: 'addMerchant',
      summary: 'Add a merchant, with a first API key',
      body: z.strictObject({
        name: filledText(200, 'expected a name').superRefine(refusePrivateKey),
      }),
      response: {
        ...bodyErrors,
        201: z.object({
          id: z.string(),
          name: z.string(),
          api_key: shownOnce,
          warnings: z.array(z.string()).optional().describe('What a careful operator should look at.'),
        }),
      },
    },
    handler: async (request, reply) => {
      const { name } = request.body;
      const { merchant, secret, namesake } = await registerMerchant(
        { db, clock },
        { name, actor: request.actor },
      );
      return reply.code(201).send({
        id: merchant.id,
        name: merchant.name,
        api_key: secret,
        ...(namesake === null ? {} : { warnings: [namesakeWarning(namesake)] }),
      });
    },
  });

  api.route({
    method: 'GET',
    url: '/merchants/:merchant_id/',
    config: { access: 'merchant' },
    schema: {
      tags,
      operationId: 'retrieveMerchant',
      summary: 'One merchant',
      params: merchantPath,
      response: { ...commonErrors, 200: merchantSchema },
    },
    handler: async (request) => presentMerchant(await requireMerchant(db, request.params.merchant_id)),
  });

  api.route({
    method: 'DELETE',
    url: '/merchants/:merchant_id/',
    schema: {
      tags,
      operationId: 'removeMerchant',
      summary: 'Take a merchant out of use',
      description:
        'Its keys are revoked, its addresses retired, its derived pools and webhook endpoints removed, its users disabled; what was paid stays in the books. Refused while a payment is open, and with anything but keys unless `force` is `true`.',
      params: merchantPath,
      querystring: z.strictObject({ force: z.enum(['true', 'false']).default('false') }),
      response: { ...commonErrors, 200: merchantSchema, 409: serviceErrorSchema },
    },
    handler: async (request) => {
      const { id: merchantId } = await requireMerchantInUse(db, request.params.merchant_id);
      const force = request.query.force === 'true';
      const removal = await removeMerchant({ db, clock }, { merchantId, force, actor: request.actor });
      switch (removal.outcome) {
        case 'removed':
          return presentMerchant(removal.merchant);
        case 'not_found':
          throw notFound();
        case 'not_removable':
          throw serviceError(409, 'not_removable', `The merchant was not removed: ${removal.why}.`);
        default:
          return removal satisfies never;
      }
    },
  });

  api.route({
    method: 'GET',
    url: '/merchants/:merchant_id/api-keys/',
    config: { access: 'merchant' },
    schema: {
      tags,
      operationId: 'listApiKeys',
      summary: "A merchant's API keys, revoked ones included",
      params: merchantPath,
      response: { ...commonErrors, 200: listOf(apiKeySchema) },
    },
    handler: async (request) => {
      const merchant = await requireMerchant(db, request.params.merchant_id);
      return { data: (await listKeys(db, merchant.id)).map(presentKey), next_cursor: null };
    },
  });

  api.route({
    method: 'POST',
    url: '/merchants/:merchant_id/api-keys/',
    config: { access: 'merchant' },
    schema: {
      tags,
      operationId: 'addApiKey',
      summary: 'Add an API key',
      params: merchantPath,
      body: z.strictObject({}).optional(),
      response: { ...bodyErrors, 201: apiKeySchema.extend({ api_key: shownOnce }) },
    },
    handler: async (request, reply) => {
      const merchant = await requireMerchantInUse(db, request.params.merchant_id);
      const owner = { merchantId: merchant.id, actor: request.actor };
      const { apiKey, secret } = await issueKey({ db, clock }, owner);
      return reply.code(201).send({ ...presentKey(apiKey), api_key: secret });
    },
  });

  api.route({
    method: 'DELETE',
    url: '/merchants/:merchant_id/api-keys/:key_id/',
    config: { access: 'merchant' },
    schema: {
      tags,
      operationId: 'revokeApiKey',
      summary: 'Revoke an API key, at once',
      params: merchantPath.extend({ key_id: z.string() }),
      response: { ...commonErrors, 200: apiKeySchema },
    },
    handler: async (request) => {
      const { merchant_id: merchantId, key_id: id } = request.params;
      if (!isId(merchantId) || !isId(id)) throw notFound();
      const revoked = await withdrawKey({ db, clock }, { id, merchantId, actor: request.actor });
      if (revoked === null) throw notFound();
      return presentKey(revoked);
    },
  });
}
