import { z } from 'zod';
import type { Config } from '../../config.ts';
import { quarantineStart } from '../../core/pool.ts';
import { checkAndAddAddresses, type ImportDeps } from '../../pool/import.ts';
import { presentAddress } from '../../present/pools.ts';
import { listAddresses } from '../../storage/pool/addresses.ts';
import { readQuarantine } from '../../storage/pool/holds.ts';
import { decodeCursor, encodeCursor } from '../http/cursors.ts';
import {
  bodyErrors,
  commonErrors,
  countSchema,
  currencySchema,
  cursorSchema,
  limitSchema,
  listOf,
  networkSchema,
  requireCurrency,
  requireNetwork,
  timeSchema,
} from '../merchant/schemas.ts';
import type { Api } from '../routes.ts';
import { merchantPath, requireMerchant, requireMerchantInUse } from './paths.ts';

const tags = ['Pool'];

export const addressSchema = z.object({
  id: countSchema,
  network: networkSchema,
  address: z.string(),
  currency: currencySchema.nullable().describe('Null: for every currency of its network.'),
  label: z.string(),
  source: z.enum(['static', 'derived']),
  derived_pool_id: countSchema.nullable(),
  derivation_index: countSchema.nullable().describe('Of m/0/index below the key of its pool.'),
  state: z
    .enum(['free', 'held', 'quarantined', 'retired'])
    .describe(
      'As it is counted in its pool. `quarantined`: let go by a payment a short time ago, or held back because payments may have been lost.',
    ),
  active: z.boolean(),
  held: z.boolean().describe('By a pending payment.'),
  created_at: timeSchema,
});

const resultSchema = z.object({
  address: z.string(),
  status: z.enum(['added', 'valid', 'refused']).describe('`valid`: with `dry_run`, it would be added.'),
  reason: z.string().nullable(),
  id: countSchema.nullable(),
});

export type AddressRouteDeps = ImportDeps & { config: Pick<Config, 'payments'> };

/** The receive addresses of merchants. */
export function registerAddressRoutes(api: Api, deps: AddressRouteDeps): void {
  const { db } = deps;

  api.route({
    method: 'GET',
    url: '/merchants/:merchant_id/addresses/',
    config: { access: 'merchant' },
    schema: {
      tags,
      operationId: 'listAddresses',
      summary: "A merchant's receive addresses, in the order they were added",
      params: merchantPath,
      querystring: z.strictObject({
        network: networkSchema.optional(),
        limit: limitSchema,
        cursor: cursorSchema,
      }),
      response: { ...commonErrors, 200: listOf(addressSchema) },
    },
    handler: async (request) => {
      const merchant = await requireMerchant(db, request.params.merchant_id);
      const { network = null, limit, cursor } = request.query;
      const afterId = decodeCursor(cursor) ?? 0;
      const found = await listAddresses(db, { merchantId: merchant.id, network, afterId, limit: limit + 1 });
      const page = found.slice(0, limit);
      const now = deps.clock();
      const quarantine = await readQuarantine(db, quarantineStart(deps.config.payments, now), now);
      return {
        data: page.map((address) => presentAddress(address, quarantine)),
        next_cursor: encodeCursor(found.length > limit ? (page.at(-1)?.id ?? null) : null),
      };
    },
  });

  api.route({
    method: 'POST',
    url: '/merchants/:merchant_id/addresses/',
    config: { access: 'merchant' },
    schema: {
      tags,
      operationId: 'addAddresses',
      summary: 'Add receive addresses',
      description:
        'Each is checked for itself: refused ones are named with their reason, the others are added. Those without a checksum (all in small letters) are added with a warning: compare them with your wallet.',
      params: merchantPath,
      body: z.strictObject({
        network: networkSchema,
        currency: currencySchema.optional(),
        addresses: z.array(z.string().max(200)).min(1).max(10_000),
        allow_contract: z
          .boolean()
          .default(false)
          .describe(
            'Whether addresses that are contracts are added, too, such as wallets of several owners.',
          ),
        dry_run: z
          .boolean()
          .default(false)
          .describe('Says what would be added and what refused, and changes nothing.'),
      }),
      response: {
        ...bodyErrors,
        200: z.object({
          added: countSchema,
          valid: countSchema.optional().describe('With `dry_run`: how many would be added.'),
          refused: countSchema,
          results: z.array(resultSchema),
          warnings: z
            .array(z.string())
            .optional()
            .describe('What could not be checked, or is unusual; absent when there is nothing.'),
        }),
      },
    },
    handler: async (request) => {
      const merchant = await requireMerchantInUse(db, request.params.merchant_id);
      const { network, currency = '', addresses, allow_contract, dry_run } = request.body;
      // A name that is wrong is so for every address: it is the field that is refused, as with a derived pool.
      requireNetwork(network, deps.config.chains);
      if (currency !== '') requireCurrency(currency, deps.config.chains);
      const { warnings, valid, ...summary } = await checkAndAddAddresses(deps, {
        merchantId: merchant.id,
        rows: addresses.map((address) => ({ network, address, currency, label: '' })),
        actor: request.actor,
        allowContract: allow_contract,
        dryRun: dry_run,
      });
      return {
        ...summary,
        ...(dry_run ? { valid } : {}),
        ...(warnings.length === 0 ? {} : { warnings }),
      };
    },
  });
}
