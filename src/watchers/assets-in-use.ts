import type { Clock } from '../clock.ts';
import type { ChainConfig } from '../config.ts';
import { writeAddress } from '../core/address.ts';
import type { Asset } from '../core/assets.ts';
import type { Logger } from '../log.ts';
import {
  findOpenAsset,
  listAssetsMadeSince,
  listOpenTokens,
  type PayableAsset,
} from '../storage/payments/assets-in-use.ts';
import type { Db, Trx } from '../storage/schema.ts';
import type { Tokens } from './source.ts';

/** What a chain is read for: `tokens` are those among the assets of `chain`. */
export type ReadFor = { chain: ChainConfig; tokens: Tokens };

/**
 * What a chain has to be read for: what it is configured for here, and what payments are in that a process with another
 * configuration made, as while an operator restarts one after the other.
 */
export type AssetsInUse = {
  /** As of now: what a payment was made in before this call is among it. */
  read(maxAgeMs?: number): Promise<ReadFor>;
  /**
   * Whether a payment is open, in the transaction that writes what was read, in a token that was not read. One that is made
   * later is paid in later blocks.
   */
  isOvertaken(trx: Trx, read: ReadFor): Promise<boolean>;
};

export type AssetsInUseDeps = { db: Db; chain: ChainConfig; clock: Clock; log: Logger };

/** Payments that ended at once, before anybody saw them open, are looked for this often, ms. */
const madeEveryMs = 60_000;

/** Of what was made longer ago than this, ms, only what is open matters to whoever comes to lead: it is read at once, however much it is. */
const lookBackMs = 60 * 60_000;

/** A payment is written so long after its time, ms, at most. */
const writtenWithinMs = 5 * 60_000;

/** Knows what was in use when it was made; what has come into use since it never forgets. */
export function createAssetsInUse({ db, chain, clock, log }: AssetsInUseDeps): AssetsInUse {
  const { network } = chain;
  let known: ReadFor = readFor(chain);
  let madeUpTo = clock();

  function add(asset: PayableAsset): void {
    if (known.chain.assets.some(({ token }) => token === asset.token)) return;
    const contract = asset.token === 'native' ? null : writeAddress(chain.family, asset.token);
    log.warn({ network, currency: asset.currency, contract }, 'token of another configuration watched');
    known = readFor({ ...known.chain, assets: [...known.chain.assets, withoutRate(asset)] });
  }

  async function addMade(maxAgeMs: number): Promise<void> {
    const now = clock();
    // Of a clock that was set back nobody knows how far.
    if (now >= madeUpTo && now - madeUpTo < maxAgeMs) return;
    const since = Math.max(Math.min(now, madeUpTo) - writtenWithinMs, now - lookBackMs);
    const made = await listAssetsMadeSince(db, network, since);
    for (const asset of made) add(asset);
    madeUpTo = now;
  }

  return {
    async read(maxAgeMs = madeEveryMs) {
      for (const token of await listOpenTokens(db, network)) {
        if (known.chain.assets.some((asset) => asset.token === token)) continue;
        const asset = await findOpenAsset(db, network, token);
        if (asset !== null) add(asset);
      }
      await addMade(maxAgeMs);
      return known;
    },
    async isOvertaken(trx, { tokens }) {
      const open = await listOpenTokens(trx, network);
      return open.some((token) => token !== 'native' && !tokens.has(token));
    },
  };
}

function readFor(chain: ChainConfig): ReadFor {
  return { chain, tokens: tokensOf(chain) };
}

/** What the tokens of a chain are to us, by the key of their contract. */
export function tokensOf({ assets }: Pick<ChainConfig, 'assets'>): Tokens {
  return new Map(
    assets.flatMap(({ token, currency }) => (token === 'native' ? [] : [[token, currency] as const])),
  );
}

export function isNativeTaken({ chain }: ReadFor): boolean {
  return chain.assets.some(({ token }) => token === 'native');
}

/** Nobody asks here for the price of what is not offered here. */
export function withoutRate(asset: PayableAsset): Asset {
  return { ...asset, rate: { peg: null, symbols: {} } };
}
