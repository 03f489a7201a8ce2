import type { Clock } from '../clock.ts';
import type { AddressKey } from '../core/address.ts';
import type { Network } from '../core/networks.ts';
import type { ChainState } from '../storage/chains/chains.ts';
import { nativeMattersAbove } from '../storage/payments/payments.ts';
import type { Db, Trx } from '../storage/schema.ts';
import type { AssetsInUse, ReadFor } from './assets-in-use.ts';
import type { Span, Watchlist } from './source.ts';
import type { TableWatchlist } from './watchlist.ts';

/*
 * What a step asks a node for is decided before it asks, and the answer is committed afterwards. A payment that another process
 * creates in between is either paid in later blocks, which the next step reads, or this answer is thrown away and the node is
 * asked once more.
 */

/** What one poll asks a node for. */
export type ReadScope = {
  readFor: ReadFor;
  /** Transfers to these addresses; null: to every watched address. */
  inUse: ReadonlySet<AddressKey> | null;
  /** Nothing above this height. */
  upTo: number;
  /** Whether to read whole blocks too, for transfers of the native coin. */
  native: boolean;
};

export type ReadScopeDeps = {
  db: Db;
  network: Network;
  watch: Pick<TableWatchlist, keyof Watchlist | 'refresh' | 'inUse'>;
  assetsInUse: AssetsInUse;
  clock: Clock;
};

/** While the cursor's block is younger than this, ms, only addresses in use are asked for. Older blocks are read for all of them. */
const currentMs = 2 * 60_000;

/** @param overtaken whether a payment was created while the last answer was on its way. */
export async function decideReadScope(
  { db, network, watch, assetsInUse, clock }: ReadScopeDeps,
  { cursor, head }: Pick<ChainState, 'cursor' | 'head'>,
  overtaken: boolean,
): Promise<ReadScope> {
  // After the head was fixed and before a node is asked: an address added later was locked after this head.
  await watch.refresh(db);
  const readFor = await assetsInUse.read();
  const isCurrent = clock() - cursor.time * 1000 < currentMs;
  // Also while catching up: the call makes sure that each of them is watched.
  const used = await watch.inUse(db, clock());
  const inUse = isCurrent ? used : null;
  // Blocks above the known head may be mined after a payment that is created now. They are read at once, because isOvertaken
  // notices such a payment; where it just has, the next answer ends at the head, so that it cannot be overtaken again.
  const known = inUse === null || overtaken ? head.height : Number.POSITIVE_INFINITY;
  // After an outage the blocks are older than the clock says: what came soon in the chain's time is not missed.
  const above = await nativeMattersAbove(db, network, Math.min(clock(), cursor.time * 1000));
  const native = above !== null && above <= cursor.height;
  // What lies below the first payment that can be paid in the coin is read as fast as the rest.
  const upTo = above !== null && !native ? Math.min(above, known) : known;
  return { readFor, inUse, upTo, native };
}

/**
 * Whether a payment was created after the node was asked, which blocks of this answer may pay and which was not asked for.
 * Called in the transaction that commits the answer: a payment that is created after it is paid in later blocks.
 */
export async function isOvertaken(
  trx: Trx,
  { network, watch, assetsInUse, clock }: ReadScopeDeps,
  { young, to }: Pick<Span, 'young' | 'to'>,
  { readFor, inUse, native }: ReadScope,
): Promise<boolean> {
  if (await assetsInUse.isOvertaken(trx, readFor)) return true;
  // Every block of the answer was mined before the node was asked, or every address was asked for.
  if (young !== true || inUse === null) return false;
  for (const key of await watch.inUse(trx, clock())) if (!inUse.has(key)) return true;
  if (native) return false;
  const above = await nativeMattersAbove(trx, network, clock());
  return above !== null && above < to.height;
}
