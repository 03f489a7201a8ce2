import { z } from 'zod';
import { listMethods, type MethodDeps, mostCounted, type OfferedMethod } from '../../payments/methods.ts';
import { presentTiers } from '../../present/chains.ts';
import type { ProviderDesk } from '../../providers/desk.ts';
import type { Api } from '../routes.ts';
import { offersFor } from './create-charge.ts';
import { commonErrors, countSchema, currencySchema, listOf, networkSchema, tiersSchema } from './schemas.ts';

const methodSchema = z.object({
  network: networkSchema,
  chain: z.string().meta({ example: 'BNB Smart Chain' }),
  currency: currencySchema,
  confirmations: countSchema.describe('How many confirm a payment.'),
  confirmation_tiers: tiersSchema,
  available: z.boolean().describe('Whether a payment can be created now.'),
  reason: z.string().nullable().describe('Why not.'),
  free_addresses: countSchema.describe(`Counted up to ${mostCounted}; those that can be derived are free.`),
});

export type MethodRouteDeps = MethodDeps & { providers: ProviderDesk };

/** Everything the configuration offers, and whether the merchant can be paid with it now. */
export function registerMethodRoutes(api: Api, deps: MethodRouteDeps): void {
  api.route({
    method: 'GET',
    url: '/methods/',
    schema: {
      tags: ['Methods'],
      operationId: 'listMethods',
      summary: 'What customers can pay with now',
      response: { ...commonErrors, 200: listOf(methodSchema) },
    },
    handler: async ({ merchantId }) => {
      const methods = await listMethods(deps, merchantId, offersFor(deps.providers, merchantId));
      return { data: methods.map(presentMethod), next_cursor: null };
    },
  });
}

/** A provider needs no addresses and has no confirmations. */
function presentMethod({
  network,
  currency,
  name,
  onchain,
  trouble,
}: OfferedMethod): z.output<typeof methodSchema> {
  return {
    network,
    chain: name,
    currency,
    confirmations: onchain?.chain.requiredConfirmations ?? 0,
    confirmation_tiers: onchain === null ? [] : presentTiers(onchain.chain),
    available: trouble === null,
    reason: trouble?.text ?? null,
    free_addresses: onchain?.freeAddresses ?? 0,
  };
}
