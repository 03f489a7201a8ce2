import type { ChainConfig } from '../../config.ts';
import type { AddressKey } from '../../core/address.ts';
import type { BlockRef } from '../../core/chain.ts';
import type { RpcCall } from '../../nodes/json-rpc.ts';
import type { PollRequest } from '../source.ts';
import { getFullBlock, getHeader, getTransfers } from './calls.ts';
import type { Header } from './decode.ts';
import type { RateAlarm } from './log-gaps.ts';
import type { TokenCurrencies } from './logs.ts';
import { mostFullBlocks } from './native.ts';
import type { EvmNode } from './node.ts';
import type { Expectation } from './validate.ts';

export type ReadContext = {
  chain: ChainConfig;
  /** As configured, for the filter. */
  tokens: readonly string[];
  currencies: TokenCurrencies;
  /** How often each token moves. */
  rates: RateAlarm;
};

/** A poll, or a reading of what lies below a block that is known: up to `upTo`, by a node that has that block. */
export type ReadRequest = PollRequest & { below?: { upTo: number; landmark: BlockRef } };

/** geth takes at most this many values at one place of a filter. */
const mostRecipients = 1000;

/** What is asked of a node in one batch: the finalized block, `top`, the block at the cursor, logs, whole blocks. */
export type Plan = {
  calls: RpcCall[];
  expected: Expectation;
  /** `latest` where an earlier answer showed the block to read to, else that block. */
  top: 'latest' | 'block';
  recipients: readonly AddressKey[] | null;
  /** Where in `calls` the logs are; null when none are asked for. */
  logsAt: number | null;
  /** The same of the landmark's header. */
  landmarkAt: number | null;
  /** The same of the latest block, where that is not the one read to. */
  latestAt: number | null;
  fullBlocksAt: number;
  /** The node's latest block, where that is known to be on another branch than the head seen before. */
  replaced: Header | null;
};

/** What to ask this node for now. `replaced` is as in the plan, and null at first. */
export function planRead(
  node: EvmNode,
  request: ReadRequest,
  { tokens }: ReadContext,
  replaced: Header | null,
): Plan {
  const { cursor, head, upTo = head.height, watch, native, below } = request;
  const ahead = below === undefined ? node.prefetch.reach(cursor.height) : null;
  // What was asked ahead before whole blocks were wanted may be more than can be had of these.
  const useful = ahead !== null && (!native || ahead <= cursor.height + mostFullBlocks);
  const reach = useful ? ahead : cursor.height + widthOf(node, request);
  const wanted = below?.upTo ?? Math.min(head.height, upTo);
  const height = Math.max(cursor.height, Math.min(wanted, reach));
  const known =
    below !== undefined
      ? null
      : height === cursor.height
        ? cursor
        : height === head.height && replaced === null
          ? head
          : null;
  const top = known === null ? 'block' : 'latest';
  // Whole blocks link to the cursor and show the last one's hash by themselves.
  const hash = native && known !== cursor ? null : (known?.hash ?? null);

  const from = cursor.height + 1;
  // Finalized first: a chain that grows while a node is asked call by call must not look contradictory.
  const calls = [
    getHeader('finalized'),
    getHeader(top === 'latest' ? 'latest' : height),
    getHeader(cursor.height),
  ];
  const asksLogs = height >= from && tokens.length > 0 && watch.size > 0;
  const recipients =
    asksLogs && node.recipientFilter && watch.size <= mostRecipients ? [...watch.keys()] : null;
  const logsAt = asksLogs ? calls.push(getTransfers({ tokens, from, to: height, recipients })) - 1 : null;
  const landmarkAt = below === undefined ? null : calls.push(getHeader(below.landmark.height)) - 1;
  // After the finalized block, for the same reason.
  const latestAt = request.showHead === true && top === 'block' ? calls.push(getHeader('latest')) - 1 : null;
  const fullBlocksAt = calls.length;
  if (native) for (let at = from; at <= height; at++) calls.push(getFullBlock(at));
  const expected = { cursor, to: { height, hash }, finalizedHeight: request.finalizedHeight };
  return { calls, expected, top, recipients, logsAt, landmarkAt, latestAt, fullBlocksAt, replaced };
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
