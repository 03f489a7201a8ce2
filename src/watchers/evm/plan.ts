import type { ChainConfig } from '../../config.ts';
import type { AddressKey } from '../../core/address.ts';
import type { BlockRef } from '../../core/chain.ts';
import type { Seen } from '../../nodes/failover.ts';
import type { RpcCall } from '../../nodes/json-rpc.ts';
import type { PollRequest, Tokens } from '../source.ts';
import { fewAddresses } from '../watchlist.ts';
import { getFullBlock, getHeader, getTransfers } from './calls.ts';
import { type Header, refOf } from './decode.ts';
import type { RateAlarm } from './log-gaps.ts';
import { mostFullBlocks } from './native.ts';
import type { EvmNode } from './node.ts';
import type { Expectation } from './validate.ts';

export type ReadContext = {
  chain: ChainConfig;
  /** Their contracts, for the filter. */
  tokens: readonly string[];
  currencies: Tokens;
  /** How often each token moves. */
  rates: RateAlarm;
};

/**
 * A poll, whose chain must have reached the height `expected` by now, or a reading of what lies below a block that is
 * known: up to `upTo`, by a node that has that block.
 */
export type ReadRequest = PollRequest & {
  expected?: number;
  below?: { upTo: number; anchor: BlockRef };
};

/** One reading: which node is asked, for what, and who is told what that node has shown of itself. */
export type Reading = { node: EvmNode; request: ReadRequest; context: ReadContext; seen: Seen };

/** What a node has shown of itself in this very poll, in answers that did not suffice. */
export type Shown = {
  /** Its latest block. */
  latest: Header;
  /** Whether that is known to be on another branch than the head seen before. */
  replaced: boolean;
};

/** geth takes at most this many values at one place of a filter. */
const mostRecipients = 1000;

/** A chain may make this many blocks more than its pace says. */
const moreThanExpected = 20;

/** What is asked of a node in one batch: the finalized block, `top`, the block at the cursor, logs, whole blocks. */
export type Plan = {
  calls: RpcCall[];
  expected: Expectation;
  /** The block to read to, where it is known. */
  end: BlockRef | null;
  /** Where nothing in the blocks is asked for, the node's latest block is read to, whichever it is, up to this height. Else 0. */
  anyUpTo: number;
  /** The node's latest block as it has shown it in this poll. */
  latest: Header | null;
  /** What is asked for at `topAt`: the node's latest block, or the block to read to where no earlier answer showed that. */
  top: 'latest' | 'block';
  /** Where in `calls` these are; null when they are not asked for. */
  finalizedAt: number | null;
  topAt: number;
  cursorAt: number | null;
  recipients: readonly AddressKey[] | null;
  /** Where in `calls` the logs are; null when none are asked for. */
  logsAt: number | null;
  /** The same of that anchor's header. */
  anchorAt: number | null;
  /** The same of the latest block, where that is not the one read to. */
  latestAt: number | null;
  fullBlocksAt: number;
};

