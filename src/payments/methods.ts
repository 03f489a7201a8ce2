import type { Clock } from '../clock.ts';
import type { ChainConfig, Config } from '../config.ts';
import type { Asset, Currency } from '../core/assets.ts';
import { describeSkew, skewLimits } from '../core/chain-time.ts';
import type { FiatCode } from '../core/fiat.ts';
import type { Network } from '../core/networks.ts';
import { heldBackText, quarantineStart } from '../core/pool.ts';
import type { Rates } from '../rates/rates.ts';
import { chainUnavailable, readChains } from '../storage/chains/chains.ts';
import { readClockSkews } from '../storage/chains/clock.ts';
import { type DatabaseTime, databaseTime } from '../storage/database.ts';
import { countFreeAddresses } from '../storage/pool/addresses.ts';
import { hasActiveAddress } from '../storage/pool/counts.ts';
import { countDerivable } from '../storage/pool/derived-pools.ts';
import { findHoldOf, readHold } from '../storage/pool/holds.ts';
import type { Pool } from '../storage/pool/locks.ts';
import type { Db } from '../storage/schema.ts';

/** Counting stops here: more free addresses than this make no difference to anybody. */
export const mostCounted = 10_000;

/** Why nothing can be paid in this way now, `kind` for programs and `text` for the shop. */
export type MethodTrouble = { kind: 'chain' | 'no_address' | 'held' | 'rate' | 'provider'; text: string };

/** A way to pay that the configuration offers a merchant. */
export type OfferedMethod = {
  network: Network;
  currency: Currency;
  /** The name people read of the chain, or of the provider. */
  name: string;
  /** Null for a fiat provider. */
  onchain: { chain: ChainConfig; asset: Asset; freeAddresses: number } | null;
  trouble: MethodTrouble | null;
};

/** A fiat provider, as far as it is a way to pay. */
export type ProviderOffer = {
  name: string;
  label: string;
  currencies: readonly FiatCode[];
  trouble: string | null;
};

export type MethodDeps = {
  db: Db;
  config: Pick<Config, 'chains' | 'payments'>;
  clock: Clock;
  /** For tests, whose time is their own. */
  timeOf?: DatabaseTime;
  rates: Rates;
};

/** Everything the configuration offers, and whether the merchant can be paid with it now. */
export async function listMethods(
  { db, config, clock, timeOf = databaseTime, rates }: MethodDeps,
  merchantId: string,
  offers: readonly ProviderOffer[],
): Promise<OfferedMethod[]> {
  const now = clock();
  const releasedAfter =
    config.payments.quarantine === 'strict' ? quarantineStart(config.payments, now) : null;
  const hold = await readHold(db, now);
  const quarantine = { releasedAfter, heldBackUpTo: hold?.lastAddressId ?? 0 };
  const chains = await readChains(db);
  const readNow = await timeOf(db, clock);
  const skews = await readClockSkews(db, clock, timeOf);
  const methods: OfferedMethod[] = [];
  for (const chain of Object.values(config.chains)) {
    if (!chain.enabled) continue;
    const { network } = chain;
    const state = chains.find((candidate) => candidate.network === network) ?? null;
    const skewed = describeSkew(skews.get(network) ?? null, skewLimits.refuseMs);
    const unavailable = chainUnavailable(state, readNow) ?? skewed;
    const anyCurrency = { merchantId, network, currency: null };
    const shared = await countFreeAddresses(db, anyCurrency, quarantine, mostCounted);
    for (const asset of chain.assets) {
      const pool = { merchantId, network, currency: asset.currency };
      const own = await countFreeAddresses(db, pool, quarantine, mostCounted);
      const derivable = await countDerivable(db, pool);
      const freeAddresses = Math.min(mostCounted, own + shared + derivable);
      const trouble =
        unavailable === null
          ? ((await poolTrouble(db, pool, { free: freeAddresses, now })) ??
            rateTrouble(rates.quote(asset.coin) !== null))
          : ({ kind: 'chain', text: unavailable } as const);
      const onchain = { chain, asset, freeAddresses };
      methods.push({ network, currency: asset.currency, name: chain.name, onchain, trouble });
    }
  }
  for (const { name, label, currencies, trouble } of offers) {
    for (const currency of currencies) {
      methods.push({
        network: name as Network,
        currency: currency.toLowerCase() as Currency,
        name: label,
        onchain: null,
        trouble:
          trouble === null
            ? rateTrouble(rates.usdPer(currency) !== null)
            : { kind: 'provider', text: trouble },
      });
    }
  }
  return methods;
}

async function poolTrouble(
  db: Db,
  pool: Pool,
  { free, now }: { free: number; now: number },
): Promise<MethodTrouble | null> {
  if (free > 0) return null;
  if (!(await hasActiveAddress(db, pool))) return { kind: 'no_address', text: 'no receive address' };
  const hold = await findHoldOf(db, pool, now);
  if (hold !== null) return { kind: 'held', text: heldBackText(hold.until) };
  return { kind: 'held', text: 'every receive address is held by a pending payment' };
}

function rateTrouble(isPriced: boolean): MethodTrouble | null {
  return isPriced ? null : { kind: 'rate', text: 'no trustworthy rate' };
}
