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
 * The assets that a chain is read for: those of this process's configuration, and those of payments that a process with another
 * configuration created, such as while an operator restarts several processes one after the other.
 */
export type AssetsInUse = {
  /** The asset of every payment created before this call is among them. `maxAgeMs`: how old the list of ended ones may be. */
  read(maxAgeMs?: number): Promise<ReadFor>;
  /**
   * Whether a payment is open in a token that `read` does not have. Asked in the transaction that commits what was read: a payment
   * created after it is paid in later blocks.
   */
  isOvertaken(trx: Trx, read: ReadFor): Promise<boolean>;
};

export type AssetsInUseDeps = { db: Db; chain: ChainConfig; clock: Clock; log: Logger };

/** How often to look for payments that were created and ended between two reads, ms. */
const madeEveryMs = 60_000;

/** A process that becomes the leader looks for ended payments no further back than this, ms: they are read in one statement. */
const lookBackMs = 60 * 60_000;

/** A payment is committed within this time, ms, of the `created_at` that it has. */
const writtenWithinMs = 5 * 60_000;

/** Begins with the assets of `chain`. What it has found in use since it keeps until the process ends. */
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
    // Where the clock was set back it looks at once.
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

/** Without a price source: what is not offered here is not quoted here. */
export function withoutRate(asset: PayableAsset): Asset {
  return { ...asset, rate: { peg: null, symbols: {} } };
}
