import { type Clock, steadyClock } from '../clock.ts';
import { recheckPaceMs } from '../config/chain.ts';
import type { ChainConfig } from '../config.ts';
import { doubled } from '../core/backoff.ts';
import type { BlockRef } from '../core/chain.ts';
import { deepEnoughHeight } from '../core/confirmations.ts';
import type { Logger } from '../log.ts';
import { type ChainState, findAnchorFrom } from '../storage/chains/chains.ts';
import { readRecheckMark } from '../storage/chains/recheck-marks.ts';
import { inTransaction } from '../storage/database.ts';
import { findHighestSeen, hasSeenDeposit } from '../storage/deposits/waiting.ts';
import type { Db } from '../storage/schema.ts';
import { isAlone } from './agreement/ask.ts';
import { createFinalizedAgreement } from './agreement/finalized.ts';
import { commitFinalized } from './commit.ts';
import { settledHeight } from './confirmations.ts';
import type { ChainSource } from './source.ts';
import type { TableWatchlist } from './watchlist.ts';

/*
 * How far the chain is final: when that is asked for, and when it is agreed upon.
 */

/** Where nothing waits for it, nodes are asked how far the chain is final at least this often, ms. */
const askedEveryMs = 60_000;

/** The same where no address is in use. */
const unusedAskedEveryMs = 240_000;

/** Where no deposit waits for it, nodes agree on a final block at least this often, ms: which nodes are behind is judged by it. */
const agreedEveryMs = 60_000;

/** Both also happen this long before the next second reading, ms, or a quarter of the time between two of them if that is less. */
const aheadOfRecheckMs = 10_000;

/** The shortest and the longest pause, ms, before nodes are asked again that did not agree on a deposit's block. */
const firstPauseMs = 500;
const longestPauseMs = 15_000;

export type Finality = {
  /** Whether a poll should ask how far the chain is final; `noneInUse`: no address of the chain's family is. */
  isAsked(state: Pick<ChainState, 'head'>, noneInUse: boolean): Promise<boolean>;
  /** Whether a deposit waits for nothing else. */
  isAwaited(state: Pick<ChainState, 'head'>): Promise<boolean>;
  /** Raises the agreed finalized block up to what a node claims, where that is due. */
  raise(state: ChainState, claimed: number | null, signal: AbortSignal): Promise<Raised>;
};

/** The state after that, and whether a deposit waits for a block that one node calls final and no second one does. */
export type Raised = { state: ChainState; disputed: boolean };

export type FinalityDeps = {
  db: Db;
  chain: ChainConfig;
  source: ChainSource;
  watch: Pick<TableWatchlist, 'inUse'>;
  clock: Clock;
  log: Logger;
};

/**
 * Nodes agree on what is final when a deposit waits for it, and just before each second reading, which goes as far as that.
 */
