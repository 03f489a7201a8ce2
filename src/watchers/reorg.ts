import { type BlockRef, sameBlock } from '../core/chain.ts';
import { FinalityViolation, RpcError } from '../errors.ts';
import type { Settlement } from '../payments/settle.ts';
import { listHeldBlocks, rewindCompared } from '../storage/chains/balance-marks.ts';
import {
  type ChainState,
  deleteAnchorsAbove,
  listAnchors,
  lockChain,
  updateChain,
} from '../storage/chains/chains.ts';
import { rewindRecheck } from '../storage/chains/recheck-marks.ts';
import { cutScans } from '../storage/chains/scans.ts';
import type { DepositBlock } from '../storage/deposits/deposits.ts';
import { listDepositsIn } from '../storage/deposits/range.ts';
import type { Db, Trx } from '../storage/schema.ts';
import type { JudgedBlock } from './agreement/block.ts';
import type { FinalBlockAgreement, Replaced } from './agreement/final-block.ts';
import { areAsJudged, type CommitContext, orphanBlocks, settleAll, settleContext } from './commit.ts';
import type { ChainSource, Span } from './source.ts';

/** What a reorg did to what we had recorded. */
export type Fork = {
  /** The highest block we know that still stands. */
  forkPoint: BlockRef;
  /** Blocks with deposits that the chain took back. */
  disconnected: DepositBlock[];
};

export type ForkDeps = { db: Db; source: ChainSource; finalBlocks: FinalBlockAgreement };

/** Anchors asked for in one request, from the top: most reorgs are a block or two deep. */
const chunk = 16;

/** How far below the first cursor anchors reach, blocks: as deep as a chain without finality may fork. */
const firstDepths = [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];

/**
 * The anchors of a chain that is read from `cursor` on. Blocks below it are among them: the first block read
 * may be taken back like any other.
 *
 * @throws RpcError when no node answers, or the chain moved meanwhile.
 */
export async function firstAnchors(
  source: ChainSource,
  cursor: BlockRef,
  signal: AbortSignal,
): Promise<BlockRef[]> {
  const heights = firstDepths.map((depth) => cursor.height - depth).filter((height) => height >= 0);
  const now = await source.blocksAt(heights, signal);
  if (now.get(cursor.height)?.hash !== cursor.hash) {
    throw new RpcError('node_behind', 'the chain changed while its reading began');
  }
  return heights.flatMap((height) => now.get(height) ?? []);
}

/**
 * Finds where the chain left what we had read, with few requests, and which deposits went with it. A deposit
 * above the fork point whose own block still stands is left alone: anchors are sparse, so the true fork may
 * lie higher.
 *
 * @throws FinalityViolation when the fork lies below what the chain called final, or below all we know.
 * @throws RpcError when no node answers, or none shows the whole picture.
 */
export async function findFork(deps: ForkDeps, state: ChainState, signal: AbortSignal): Promise<Fork> {
  const { db, source, finalBlocks } = deps;
  const forkPoint = await findForkPoint(deps, state, signal);
  const range = { above: forkPoint.height, upTo: state.cursor.height };
  const blocks = await listHeldBlocks(db, state.network, range);
  const disconnected = await findReplaced(source, blocks, null, signal);
  for (const block of disconnected) await refuseFinal(finalBlocks, state, block, signal);
  return { forkPoint, disconnected };
}

/**
 * Blocks in a span's range that hold deposits of ours and are no longer on the span's chain. There are deposits
 * ahead of the cursor only after a fork, when one node showed them standing; had it been behind the others,
 * nothing else would ever take them back. Above the range it is those whose transaction the span shows elsewhere.
 *
 * @throws RpcError when no node with the span's chain answers.
 */
export async function findVanished(
  db: Db,
  source: ChainSource,
  { network, cursor }: ChainState,
  span: Span,
  signal: AbortSignal,
): Promise<DepositBlock[]> {
  const blocks = await listHeldBlocks(db, network, { above: cursor.height, upTo: span.to.height });
  const shown = new Set(span.transfers.map((transfer) => transfer.block.hash));
  const doubtful = blocks.filter((block) => !shown.has(block.hash));
  const moved = await findMoved(db, network, span);
  return findReplaced(source, [...doubtful, ...moved], span.to, signal);
}

/** Blocks above a span in which lie deposits whose transactions it shows. */
async function findMoved(db: Db, network: ChainState['network'], span: Span): Promise<DepositBlock[]> {
  if (span.transfers.length === 0) return [];
  const shown = new Set(span.transfers.map(({ txHash }) => txHash));
  const ahead = await listDepositsIn(db, network, { above: span.to.height, upTo: Number.MAX_SAFE_INTEGER });
  const moved = ahead.filter(({ txHash }) => shown.has(txHash));
  return [...new Map(moved.map(({ height, blockHash: hash }) => [hash, { height, hash }])).values()];
}

