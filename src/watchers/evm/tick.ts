import type { ChainConfig } from '../../config.ts';
import type { AddressKey } from '../../core/address.ts';
import type { BlockRef, Transfer } from '../../core/chain.ts';
import type { Capability } from '../../core/node.ts';
import type { Seen } from '../endpoints.ts';
import { contradiction, lacks, NodeError } from '../node-error.ts';
import type { PollOutcome, PollRequest, Span } from '../source.ts';
import { type Expectation, judgeBlocks, judgeHeaders, judgeLandmark, judgeLogs } from './accept.ts';
import { getFullBlock, getHeader, getReceipt, getTransfers } from './calls.ts';
import {
  findContractCalls,
  judgePayment,
  matchPayments,
  mostFullBlocks,
  toNativeTransfer,
} from './native.ts';
import type { EvmNode } from './node.ts';
import { doubtSilence } from './quiet.ts';
import type { RateAlarm } from './rate-alarm.ts';
import type { RpcAnswer, RpcCall } from './rpc.ts';
import { type FullBlock, type Header, readHeader, refOf } from './shapes.ts';
import type { ContractCall } from './tracer.ts';
import { type MatchedLog, type TokenCurrencies, toTransfers } from './transfers.ts';
import { resultOf } from './verify.ts';

export type TickContext = {
  chain: ChainConfig;
  /** As configured, for the filter. */
  tokens: readonly string[];
  currencies: TokenCurrencies;
  /** How often each token moves. */
  rates: RateAlarm;
};

/** A poll, or a reading of what lies below a block that is known: up to `upTo`, by a node that has that block. */
export type TickRequest = PollRequest & { below?: { upTo: number; landmark: BlockRef } };

/** What a poll came to. What contracts paid in the native coin is not among the transfers yet. */
export type TickOutcome =
  | Exclude<PollOutcome, { kind: 'span' }>
  | { kind: 'span'; span: Span; contractCalls: ContractCall[] };

/** geth takes at most this many values at one place of a filter. */
const mostRecipients = 1000;

/** What is asked of a node in one batch: the finalized block, `top`, the block at the cursor, logs, whole blocks. */
type Plan = {
  calls: RpcCall[];
  expected: Expectation;
  /** `latest` where an earlier answer showed the block to read to, else that block. */
  top: 'latest' | 'block';
  recipients: readonly AddressKey[] | null;
  /** Where in `calls` the logs are; null when none are asked for. */
  logsAt: number | null;
  /** The same of the landmark's header. */
  landmarkAt: number | null;
  fullBlocksAt: number;
  /** The node's latest block, where that is known to be on another branch than the head seen before. */
  replaced: Header | null;
};

/** What a node must serve for this. */
export function needsOf({ watch }: TickRequest, { chain, tokens }: TickContext): Capability[] {
  const needs: Capability[] = chain.finality === 'finalized' ? ['finalized'] : [];
  return tokens.length > 0 && watch.size > 0 ? [...needs, 'logs'] : needs;
}

/**
 * Reads on from the cursor: one batch to one node, and a second one where something was found. A node that
 * refuses the range is asked for a narrower one at once.
 *
 * @throws NodeError when the node gave no answer that proves itself.
 */
export async function readSpan(
  node: EvmNode,
  request: TickRequest,
  context: TickContext,
  seen: Seen,
): Promise<TickOutcome> {
  let replaced: Header | null = null;
  for (;;) {
    const plan = planTick(node, request, context, replaced);
    let answers: RpcAnswer[];
    try {
      answers = await node.client.send(plan.calls, request.signal);
      if (plan.logsAt !== null) checkLogs(answers, plan.logsAt);
    } catch (error) {
      if (!(error instanceof NodeError) || !adapt(node, plan, error)) throw error;
      continue;
    }
    const outcome = await readAnswers(node, request, context, plan, answers, seen);
    if (outcome.kind !== 'moved') return outcome;
    // Asked without a hash, the node shows the block itself: this happens once.
    replaced = outcome.top;
  }
}

/** @throws NodeError that the node gave instead of logs. */
function checkLogs(answers: readonly RpcAnswer[], logsAt: number): void {
  const [, top] = answers;
  const logs = answers[logsAt];
  const refused = logs !== undefined && 'error' in logs && logs.error.fault.kind === 'unsupported';
  // A node that serves nothing at all, for want of a key perhaps, says nothing about logs.
  if (refused && top !== undefined && 'result' in top) throw lacks('logs', logs.error);
  resultOf(logs);
}

/** Whether the node takes the hint: then the same is asked again, narrower. */
function adapt(node: EvmNode, { expected, recipients }: Plan, error: NodeError): boolean {
  const { kind } = error.fault;
  if (kind === 'too-wide' || kind === 'too-much') {
    return node.range.refused(expected.to.height - expected.cursor.height, error.fault);
  }
  if (kind !== 'filter-too-long' || recipients === null) return false;
  node.recipientFilter = false;
  return true;
}

function planTick(
  node: EvmNode,
  request: TickRequest,
  { tokens }: TickContext,
  replaced: Header | null,
): Plan {
  const { cursor, head, watch, native, below } = request;
  const width = Math.min(node.range.width(), native ? mostFullBlocks : Number.POSITIVE_INFINITY);
  const height = Math.max(cursor.height, Math.min(below?.upTo ?? head.height, cursor.height + width));
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
  const fullBlocksAt = calls.length;
  if (native) for (let at = from; at <= height; at++) calls.push(getFullBlock(at));
  const expected = { cursor, to: { height, hash }, finalizedHeight: request.finalizedHeight };
  return { calls, expected, top, recipients, logsAt, landmarkAt, fullBlocksAt, replaced };
}