export function createFinality(deps: FinalityDeps): Finality {
  const { db, chain, source, watch, clock } = deps;
  const { network } = chain;
  const steady = steadyClock(clock);
  const agreement = createFinalizedAgreement({ ...deps, waitMs: chain.secondNodeWaitSeconds * 1000 });
  let askedAt = Number.NEGATIVE_INFINITY;
  /** The head before the last poll. */
  let headBefore: number | null = null;
  let agreedAt = Number.NEGATIVE_INFINITY;
  /** How often in a row a deposit's block was not agreed on, and until when nodes are not asked about it again. */
  let disputes = 0;
  let pausedUntil = Number.NEGATIVE_INFINITY;

  async function isAsked({ head }: Pick<ChainState, 'head'>, noneInUse: boolean): Promise<boolean> {
    const rise = Math.max(1, head.height - (headBefore ?? head.height));
    headBefore = head.height;
    const agrees = !isAlone(source) && (await isDue());
    if (!agrees && !(await isAskedAgain(noneInUse)) && !(await isAwaitedAt(head.height + 2 * rise + 1)))
      return false;
    askedAt = steady();
    return true;
  }

  async function isAskedAgain(noneInUse: boolean): Promise<boolean> {
    const passedMs = steady() - askedAt;
    if (noneInUse) return passedMs >= unusedAskedEveryMs;
    return passedMs >= askedEveryMs || (await precedesRecheck(passedMs));
  }

  /** Whether a deposit waits for nothing else once the head is at `height`. */
  async function isAwaitedAt(height: number): Promise<boolean> {
    if (chain.finality === 'depth') return false;
    return hasSeenDeposit(db, network, deepEnoughHeight(height, chain.requiredConfirmations));
  }

  async function raise(state: ChainState, claimed: number | null, signal: AbortSignal): Promise<Raised> {
    const known = state.finalizedHeight ?? -1;
    if (isAlone(source) || claimed === null || claimed <= known) return { state, disputed: false };
    const waiting = await highestWaiting(state, claimed);
    if (waiting === null) disputes = 0;
    const asksNow =
      waiting === null
        ? state.cursor.height === state.head.height && (await isDue())
        : steady() >= pausedUntil;
    if (!asksNow) return { state, disputed: disputes > 0 };
    agreedAt = steady();
    const upTo = state.cursor.height;
    const agreed = await agreement.agree({ upTo, wanted: waiting ?? Math.min(claimed, upTo) }, signal);
    const rises = agreed !== null && agreed.height > known;
    const block = rises && !(await isBelowCursor(agreed, state, signal)) ? null : agreed;
    const disputed = waiting !== null && (block?.height ?? -1) < waiting;
    pausedUntil = disputed
      ? steady() + doubled(firstPauseMs, disputes, longestPauseMs)
      : Number.NEGATIVE_INFINITY;
    disputes = disputed ? disputes + 1 : 0;
    if (block === null || block.height <= known) return { state, disputed };
    return { state: await inTransaction(db, (trx) => commitFinalized(trx, state, block)), disputed };
  }

  /**
   * Whether a block is one of ours. What we have read may be a branch that its node has left since, and nodes agree on a final block of
   * another: as an anchor of ours it would pass for the place where the chain forked, and what lies between would never be read.
   */
  async function isBelowCursor(
    block: BlockRef,
    { cursor }: ChainState,
    signal: AbortSignal,
  ): Promise<boolean> {
    const anchor = await findAnchorFrom(db, network, block.height);
    if (anchor?.height === block.height) return anchor.hash === block.hash;
    const now = await source.blocksAt([block.height, cursor.height], signal);
    return [block, cursor].every(({ height, hash }) => now.get(height)?.hash === hash);
  }

  /** Whether it should be agreed upon though no deposit waits for it. */
  async function isDue(): Promise<boolean> {
    const passedMs = steady() - agreedAt;
    return passedMs >= agreedEveryMs || (await precedesRecheck(passedMs));
  }

  /** Whether the next second reading is near, and what is `passedMs` old is of before the last one. */
  async function precedesRecheck(passedMs: number): Promise<boolean> {
    const recheckMs = chain.recheckSeconds * 1000;
    if (chain.finality === 'depth' || passedMs < recheckMs / 2) return false;
    const mark = await readRecheckMark(db, network);
    const recheckAt =
      (mark?.recheckedAt ?? 0) + recheckPaceMs(chain, (await watch.inUse(db, clock())).size === 0);
    return clock() >= recheckAt - Math.min(aheadOfRecheckMs, recheckMs / 4);
  }

  /** The highest block with a deposit that waits for nothing but that `claimed` is agreed on to be final. */
  async function highestWaiting(state: ChainState, claimed: number): Promise<number | null> {
    if (chain.finality !== 'finalized') return null;
    const upTo = settledHeight({ ...state, finalizedHeight: claimed }, chain);
    return findHighestSeen(db, network, { above: state.finalizedHeight ?? -1, upTo });
  }

  return { isAsked, isAwaited: ({ head }) => isAwaitedAt(head.height), raise };
}
