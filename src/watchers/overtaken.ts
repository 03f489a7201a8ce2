import type { Clock } from '../clock.ts';
import type { AddressKey } from '../core/address.ts';
import type { Network } from '../core/networks.ts';
import { nativeMattersAbove } from '../storage/payments/payments.ts';
import type { Trx } from '../storage/schema.ts';
import type { AssetsInUse, ReadFor } from './assets-in-use.ts';
import type { CheckedSpan } from './commit.ts';
import type { TableWatchlist } from './watchlist.ts';

/*
 * A step decides what to ask a node for before it asks, and writes down what it was told afterwards. A payment that another process
 * made in between is either paid in later blocks, or makes the step ask once more.
 */

/** What a node was asked for: `inUse` null where that was every address. */
export type AskedFor = { readFor: ReadFor; inUse: ReadonlySet<AddressKey> | null };

export type OvertakenDeps = {
  network: Network;
  watch: Pick<TableWatchlist, 'inUse'>;
  assetsInUse: AssetsInUse;
  clock: Clock;
};

/**
 * Whether a payment was made after the node was asked that blocks of this answer may pay, and could not be asked for.
 * Whatever is mined after a later one is not in the answer. Asked in the transaction that writes it.
 */
export async function isOvertaken(
  trx: Trx,
  { network, watch, assetsInUse, clock }: OvertakenDeps,
  { young, native, to }: Pick<CheckedSpan, 'young' | 'native' | 'to'>,
  { readFor, inUse }: AskedFor,
): Promise<boolean> {
  if (await assetsInUse.isOvertaken(trx, readFor)) return true;
  // All blocks of the others were there before the node was asked.
  if (young !== true || inUse === null) return false;
  for (const key of await watch.inUse(trx, clock())) if (!inUse.has(key)) return true;
  if (native) return false;
  const above = await nativeMattersAbove(trx, network, clock());
  return above !== null && above < to.height;
}
