import { z } from 'zod';
import type { Clock } from '../../clock.ts';
import { presentKey, presentMerchant } from '../../present/merchants.ts';
import { inTransaction } from '../../storage/database.ts';
import { recordAudit } from '../../storage/operators/audit.ts';
import {
  addApiKey,
  addMerchant,
  listKeys,
  listMerchants,
  revokeKey,
} from '../../storage/operators/merchants.ts';
import type { Db } from '../../storage/schema.ts';
import { notFound } from '../http/errors.ts';
import {
  bodyErrors,
  commonErrors,
  listOf,
  plainText,
  refusePrivateKey,
  timeSchema,
} from '../merchant/schemas.ts';
import type { Api } from '../routes.ts';
import { isId, merchantPath, requireMerchant } from './paths.ts';

const tags = ['Merchants'];

const merchantSchema = z.object({ id: z.string(), name: z.string(), created_at: timeSchema });

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
      summary: 'All merchants, oldest first',
      response: { ...commonErrors, 200: listOf(merchantSchema) },
    },
    handler: async () => ({ data: (await listMerchants(db)).map(presentMerchant), next_cursor: null }),
  });

  api.route({
    method: 'POST',
    url: '/merchants/',
    schema: {
      tags,
      operationId: 'addMerchant',
      summary: 'Add a merchant, with a first API key',
      body: z.strictObject({
        name: plainText(200)
          .refine((name) => name.trim() !== '', 'expected a name')
          .superRefine(refusePrivateKey),
      }),
      response: { ...bodyErrors, 201: z.object({ id: z.string(), name: z.string(), api_key: shownOnce }) },
    },
    handler: async (request, reply) => {
      const { name } = request.body;
      const at = clock();
      const { merchant, secret } = await inTransaction(db, async (trx) => {
        const merchant = await addMerchant(trx, { name, at });
        const { apiKey, secret } = await addApiKey(trx, { merchantId: merchant.id, at });
        const detail = { name, key: apiKey.id, prefix: apiKey.prefix };
        await recordAudit(trx, {
          at,
          actor: 'admin',
          action: 'merchant.added',
          subject: merchant.id,
          detail,
        });
        return { merchant, secret };
      });
      return reply.code(201).send({ id: merchant.id, name: merchant.name, api_key: secret });
    },
  });

  api.route({
    method: 'GET',
    url: '/merchants/:merchant_id/',
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
    method: 'GET',
    url: '/merchants/:merchant_id/api-keys/',
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
    schema: {
      tags,
      operationId: 'addApiKey',
      summary: 'Add an API key',
      params: merchantPath,
      body: z.strictObject({}).optional(),
      response: { ...bodyErrors, 201: apiKeySchema.extend({ api_key: shownOnce }) },
    },
    handler: async (request, reply) => {
      const merchant = await requireMerchant(db, request.params.merchant_id);
      const at = clock();
      const { apiKey, secret } = await inTransaction(db, async (trx) => {
        const added = await addApiKey(trx, { merchantId: merchant.id, at });
        const detail = { key: added.apiKey.id, prefix: added.apiKey.prefix };
        await recordAudit(trx, { at, actor: 'admin', action: 'key.added', subject: merchant.id, detail });
        return added;
      });
      return reply.code(201).send({ ...presentKey(apiKey), api_key: secret });
    },
  });

  api.route({
    method: 'DELETE',
    url: '/merchants/:merchant_id/api-keys/:key_id/',
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
      const at = clock();
      const revoked = await inTransaction(db, async (trx) => {
        const key = await revokeKey(trx, { id, merchantId, at });
        if (key === null) return null;
        const detail = { key: key.id, prefix: key.prefix };
        await recordAudit(trx, { at, actor: 'admin', action: 'key.revoked', subject: merchantId, detail });
        return key;
      });
      if (revoked === null) throw notFound();
      return presentKey(revoked);
    },
  });
}
