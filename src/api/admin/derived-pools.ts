import { z } from 'zod';
import { accountKeyPattern } from '../../core/account-key.ts';
import {
  changePoolLimit,
  createDerivedPool,
  type DerivedDeps,
  describeDerivedPools,
  endDerivedPool,
} from '../../pool/derived.ts';
import { presentDerivedPool } from '../../present/pools.ts';
import { fieldError, notFound } from '../http/errors.ts';
import {
  bodyErrors,
  commonErrors,
  countSchema,
  currencySchema,
  listOf,
  networkSchema,
  timeSchema,
} from '../merchant/schemas.ts';
import type { Api } from '../routes.ts';
import { merchantPath, requireMerchant, requireMerchantInUse, rowId } from './paths.ts';

const tags = ['Pool'];

const limitSchema = z
  .int()
  .min(0)
  .max(1_000_000)
  .describe('Most addresses; as many as were derived: no more are.');

const derivedPoolSchema = z.object({
  id: countSchema,
  network: networkSchema,
  currency: currencySchema.nullable().describe('Null: for every currency of its network.'),
  label: z.string(),
  key: z.string().describe('The beginning and the end of the public key.'),
  limit: countSchema,
  derived: countSchema,
  used: countSchema.describe('Derived addresses that something ever reached.'),
  skipped: countSchema.describe('Indexes passed over, because their addresses were listed by hand.'),
  longest_gap: countSchema.describe('The longest row of indexes that nothing reached.'),
  warning: z.string().nullable().describe("When the wallet's gap limit must be raised."),
  created_at: timeSchema,
});

/** Pools whose addresses are derived from an account's public key. */
export function registerDerivedPoolRoutes(api: Api, deps: DerivedDeps): void {
  const { db } = deps;

  api.route({
    method: 'GET',
    url: '/merchants/:merchant_id/derived-pools/',
    config: { access: 'merchant' },
    schema: {
      tags,
      operationId: 'listDerivedPools',
      summary: "A merchant's derived pools",
      params: merchantPath,
      response: { ...commonErrors, 200: listOf(derivedPoolSchema) },
    },
    handler: async (request) => {
      const merchant = await requireMerchant(db, request.params.merchant_id);
      return { data: await describe(merchant.id), next_cursor: null };
    },
  });

  api.route({
    method: 'POST',
    url: '/merchants/:merchant_id/derived-pools/',
    config: { access: 'merchant' },
    schema: {
      tags,
      operationId: 'addDerivedPool',
      summary: 'Derive addresses from an extended public key',
      description:
        'The addresses m/0/i below the account key, each derived when a payment finds none free. Never a private key.',
      params: merchantPath,
      body: z.strictObject({
        network: networkSchema,
        currency: currencySchema.optional(),
        label: z.string().max(1_000).default(''),
        xpub: z.string().max(1_000).meta({ pattern: accountKeyPattern.source }),
        limit: limitSchema.min(1).optional(),
        confirm_first: z
          .string()
          .max(200)
          .optional()
          .describe(
            'The first address as the wallet shows it. Required for a key that is not where wallets have accounts.',
          ),
      }),
      response: {
        ...bodyErrors,
        201: derivedPoolSchema.extend({
          first_addresses: z.array(z.string()).describe('Compare them with your wallet.'),
        }),
      },
    },
    handler: async (request, reply) => {
      const { id: merchantId } = await requireMerchantInUse(db, request.params.merchant_id);
      const { network, currency = '', label, xpub, limit = null } = request.body;
      const outcome = await createDerivedPool(deps, {
        ...{ merchantId, network, currency, label, xpub, limit },
        confirmFirst: request.body.confirm_first,
        actor: request.actor,
      });
      if ('error' in outcome) throw fieldError(outcome.field, outcome.error);
      return reply.code(201).send({
        ...(await describeOne(merchantId, outcome.pool.id)),
        first_addresses: outcome.firstAddresses,
      });
    },
  });

  api.route({
    method: 'PATCH',
    url: '/merchants/:merchant_id/derived-pools/:pool_id/',
    config: { access: 'merchant' },
    schema: {
      tags,
      operationId: 'changeDerivedPool',
      summary: 'Change how many addresses a derived pool may have',
      params: merchantPath.extend({ pool_id: z.string() }),
      body: z.strictObject({ limit: limitSchema }),
      response: { ...bodyErrors, 200: derivedPoolSchema },
    },
    handler: async (request) => {
      const { id: merchantId } = await requireMerchant(db, request.params.merchant_id);
      const poolId = rowId(request.params.pool_id);
      const { limit } = request.body;
      if (!(await changePoolLimit(deps, { merchantId, poolId, limit, actor: request.actor })))
        throw notFound();
      return describeOne(merchantId, poolId);
    },
  });

  api.route({
    method: 'DELETE',
    url: '/merchants/:merchant_id/derived-pools/:pool_id/',
    config: { access: 'merchant' },
    schema: {
      tags,
      operationId: 'removeDerivedPool',
      summary: 'Take a derived pool out of use',
      description:
        'Nothing more is derived, and what was derived is retired: payments that hold an address go on, no further one gets it.',
      params: merchantPath.extend({ pool_id: z.string() }),
      response: {
        ...commonErrors,
        200: z.object({
          id: countSchema,
          retired: countSchema.describe('Addresses that were active.'),
          held: countSchema.describe('Those of them that a pending payment holds.'),
        }),
      },
    },
    handler: async (request) => {
      const { id: merchantId } = await requireMerchant(db, request.params.merchant_id);
      const poolId = rowId(request.params.pool_id);
      const removed = await endDerivedPool(deps, { merchantId, poolId, actor: request.actor });
      if (removed === null) throw notFound();
      return { id: poolId, ...removed };
    },
  });

  async function describeOne(merchantId: string, id: number): Promise<z.output<typeof derivedPoolSchema>> {
    const found = (await describe(merchantId)).find((pool) => pool.id === id);
    if (found === undefined) throw notFound();
    return found;
  }

  async function describe(merchantId: string): Promise<z.output<typeof derivedPoolSchema>[]> {
    return (await describeDerivedPools(db, merchantId)).map(presentDerivedPool);
  }
}