/** What to ask this node for now; `shown` is null at first. */
export function planRead(
  node: EvmNode,
  request: ReadRequest,
  { tokens }: ReadContext,
  shown: Shown | null,
): Plan {
  const { cursor, watch, native, below, finality = true } = request;
  const head = shown === null || shown.replaced ? request.head : refOf(shown.latest);
  const { upTo = Number.POSITIVE_INFINITY } = request;
  const ahead = below === undefined ? node.prefetch.reach(cursor.height) : null;
  // What was asked ahead before whole blocks were wanted may be more than can be had of these.
  const useful = ahead !== null && (!native || ahead <= cursor.height + mostFullBlocks);
  const reach = useful ? ahead : cursor.height + widthOf(node, request);
  const inUse = below === undefined && watch.size > fewAddresses ? request.inUse : undefined;
  const size = inUse?.size ?? watch.size;
  const asksNothing = inUse?.size === 0 && !native && upTo === Number.POSITIVE_INFINITY;
  const expects = shown === null && !asksNothing;
  const highest = expects ? Math.max(head.height, request.expected ?? 0) : head.height;
  const wanted = below?.upTo ?? Math.min(highest, upTo);
  const height = Math.max(cursor.height, Math.min(wanted, reach));
  const isAhead = below === undefined && height > head.height;
  const known = knownAt(height, request, shown?.replaced === true ? null : head);
  const top = known === null && !isAhead ? 'block' : 'latest';
  // Whole blocks link to the cursor and show the last one's hash by themselves.
  const hash = native && known !== cursor ? null : (known?.hash ?? null);

  const from = cursor.height + 1;
  const calls: RpcCall[] = [];
  // Finalized first: a chain that grows while a node is asked call by call must not look contradictory.
  // A node that has not shown yet that it is as far as another is asked, so that one that is behind is not read.
  const shownFinal = request.finalizedHeight === null || (node.finalized ?? -1) >= request.finalizedHeight;
  const finalizedAt = finality || !shownFinal ? calls.push(getHeader('finalized')) - 1 : null;
  const topAt = calls.push(getHeader(top === 'latest' ? 'latest' : height)) - 1;
  // The latest block shows by itself that it stands on the cursor, where it is the next one.
  const linked = isAhead && height === cursor.height + 1;
  const cursorAt = linked ? null : calls.push(getHeader(cursor.height)) - 1;
  const asksLogs = height >= from && tokens.length > 0 && size > 0;
  const recipients =
    asksLogs && node.recipientFilter && size <= mostRecipients ? [...(inUse ?? watch.keys())] : null;
  const logsAt = asksLogs ? calls.push(getTransfers({ tokens, from, to: height, recipients })) - 1 : null;
  const anchorAt = below === undefined ? null : calls.push(getHeader(below.anchor.height)) - 1;
  // After the finalized block, for the same reason.
  const latestAt = request.showHead === true && top === 'block' ? calls.push(getHeader('latest')) - 1 : null;
  const fullBlocksAt = calls.length;
  if (native) for (let at = from; at <= height; at++) calls.push(getFullBlock(at));
  const expected = {
    cursor,
    to: { height, hash },
    ...(isAhead ? { seen: head.height } : {}),
    finalizedHeight: request.finalizedHeight,
  };
  return {
    calls,
    expected,
    end: known,
    anyUpTo:
      asksNothing && top === 'latest' ? Math.max(head.height, request.expected ?? 0) + moreThanExpected : 0,
    latest: shown?.latest ?? null,
    top,
    finalizedAt,
    topAt,
    cursorAt,
    recipients,
    logsAt,
    anchorAt,
    latestAt,
    fullBlocksAt,
  };
}

/** The block at a height, where the cursor or an earlier answer shows it. What is read below the cursor proves itself. */
function knownAt(height: number, { cursor, below }: ReadRequest, head: BlockRef | null): BlockRef | null {
  if (below !== undefined) return null;
  if (height === cursor.height) return cursor;
  return height === head?.height ? head : null;
}

/**
 * Asks for the blocks after those of `plan` before these are answered: a node that is far away, or slow, is read
 * twice as fast. Only while catching up, as wide as it has served before, and not as far as the head, which moves.
 */
export function prefetchNext(node: EvmNode, request: ReadRequest, context: ReadContext, plan: Plan): void {
  const { cursor, to } = plan.expected;
  const from = to.height;
  const end = from + widthOf(node, request);
  const { head, upTo = head.height } = request;
  if (end >= Math.min(head.height, upTo)) return;
  if (!node.range.isServed(from - cursor.height) || !node.range.isServed(end - from)) return;
  const { calls } = planRead(
    node,
    { ...request, showHead: false, cursor: { ...cursor, height: from } },
    context,
    null,
  );
  node.prefetch.ask({ from, to: end, calls }, request.signal);
}

function widthOf({ range }: EvmNode, { native }: ReadRequest): number {
  return native ? Math.min(range.width(), mostFullBlocks) : range.width();
}
