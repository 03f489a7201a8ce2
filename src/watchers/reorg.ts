import type { BlockRef } from '../core/chain.ts';
import { FinalityViolation, RpcError } from '../errors.ts';
import type { Settlement } from '../payments/settle.ts';
import {
  type ChainState,
  deleteAnchorsAbove,
  listAnchors,
  lockChain,
  updateChain,
} from '../storage/chains.ts';
import { listDepositBlocksAbove, orphanDepositsOfBlock } from '../storage/deposits.ts';
import type { Db, Trx } from '../storage/schema.ts';
import { type CommitContext, sameBlock, settleAll, settleContext } from './commit.ts';
import type { ChainSource } from './source.ts';

/** What a reorg did to what we had recorded. */
export type Fork = {
  /** The highest block we know that still stands. */
  forkPoint: BlockRef;
  /** Blocks with deposits that the chain took back. */
  disconnected: { height: number; hash: BlockRef['hash'] }[];
};

/** Anchors asked for in one request, from the top: most reorgs are a block or two deep. */
const chunk = 16;

/**
 * Finds where the chain left what we had read, with few requests, and which deposits went with it. A deposit
 * above the fork point whose own block still stands is left alone: anchors are sparse, so the true fork may
 * lie higher.
 *
 * @throws FinalityViolation when the fork lies below what the chain called final, or below all we know.
 * @throws RpcError when no node answers, or none shows the whole picture.
 */
export async function findFork(
  db: Db,
  source: ChainSource,
  state: ChainState,
  signal: AbortSignal,
): Promise<Fork> {
  const forkPoint = await findForkPoint(db, source, state, signal);
  const blocks = await listDepositBlocksAbove(db, state.network, forkPoint.height);
  const now = await source.blocksAt([...new Set(blocks.map((block) => block.height))], signal);
  const disconnected = blocks.filter((block) => {
    const standing = now.get(block.height);
    if (standing == null)
      throw new RpcError('node_behind', 'the node lost blocks while the fork was examined');
    return standing.hash !== block.hash;
  });
  return { forkPoint, disconnected };
}

async function findForkPoint(
  db: Db,
  source: ChainSource,
  state: ChainState,
  signal: AbortSignal,
): Promise<BlockRef> {
  const anchors = await listAnchors(db, state.network);
  for (let start = 0; start < anchors.length; start += chunk) {
    const asked = anchors.slice(start, start + chunk);
    const now = await source.blocksAt(
      asked.map((anchor) => anchor.height),
      signal,
    );
    for (const anchor of asked) {
      if (now.get(anchor.height)?.hash === anchor.hash) return anchor;
      refuseFinal(state, anchor);
    }
  }
  throw new FinalityViolation(`${state.network} has none of the blocks that were read: is it another chain?`);
}

/** Anchors are sparse, so only one that fell shows how deep a fork is: the gap below it proves nothing. */
function refuseFinal(state: ChainState, fallen: BlockRef): void {
  if (state.finalizedHeight === null || fallen.height > state.finalizedHeight) return;
  throw new FinalityViolation(
    `${state.network} replaced block ${fallen.height}, though everything up to ${state.finalizedHeight} was final`,
  );
}

/**
 * Takes back what the fork disconnected and sets the cursor to the fork point, in the caller's transaction.
 * Null when another process has moved the cursor meanwhile.
 */
export async function commitFork(
  trx: Trx,
  state: ChainState,
  fork: Fork,
  context: CommitContext,
): Promise<Settlement[] | null> {
  const before = await lockChain(trx, state.network);
  if (before === null || !sameBlock(before.cursor, state.cursor)) return null;

  const after: ChainState = { ...before, cursor: fork.forkPoint, head: fork.forkPoint, readAt: context.now };
  await updateChain(trx, after);
  await deleteAnchorsAbove(trx, state.network, fork.forkPoint.height);
  const touched: number[] = [];
  for (const block of fork.disconnected) {
    for (const deposit of await orphanDepositsOfBlock(trx, state.network, block)) {
      if (deposit.paymentId !== null) touched.push(deposit.paymentId);
    }
  }
  return settleAll(trx, touched, settleContext(after, context));
}
