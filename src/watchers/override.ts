import type { BlockRef } from '../core/chain.ts';
import { CommandError, FinalityViolation, RpcError } from '../errors.ts';
import type { Settlement } from '../payments/settle.ts';
import { rewindCompared } from '../storage/chains/balance-marks.ts';
import {
  type ChainState,
  deleteAnchorsAbove,
  insertAnchors,
  lockChain,
  readChain,
  updateChain,
} from '../storage/chains/chains.ts';
import { readRecheckMark, rewindRecheck, updateRecheckMark } from '../storage/chains/recheck-marks.ts';
import { cutScans } from '../storage/chains/scans.ts';
import { inTransaction } from '../storage/database.ts';
import { recordAudit } from '../storage/operators/audit.ts';
import type { Db, Trx } from '../storage/schema.ts';
import { judgeNow } from './agreement/block.ts';
import { createFinalBlockAgreement } from './agreement/final-block.ts';
import { commitFork, findFork, firstAnchors } from './reorg.ts';
import type { WatcherDeps } from './watcher.ts';

/*
 * What an operator decides about a chain that nothing else gets going again. A daemon that runs beside goes on from there
 * with its next step: it always begins from what is stored.
 */

export type OverrideDeps = Pick<WatcherDeps, 'db' | 'chain' | 'source' | 'latePolicy' | 'clock'>;

/** Who decided it and why, for the audit log. */
export type Decision = { actor: string; reason: string };

export type AcceptedFork = {
  from: BlockRef;
  forkPoint: BlockRef;
  disconnected: number;
  settled: Settlement[];
};

/**
 * Takes the nodes' branch from the highest block that is on it and that we know, whatever was final: what lay above on
 * ours is taken back, confirmed or not.
 *
 * @throws CommandError when there is no such branch, or no block in common.
 */
export async function acceptFork(
  { db, chain, source, latePolicy, clock }: OverrideDeps,
  { actor, reason }: Decision,
  signal: AbortSignal,
): Promise<AcceptedFork> {
  const state = await stateOf(db, chain.network);
  const fork = await forkOf();
  const context = { chain, latePolicy, now: clock() };
  return inTransaction(db, async (trx) => {
    const settled = await commitFork(trx, state, fork, context);
    if (settled === null)
      throw new CommandError('the chain was read on meanwhile; nothing was changed, try again');
    await resume(trx, await lockedState(trx, chain.network));
    const detail = {
      reason,
      from: state.cursor.height,
      fork_point: fork.forkPoint.height,
      disconnected: fork.disconnected.length,
    };
    await recordAudit(trx, {
      at: clock(),
      actor,
      action: 'chain.fork_accepted',
      subject: chain.network,
      detail,
    });
    return {
      from: state.cursor,
      forkPoint: fork.forkPoint,
      disconnected: fork.disconnected.length,
      settled,
    };
  });

  async function forkOf() {
    try {
      // The operator has looked: nobody is waited for.
      const finalBlocks = createFinalBlockAgreement({ source, clock, waitMs: 0 });
      const bound = { ...state, finalizedHeight: null };
      const found = await findFork({ db, source, finalBlocks }, bound, signal);
      return { ...found, disconnected: await judgeNow(db, chain.network, found.disconnected) };
    } catch (error) {
      if (error instanceof FinalityViolation)
        throw new CommandError(`${error.message} "depositd chain set-cursor" says where to read on.`);
      if (error instanceof RpcError) throw new CommandError(`no fork to accept: ${error.message}`);
      throw error;
    }
  }
}

export type CursorMove = { from: BlockRef; to: BlockRef; skipped: number };

/**
 * Reads on from a block of the nodes' chain. Backwards what lies above is read again. Forwards what lies between is never
 * read, and shows as a gap: only with `skip`.
 *
 * @throws CommandError when no node has that block, or it lies ahead.
 */
export async function setCursor(
  { db, chain, source, clock }: OverrideDeps,
  { height, skip, actor, reason }: Decision & { height: number; skip: boolean },
  signal: AbortSignal,
): Promise<CursorMove> {
  const { network } = chain;
  const { cursor: known } = await stateOf(db, network);
  refuseAhead(known);
  const to = await blockAt();
  // Nodes may have forgotten what lies below.
  const anchors = await firstAnchors(source, to, signal).catch((error: unknown) => {
    if (error instanceof RpcError) return [to];
    throw error;
  });
  return inTransaction(db, async (trx) => {
    const before = await lockedState(trx, network);
    refuseAhead(before.cursor);
    const head = before.head.height >= to.height ? before.head : to;
    // By its time, one node's word, no payment ends.
    const time = Math.min(to.time, before.cursor.time);
    await resume(trx, { ...before, cursor: { ...to, time }, head });
    await deleteAnchorsAbove(trx, network, -1);
    await insertAnchors(trx, network, anchors);
    await cutScans(trx, network, height);
    await rewindCompared(trx, network, height);
    await rewindRecheck(trx, network, to);
    const skipped = Math.max(0, height - before.cursor.height);
    const mark = await readRecheckMark(trx, network);
    // The second reading begins where the first goes on, or it would fill the gap after all.
    if (skipped > 0 && mark !== null) await updateRecheckMark(trx, { ...mark, position: to });
    const detail = { reason, from: before.cursor.height, to: height, skipped };
    await recordAudit(trx, { at: clock(), actor, action: 'chain.cursor_set', subject: network, detail });
    return { from: before.cursor, to, skipped };
  });

  function refuseAhead(cursor: BlockRef): void {
    if (height <= cursor.height || skip) return;
    throw new CommandError(
      `block ${height} is above ${cursor.height}, which was read last: --skip leaves the blocks between unread for good`,
    );
  }

  async function blockAt(): Promise<BlockRef> {
    try {
      const block = (await source.blocksAt([height], signal)).get(height) ?? null;
      if (block === null) throw new CommandError(`no node has block ${height}`);
      return block;
    } catch (error) {
      if (error instanceof RpcError)
        throw new CommandError(`no node shows block ${height}: ${error.message}`);
      throw error;
    }
  }
}

async function stateOf(db: Db, network: ChainState['network']): Promise<ChainState> {
  const state = await readChain(db, network);
  if (state === null) throw new CommandError(`${network} has not been read yet`);
  return state;
}

async function lockedState(trx: Trx, network: ChainState['network']): Promise<ChainState> {
  const state = await lockChain(trx, network);
  if (state === null) throw new CommandError(`${network} has not been read yet`);
  return state;
}

/** What was agreed to be final belongs to what the operator has just overruled: it is agreed upon anew. */
async function resume(trx: Trx, state: ChainState): Promise<void> {
  await updateChain(trx, { ...state, finalizedHeight: null, stoppedReason: null });
}