async function readAnswers(
  node: EvmNode,
  request: TickRequest,
  context: TickContext,
  plan: Plan,
  answers: readonly RpcAnswer[],
  seen: Seen,
): Promise<TickOutcome | { kind: 'moved'; top: Header }> {
  const { cursor, watch } = request;
  const { expected, top, logsAt } = plan;
  const shownTop = resultOf(answers[1]);
  const finalizedAnswer = readFinalized(answers[0], context.chain);
  // Whatever it proves: how far behind a node is, is worth knowing.
  const head = top === 'latest' ? readHeader(shownTop) : null;
  if (head !== null) seen({ head: head.height, finalized: readHeader(finalizedAnswer)?.height ?? null });
  const headers = { finalized: finalizedAnswer, top: shownTop, cursor: resultOf(answers[2]) };
  const verdict = judgeHeaders(expected, headers, top);
  if (verdict.kind !== 'proven') return verdict;
  const { finalized, witnesses } = verdict;
  if (plan.landmarkAt !== null && request.below !== undefined)
    judgeLandmark(resultOf(answers[plan.landmarkAt]), request.below.landmark, witnesses);
  const finalizedHeight = finalized?.height ?? null;
  seen({ finalized: finalizedHeight });

  const full = judgeBlocks(answers.slice(plan.fullBlocksAt).map(resultOf), cursor, witnesses);
  for (const block of full) witnesses.set(block.height, block.hash);
  const range = { from: cursor.height + 1, to: expected.to.height, tokens: context.currencies, witnesses };
  const logs = logsAt === null ? [] : resultOf(answers[logsAt]);
  const matched = judgeLogs(logs, range, (key) => watch.has(key));
  if (logsAt !== null) {
    node.range.served(range.to - cursor.height, (logs as unknown[]).length);
    seen({ serves: 'logs' });
  }
  if (logsAt !== null && plan.recipients === null) {
    const whole = { from: range.from, to: range.to, logs: logs as unknown[] };
    await doubtSilence(node.client, context.rates, whole, request.signal);
  }

  const to = endOf(request, plan, verdict.top, full);
  const shown = [...full, to, verdict.top, ...(finalized === null ? [] : [finalized])];
  const transfers = await complete(node, request, context, matched, full, shown);
  const anchors = [...transfers.map(({ block }) => block), ...shown.map(refOf)].filter(
    ({ height }) => height > cursor.height && height < to.height,
  );
  return {
    kind: 'span',
    span: {
      host: node.host,
      to,
      head: headOf(request, plan, verdict.top),
      // Finality of blocks that were not read is a claim that nothing has proven, and nobody needs.
      finalizedHeight: finalizedHeight === null ? null : Math.min(finalizedHeight, to.height),
      transfers,
      anchors,
      untraced: [],
    },
    contractCalls: findContractCalls(full, watch, context.currencies),
  };
}

/** Null where the node does not tell and the operator asks for depth alone. */
function readFinalized(answer: RpcAnswer | undefined, { finality }: ChainConfig): unknown {
  const result = answer !== undefined && 'result' in answer ? answer.result : null;
  if (result !== null || finality === 'depth') return result;
  const error = answer !== undefined && 'error' in answer ? answer.error : null;
  const message = `it does not tell the finalized block, which finality "finalized" needs${error === null ? '' : `: ${error.message}`}`;
  const lacking = error?.fault.kind === 'unsupported';
  throw new NodeError(
    lacking ? { kind: 'lacks', what: 'finalized' } : (error?.fault ?? { kind: 'behind' }),
    message,
  );
}

function endOf(
  { cursor, head }: PollRequest,
  { top, expected }: Plan,
  shown: Header,
  full: readonly FullBlock[],
): BlockRef {
  if (expected.to.height === cursor.height) return cursor;
  const last = full.at(-1);
  if (last !== undefined) return refOf(last);
  return top === 'block' ? refOf(shown) : head;
}

/** The latest block is at or above the head seen before: an answer whose head went backwards was not believed. */
function headOf({ head }: PollRequest, { top, replaced }: Plan, shown: Header): BlockRef {
  const latest = replaced ?? (top === 'latest' ? shown : null);
  return latest === null ? head : refOf(latest);
}

/** Asks the same node for what the transfers found still lack: their blocks' times, or their receipts. */
async function complete(
  { client }: EvmNode,
  { watch, signal }: PollRequest,
  { chain, currencies }: TickContext,
  logs: readonly MatchedLog[],
  full: readonly FullBlock[],
  shown: readonly BlockRef[],
): Promise<Transfer[]> {
  const blocks = new Map(shown.map((block) => [block.height, refOf(block)]));
  const heights = [...new Set(logs.map(({ height }) => height))].filter((height) => !blocks.has(height));
  const payments = matchPayments(full, (key) => watch.has(key));
  const calls = [...heights.map(getHeader), ...payments.map(({ txHash }) => getReceipt(txHash))];
  const results = calls.length === 0 ? [] : (await client.send(calls, signal)).map(resultOf);
  for (const [i, height] of heights.entries()) {
    const header = readHeader(results[i]);
    if (header?.height !== height) throw contradiction(`it showed logs of block ${height} but not the block`);
    blocks.set(height, refOf(header));
  }
  for (const { height, blockHash } of logs) {
    if (blocks.get(height)?.hash !== blockHash) throw contradiction(`logs at ${height} are of another block`);
  }
  const paid = payments.filter((payment, i) => judgePayment(results[heights.length + i], payment));
  const transfers = toTransfers(logs, chain.network, currencies, blocks);
  transfers.push(...paid.map((payment) => toNativeTransfer(chain.network, payment)));
  return transfers.sort((a, b) => a.block.height - b.block.height);
}
