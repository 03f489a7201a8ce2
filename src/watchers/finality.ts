import { type Clock, steadyClock } from '../clock.ts';
import type { ChainConfig } from '../config.ts';
import type { Logger } from '../log.ts';
import type { ChainState } from '../storage/chains/chains.ts';
import { inTransaction } from '../storage/database.ts';
import { findHighestSeen, hasSeenDeposit } from '../storage/deposits/waiting.ts';
import type { Db } from '../storage/schema.ts';
import { isAlone } from './agreement/ask.ts';
import { createFinalizedAgreement } from './agreement/finalized.ts';
import { commitFinalized } from './commit.ts';
import { settledHeight } from './confirmations.ts';
import type { ChainSource } from './source.ts';

/*
 * How far the chain is final: when that is asked for, and when it is agreed upon.
 */

/** How far the chain is final is asked for this often, ms, where nothing waits for it: one more call, no request. */
const askedEveryMs = 15_000;

/** Where no deposit waits for it, it is agreed upon this often at least, ms: nodes are behind by it. */
const agreedEveryMs = 60_000;

export type Finality = {
  /** Whether a poll should ask how far the chain is final. */
  isAsked(): Promise<boolean>;
  /** Raises the agreed finalized block up to what a node claims, where that is due. The state after that. */
  raise(state: ChainState, claimed: number | null, signal: AbortSignal): Promise<ChainState>;
};

export type FinalityDeps = {
  db: Db;
  chain: ChainConfig;
  source: ChainSource;
  clock: Clock;
  log: Logger;
};

export function createFinality(deps: FinalityDeps): Finality {
  const { db, chain, source, clock } = deps;
  const { network } = chain;
  const steady = steadyClock(clock);
  const agreement = createFinalizedAgreement({ ...deps, waitMs: chain.secondNodeWaitSeconds * 1000 });
  let askedAt = Number.NEGATIVE_INFINITY;
  let agreedAt = Number.NEGATIVE_INFINITY;

  async function isAsked(): Promise<boolean> {
    const due = steady() - askedAt >= askedEveryMs;
    if (!due && !(await hasSeenDeposit(db, network))) return false;
    askedAt = steady();
    return true;
  }

  async function raise(state: ChainState, claimed: number | null, signal: AbortSignal): Promise<ChainState> {
    const known = state.finalizedHeight ?? -1;
    if (isAlone(source) || claimed === null || claimed <= known) return state;
    const waiting = await highestWaiting(state, claimed);
    const due = state.cursor.height === state.head.height && steady() - agreedAt >= agreedEveryMs;
    if (waiting === null && !due) return state;
    agreedAt = steady();
    const upTo = state.cursor.height;
    const block = await agreement.agree({ upTo, wanted: waiting ?? Math.min(claimed, upTo) }, signal);
    if (block === null || block.height <= known) return state;
    return inTransaction(db, (trx) => commitFinalized(trx, state, block));
  }

  /** The highest block with a deposit that waits for nothing but that `claimed` is agreed on to be final. */
  async function highestWaiting(state: ChainState, claimed: number): Promise<number | null> {
    if (chain.finality !== 'finalized') return null;
    const upTo = settledHeight({ ...state, finalizedHeight: claimed }, chain);
    return findHighestSeen(db, network, { above: state.finalizedHeight ?? -1, upTo });
  }

  return { isAsked, raise };
}