/** Which of these blocks gave way to others, by one node; by one that has `top`, where that is given. */
async function findReplaced(
  source: ChainSource,
  blocks: readonly DepositBlock[],
  top: BlockRef | null,
  signal: AbortSignal,
): Promise<DepositBlock[]> {
  if (blocks.length === 0) return [];
  const heights = new Set(blocks.map((block) => block.height));
  if (top !== null) heights.add(top.height);
  const now = await source.blocksAt([...heights], signal);
  if (top !== null && now.get(top.height)?.hash !== top.hash) {
    throw new RpcError('nodes_disagree', `no agreement about block ${top.height}`);
  }
  return blocks.filter((block) => standingAt(now, block.height).hash !== block.hash);
}

async function findForkPoint(
  { db, source, finalBlocks }: ForkDeps,
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
      const stands = standingAt(now, anchor.height).hash === anchor.hash;
      if (stands && sameBlock(anchor, state.cursor)) {
        throw new RpcError('nodes_disagree', `no agreement about block ${anchor.height}`);
      }
      if (stands) return anchor;
      await refuseFinal(finalBlocks, state, anchor, signal);
    }
  }
  const lowest = anchors.at(-1);
  const replaced =
    lowest === undefined ? null : await finalBlocks.refuseStanding(lowest, 'which was read', signal);
  const none = `${state.network} has none of the blocks that were read: is it another chain?`;
  throw new FinalityViolation(`${none}${byWhom(replaced)}`);
}

/** A node that has not got that far knows nothing of a fork. */
function standingAt(now: ReadonlyMap<number, BlockRef | null>, height: number): BlockRef {
  const block = now.get(height);
  if (block == null)
    throw new RpcError('node_behind', `the node has no block ${height} while a fork is examined`);
  return block;
}

/** Only what is known to have fallen shows how deep a fork is: anchors are sparse, and the gap below one proves nothing. */
async function refuseFinal(
  finalBlocks: FinalBlockAgreement,
  { network, finalizedHeight }: ChainState,
  block: Pick<BlockRef, 'height' | 'hash'>,
  signal: AbortSignal,
): Promise<void> {
  if (finalizedHeight === null || block.height > finalizedHeight) return;
  const replaced = await finalBlocks.refuseStanding(block, 'which is final', signal);
  const although = `though everything up to ${finalizedHeight} was final`;
  throw new FinalityViolation(`${network} replaced block ${block.height}, ${although}${byWhom(replaced)}`);
}

function byWhom(replaced: Replaced | null): string {
  return replaced === null || replaced.alone === null ? '' : ` (by the word of ${replaced.alone} alone)`;
}

/**
 * Finds out whether a block that we read above `above` is none of the chain on which our cursor stands: a node whose
 * answers came from different machines, one of them on a branch that was given up, has shown such a thing. Returns the
 * highest block below it that stands; null when all of them do, or when the cursor itself does not.
 *
 * @throws RpcError when no node answers.
 */
export async function findMisread(
  db: Db,
  source: ChainSource,
  { network, cursor }: ChainState,
  above: number,
  signal: AbortSignal,
): Promise<BlockRef | null> {
  const anchors = await listAnchors(db, network);
  const below = anchors.find(({ height }) => height <= above);
  const asked = [...anchors.filter(({ height }) => height > above), ...(below === undefined ? [] : [below])];
  const now = await source.blocksAt([...new Set([cursor, ...asked].map(({ height }) => height))], signal);
  const stands = ({ height, hash }: BlockRef) => now.get(height)?.hash === hash;
  if (!stands(cursor)) return null;
  const lowestFallen = asked.findLast((anchor) => !stands(anchor));
  if (lowestFallen === undefined) return null;
  return asked.find((anchor) => anchor.height < lowestFallen.height && stands(anchor)) ?? null;
}

/**
 * Takes back what the fork disconnected and sets the cursor to the fork point, in the caller's transaction.
 * Null when another process has moved the cursor meanwhile, or confirmed what was not when that was decided.
 */
export async function commitFork(
  trx: Trx,
  state: ChainState,
  fork: Pick<Fork, 'forkPoint'> & { disconnected: readonly JudgedBlock[] },
  context: CommitContext,
): Promise<Settlement[] | null> {
  const before = await lockChain(trx, state.network);
  if (before === null || !sameBlock(before.cursor, state.cursor)) return null;
  if (!(await areAsJudged(trx, state.network, fork.disconnected))) return null;

  // The time of an anchor is one node's word.
  const time = Math.min(fork.forkPoint.time, before.cursor.time);
  const after: ChainState = { ...before, cursor: { ...fork.forkPoint, time }, head: fork.forkPoint };
  await updateChain(trx, after);
  await deleteAnchorsAbove(trx, state.network, fork.forkPoint.height);
  await cutScans(trx, state.network, fork.forkPoint.height);
  await rewindRecheck(trx, state.network, fork.forkPoint);
  await rewindCompared(trx, state.network, fork.forkPoint.height);
  const touched = await orphanBlocks(trx, state.network, fork.disconnected);
  return settleAll(trx, touched, settleContext(after, context));
}
