import type { Clock } from '../../clock.ts';
import type { ChainConfig } from '../../config.ts';
import type { BlockRef, TxHash } from '../../core/chain.ts';
import type { Capability } from '../../core/node.ts';
import type { Seen } from '../../nodes/failover.ts';
import { behind, contradiction } from '../../nodes/fault.ts';
import type { PollOutcome, PollRequest, Span, Tokens } from '../source.ts';
import type { Header } from './decode.ts';
import type { TronNode } from './node.ts';
import { readHeaderAt, readLatest, readProvenFrom, readSolid, refOf } from './read.ts';
import { isCall, type Search, transfersOf } from './transfers.ts';
import { judgeChain, type ProvenBlock } from './validate.ts';

export type ReadContext = {
  chain: ChainConfig;
  /** Of the configuration. */
  currencies: Tokens;
  clock: Clock;
};

/** A poll, or a reading of what lies below a block that is known: up to `upTo`, by a node that has that block. */
export type ReadRequest = PollRequest & { below?: { upTo: number; anchor: BlockRef } };

/** What a node must serve for this. */
export function needsOf(request: ReadRequest, { chain }: ReadContext): Capability[] {
  const finality = request.finality ?? true;
  return finality && chain.finality === 'finalized' ? ['logs', 'finalized'] : ['logs'];
}

/** What a catch-up reads, and writes down, in one go: what is written each time besides costs as much for one block as for many. */
const rangesAtOnce = 2;

/** Who has shown the cursor itself so lately, ms, and has nothing above it, still stands there. */
const shownLatelyMs = 10_000;

/** A chain that makes a block every three seconds has none above one that is not older than that, ms, or a few. */
const newsMs = 10_000;

/**
 * Reads on from the cursor, block by block: a body and its infos each, as many blocks as are known to exist. At the head, where
 * nobody knows, the same request asks for all that may be there, and a short answer ends with the node's latest block. Every
 * block names its parent, so that what is read stands on the cursor or the cursor does not stand.
 *
 * @throws NodeError when the node gave no answer that proves itself.
 */
export async function readSpan(
  node: TronNode,
  request: ReadRequest,
  context: ReadContext,
  seen: Seen,
): Promise<PollOutcome> {
  const { cursor, head, below, signal, upTo = Number.POSITIVE_INFINITY } = request;
  const known = below?.upTo ?? head.height;
  const atHead = below === undefined && known <= cursor.height;
  const wanted = Math.min(upTo, atHead ? Number.POSITIVE_INFINITY : known);
  const count = Math.min(wanted - cursor.height, node.range.width() * (atHead ? 1 : rangesAtOnce));
  if (atHead && node.slots.isTooEarly(cursor.hash, context.clock()))
    return nothingNew(node, request, context, cursor, seen);
  const proven = count > 0 ? await readOrTake(node, request, { count, atHead }) : [];
  const [first] = proven;
  if (first === undefined) return standing(node, request, context, seen);
  if (first.block.parentHash !== cursor.hash) {
    node.forgetAhead();
    return { kind: 'reorg' };
  }
  judgeChain(
    proven.map(({ block }) => block),
    cursor.hash,
  );
  seen({ serves: 'logs' });
  const last = proven.at(-1)?.block ?? first.block;
  node.shown = { hash: last.hash, at: context.clock() };
  if (below === undefined && last.height > known) node.slots.note(last, context.clock());
  if (below !== undefined) await requireAnchor(node, below.anchor, last, signal);
  else if (last.height < Math.min(known, upTo)) askAhead(node, request, last);
  const isLatest = atHead && isShort(node, { count, given: proven.length }) && isNews(last, request, context);
  const latest = await latestAfter(node, request, { last, isLatest }, seen);
  const transfers = proven.flatMap((one) => transfersOf(one, searchOf(request, context)));
  return {
    kind: 'span',
    span: {
      host: node.host,
      ...(last.height > known ? { young: true } : {}),
      to: refOf(last),
      head: latest,
      finalizedHeight: await finalizedUpTo(node, request, context, last, seen),
      transfers,
      anchors: proven.slice(0, -1).map(({ block }) => refOf(block)),
      untraced: request.native && context.chain.internalTransfers ? withoutInternals(proven) : [],
    },
  };
}

function readOrTake(
  node: TronNode,
  { cursor, below, signal }: ReadRequest,
  { count, atHead }: { count: number; atHead: boolean },
): Promise<ProvenBlock[]> {
  const taken = below !== undefined || atHead ? null : node.prefetch.take(cursor.height + 1);
  return taken ?? readProvenFrom(node, cursor.height + 1, count, signal);
}

/** Whether a node has no more blocks than it gave. Of one that gives single blocks alone nobody can say, but for their time. */
function isShort(node: TronNode, { count, given }: { count: number; given: number }): boolean {
  const width = node.range.width();
  return width === 1 || given < Math.min(count, width);
}

/** Whether a block may be the latest by its time. Where the head is due, another one is asked for that instead. */
function isNews({ timeMs }: Header, { showHead }: ReadRequest, { clock }: ReadContext): boolean {
  return showHead !== true || clock() - timeMs < newsMs;
}

/** While these blocks are written down the next ones are on their way: only in a catch-up, and not up to the head, which moves. */
function askAhead(node: TronNode, { head, upTo = head.height, signal }: ReadRequest, last: Header): void {
  const wanted = {
    from: last.height + 1,
    upTo: Math.min(upTo, head.height - 1),
    count: node.range.width() * rangesAtOnce,
  };
  node.prefetch.ask(wanted, ({ from, count, turn, signal: stop }) =>
    readProvenFrom(node, from, count, AbortSignal.any([signal, stop]), turn),
  );
}

