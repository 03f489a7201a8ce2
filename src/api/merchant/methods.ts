import { z } from 'zod';
import type { Clock } from '../../clock.ts';
import type { Config } from '../../config.ts';
import type { Asset, Currency } from '../../core/assets.ts';
import { describeSkew, skewLimits } from '../../core/chain-time.ts';
import type { FiatCode } from '../../core/fiat.ts';
import type { Network } from '../../core/networks.ts';
import { quarantineStart } from '../../core/pool.ts';
import { presentTiers } from '../../present/chains.ts';
import type { Offer, ProviderDesk } from '../../providers/desk.ts';
import type { Rates } from '../../rates/rates.ts';
import { chainUnavailable, readChains } from '../../storage/chains/chains.ts';
import { readClockSkews } from '../../storage/chains/clock.ts';
import { type DatabaseTime, databaseTime } from '../../storage/database.ts';
import { countFreeAddresses } from '../../storage/pool/addresses.ts';
import { hasActiveAddress } from '../../storage/pool/counts.ts';
import { countDerivable } from '../../storage/pool/derived-pools.ts';
import type { Db } from '../../storage/schema.ts';
import type { Api } from '../routes.ts';
import { offerFor } from './create-charge.ts';
import { commonErrors, countSchema, currencySchema, listOf, networkSchema, tiersSchema } from './schemas.ts';

/** Counting stops here: more free addresses than this make no difference to anybody. */
const mostCounted = 10_000;

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

export type MethodRouteDeps = {
  db: Db;
  config: Pick<Config, 'chains' | 'payments'>;
  clock: Clock;
  /** For tests, whose time is their own. */
  timeOf?: DatabaseTime;
  rates: Rates;
  providers: ProviderDesk;
};

/** Everything the configuration offers, and whether the merchant can be paid with it now. */
export function registerMethodRoutes(api: Api, deps: MethodRouteDeps): void {
  const { db, config, clock, timeOf = databaseTime, rates, providers } = deps;
  api.route({
    method: 'GET',
    url: '/methods/',
    schema: {
      tags: ['Methods'],
      operationId: 'listMethods',
      summary: 'What customers can pay with now',
      response: { ...commonErrors, 200: listOf(methodSchema) },
    },
    handler: async (request) => {
      const now = clock();
      const releasedBefore =
        config.payments.quarantine === 'strict' ? quarantineStart(config.payments, now) : now;
      const chains = await readChains(db);
      const readNow = await timeOf(db, clock);
      const skews = await readClockSkews(db, clock, timeOf);
      const methods: z.output<typeof methodSchema>[] = [];
      for (const chain of Object.values(config.chains)) {
        if (!chain.enabled) continue;
        const { network } = chain;
        const state = chains.find((candidate) => candidate.network === network) ?? null;
        const skewed = describeSkew(skews.get(network) ?? null, skewLimits.refuseMs);
        const chainReason = chainUnavailable(state, readNow) ?? skewed;
        const { merchantId } = request;
        const shared = await countFreeAddresses(
          db,
          { merchantId, network, currency: null },
          releasedBefore,
          mostCounted,
        );
        for (const asset of chain.assets) {
          const pool = { merchantId, network, currency: asset.currency };
          const own = await countFreeAddresses(db, pool, releasedBefore, mostCounted);
          const derivable = await countDerivable(db, pool);
          const free = Math.min(mostCounted, own + shared + derivable);
          const reason = chainReason ?? (await poolReason(pool, free)) ?? rateReason(asset);
          methods.push({
            network,
            chain: chain.name,
            currency: asset.currency,
            confirmations: chain.requiredConfirmations,
            confirmation_tiers: presentTiers(chain),
            available: reason === null,
            reason,
            free_addresses: free,
          });
        }
      }
      for (const offer of providers.offers()) {
        if (offerFor(providers, offer.name, request.merchantId) === null) continue;
        for (const currency of offer.currencies) methods.push(methodOf(offer, currency));
      }
      return { data: methods, next_cursor: null };
    },
  });

  /** A provider needs no addresses and has no confirmations. */
  function methodOf(offer: Offer, currency: FiatCode): z.output<typeof methodSchema> {
    const reason = offer.trouble ?? (rates.usdPer(currency) === null ? 'no trustworthy rate' : null);
    return {
      network: offer.name as Network,
      chain: offer.label,
      currency: currency.toLowerCase() as Currency,
      confirmations: 0,
      confirmation_tiers: [],
      available: reason === null,
      reason,
      free_addresses: 0,
    };
  }

  async function poolReason(
    pool: Parameters<typeof hasActiveAddress>[1],
    free: number,
  ): Promise<string | null> {
    if (free > 0) return null;
    return (await hasActiveAddress(db, pool))
      ? 'every receive address is held by a pending payment'
      : 'no receive address';
  }

  function rateReason(asset: Asset): string | null {
    return rates.quote(asset.coin) === null ? 'no trustworthy rate' : null;
  }
}