/** The node has nothing above the cursor: that tells nothing new, or that it is behind, or that the cursor fell. */
async function standing(
  node: TronNode,
  request: ReadRequest,
  context: ReadContext,
  seen: Seen,
): Promise<PollOutcome> {
  const { cursor, head, below, signal } = request;
  if (below !== undefined) throw behind(`it has no block ${cursor.height + 1}, which was read before`);
  const { shown } = node;
  const lately = shown !== null && shown.hash === cursor.hash && context.clock() - shown.at < shownLatelyMs;
  const asked = request.upTo !== undefined && request.upTo <= cursor.height;
  if (lately && !asked && head.height <= cursor.height)
    return nothingNew(node, request, context, cursor, seen);
  const latest = await readLatest(node, 'wallet', signal);
  seen({ head: latest.height });
  if (latest.height < Math.max(cursor.height, asked ? 0 : head.height))
    throw behind(`its latest block ${latest.height} is below ${head.height}, seen before`);
  const at =
    latest.height === cursor.height ? latest : await readHeaderAt(node, 'wallet', cursor.height, signal);
  if (at === null) throw behind(`it has no block ${cursor.height}, which was read before`);
  if (at.hash !== cursor.hash) return { kind: 'reorg' };
  // What came a moment after it was asked for is asked for again, knowing that it is there: if not even then, it never may be.
  if (!asked && head.height > cursor.height)
    throw behind(`it does not show block ${cursor.height + 1}, though its latest is ${latest.height}`);
  node.shown = { hash: cursor.hash, at: context.clock() };
  return nothingNew(node, request, context, refOf(latest), seen);
}

async function nothingNew(
  node: TronNode,
  request: ReadRequest,
  context: ReadContext,
  head: BlockRef,
  seen: Seen,
): Promise<PollOutcome> {
  const { cursor } = request;
  const span: Span = {
    host: node.host,
    to: cursor,
    head,
    finalizedHeight: await finalizedUpTo(node, request, context, cursor, seen),
    transfers: [],
    anchors: [],
    untraced: [],
  };
  return { kind: 'span', span };
}

/** The node's own head, where the blocks tell it, or it is wanted, or cannot be far; else what is known of it. */
async function latestAfter(
  node: TronNode,
  { head, below, showHead, signal }: ReadRequest,
  { last, isLatest }: { last: Header; isLatest: boolean },
  seen: Seen,
): Promise<BlockRef> {
  if (below !== undefined || (last.height < head.height && showHead !== true)) return head;
  const latest = isLatest ? last : await readLatest(node, 'wallet', signal);
  seen({ head: latest.height });
  // Another machine behind the same name may be a little behind: the block that was read is there all the same.
  const highest = latest.height < last.height ? last : latest;
  return highest.height < head.height ? head : refOf(highest);
}

/**
 * How far the chain is final, of what is known to stand on this node: it may have shown it with this very block.
 *
 * @throws NodeError `behind` where that is below what another has shown.
 */
async function finalizedUpTo(
  node: TronNode,
  { finality = true, finalizedHeight, signal }: ReadRequest,
  { chain }: ReadContext,
  last: BlockRef,
  seen: Seen,
): Promise<number | null> {
  const proven = finalizedHeight === null || (node.solid?.height ?? -1) >= finalizedHeight;
  if (!finality && proven) return null;
  if (node.solid?.at !== last.hash || !proven) {
    const solid = await solidOf(node, chain, signal);
    if (solid === null) return null;
    seen({ finalized: solid });
    node.solid = { height: solid, at: last.hash };
  }
  const { height } = node.solid;
  if (finalizedHeight !== null && height < finalizedHeight)
    throw behind(`its solid block ${height} is below ${finalizedHeight}, seen before`);
  return finality ? Math.min(height, last.height) : null;
}

/** Null where the node does not tell and the operator asks for depth alone. */
async function solidOf(
  node: TronNode,
  { finality }: ChainConfig,
  signal: AbortSignal,
): Promise<number | null> {
  try {
    return (await readSolid(node, signal)).height;
  } catch (error) {
    if (finality === 'depth' && (error as { fault?: { kind: string } }).fault?.kind === 'lacks') return null;
    throw error;
  }
}

async function requireAnchor(
  node: TronNode,
  anchor: BlockRef,
  last: Header,
  signal: AbortSignal,
): Promise<void> {
  const there =
    last.height === anchor.height ? last : await readHeaderAt(node, 'wallet', anchor.height, signal);
  if (there === null) throw behind(`it has no block ${anchor.height}, which was read before`);
  if (there.hash !== anchor.hash)
    throw contradiction(`it has another block ${anchor.height} than the one that was read`);
}

function searchOf({ watch, tokens, native }: ReadRequest, { chain, currencies }: ReadContext): Search {
  return {
    network: chain.network,
    currencies: tokens ?? currencies,
    watch,
    native,
    internal: chain.internalTransfers,
  };
}

/** Calls of which this node stores no internal transactions, or which made none: nobody can say which. */
function withoutInternals(proven: readonly ProvenBlock[]): TxHash[] {
  return proven.flatMap(({ block, infos }) =>
    block.transactions.flatMap(({ txID, contract }, i) => {
      const silent = infos[i]?.internals === null && contract !== null && isCall(contract);
      return silent ? [txID] : [];
    }),
  );
}
