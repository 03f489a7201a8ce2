import type { ChainConfig } from '../../config.ts';
import { type BlockRef, sameBlock, type Transfer } from '../../core/chain.ts';
import type { Capability } from '../../core/node.ts';
import type { Seen } from '../../nodes/failover.ts';
import { contradiction, NodeError } from '../../nodes/fault.ts';
import type { RpcAnswer } from '../../nodes/json-rpc.ts';
import type { PollOutcome, PollRequest, Span } from '../source.ts';
import { askFor, narrow } from './ask.ts';
import { getHeader, getReceipt } from './calls.ts';
import { type FullBlock, type Header, readHeader, refOf } from './decode.ts';
import { checkForMissingLogs } from './log-gaps.ts';
import { type MatchedLog, toTransfers } from './logs.ts';
import { findContractCalls, judgePayment, matchPayments, toNativeTransfer } from './native.ts';
import type { EvmNode } from './node.ts';
import { type Plan, planRead, type ReadContext, type Reading, type ReadRequest, type Shown } from './plan.ts';
import { resultOf } from './preflight.ts';
import type { ContractCall } from './trace-decode.ts';
import {
  type HeaderAnswers,
  judgeAnchor,
  judgeBlocks,
  judgeHeaders,
  judgeLogs,
  showReplaced,
  type Witnesses,
} from './validate.ts';

/** A block with a transfer to us costs a request of its own. For the width of a range it counts as this many logs. */
const costOfFound = 10;

/** What a poll came to. What contracts paid in the native coin is not among the transfers yet. */
export type ReadOutcome =
  | Exclude<PollOutcome, { kind: 'span' }>
  | { kind: 'span'; span: Span; contractCalls: ContractCall[] };

/** What a node must serve for this. */
export function needsOf({ watch }: ReadRequest, { chain, tokens }: ReadContext): Capability[] {
  const needs: Capability[] = chain.finality === 'finalized' ? ['finalized'] : [];
  return tokens.length > 0 && watch.size > 0 ? [...needs, 'logs'] : needs;
}

/** The answer does not show that the range is of the chain: the node is asked again, from its latest block `top`. */
type Inconclusive = { kind: 'moved' | 'unproven'; top: Header };

/**
 * Reads on from the cursor: one batch to one node, and a second one where something was found. A node that
 * fails to serve the range, though it serves heads, is asked for a narrower one, whatever it says.
 *
 * @throws NodeError when the node gave no answer that proves itself.
 */
export async function readSpan(
  node: EvmNode,
  request: ReadRequest,
  context: ReadContext,
  seen: Seen,
): Promise<ReadOutcome> {
  // Only the poll asks ahead. The second reading runs beside it, and must not touch what it has asked for.
  const readsOn = request.below === undefined;
  try {
    const outcome = await readRange({ node, request, context, seen });
    if (readsOn && outcome.kind === 'reorg') node.prefetch.forget();
    return outcome;
  } catch (error) {
    if (readsOn) node.prefetch.forget();
    throw error;
  }
}

async function readRange(reading: Reading): Promise<ReadOutcome> {
  const { node, request, context } = reading;
  let shown: Shown | null = null;
  for (;;) {
    const plan = planRead(node, request, context, shown);
    const answers = await askFor(reading, plan);
    if (answers instanceof NodeError) {
      narrow(node, plan, answers);
      continue;
    }
    let outcome: ReadOutcome | Inconclusive;
    try {
      outcome = await readAnswers(reading, plan, answers);
    } catch (error) {
      // What was found takes more to ask about than the node can give at once.
      if (!(error instanceof NodeError) || error.fault.kind !== 'too-much') throw error;
      narrow(node, plan, error);
      continue;
    }
    if (!('top' in outcome)) return outcome;
    // Asked once more from the latest block that it has shown, or without a hash, the node proves the range. Each happens once at most.
    shown = { latest: outcome.top, replaced: outcome.kind === 'moved' };
  }
}

/**
 * What the answers prove: first that they are of our chain, then which transfers lie in the range.
 *
 * @throws NodeError when they contradict each other or what was read before, or leave something out.
 */
async function readAnswers(
  reading: Reading,
  plan: Plan,
  answers: readonly RpcAnswer[],
): Promise<ReadOutcome | Inconclusive> {
  const { node, request, context, seen } = reading;
  const { cursor, below, watch } = request;
  const headers = headersOf(plan, answers, context.chain);
  const head = plan.top === 'latest' ? readHeader(headers.top) : null;
  const final = readHeader(headers.finalized);
  // Whatever the answer proves: how far behind a node is, is worth knowing.
  if (head !== null) seen({ head: head.height, ...(final === null ? {} : { finalized: final.height }) });
  const verdict = judgeHeaders(plan.expected, headers, plan.top);
  // The node's latest block is still the one that was read last.
  if (verdict.kind === 'unproven' && sameBlock(verdict.top, cursor)) return nothingNew(node, request, final);
  if (verdict.kind !== 'proven') return verdict;
  const { top, finalized, witnesses } = verdict;
  if (plan.anchorAt !== null && below !== undefined)
    judgeAnchor(resultOf(answers[plan.anchorAt]), below.anchor, witnesses);
  const finalizedHeight = finalized?.height ?? null;
  if (plan.finalizedAt !== null) {
    seen({ finalized: finalizedHeight });
    node.finalized = finalizedHeight;
  }
  const latest = latestOf(plan, answers);
  if (latest !== null) seen({ head: latest.height });

  const full = judgeBlocks(answers.slice(plan.fullBlocksAt).map(resultOf), cursor, witnesses);
  for (const block of full) witnesses.set(block.height, block.hash);
  // Where nothing is asked for in the blocks, the node's latest block is read to, though another one was expected.
  const takesTop = top.height <= plan.anyUpTo;
  /** The highest block that is known to be on the node's chain now. */
  const standing = takesTop ? top.height : verdict.standing;
  const matched = await readLogs(reading, plan, { answers, witnesses, standing });
  if (matched === null) return { kind: 'moved', top };

  // A block that is known is not shown again where the node's latest is further.
  const to = refOf(full.at(-1) ?? (takesTop ? null : plan.end) ?? top);
  const shown = [...full, to, top];
  const transfers = await complete(reading, matched, {
    full,
    shown: finalized === null ? shown : [...shown, finalized],
  });
  // Not the finalized block, whose hash nothing links to these: made up, it would look like a final block replaced.
  const anchors = [...transfers.map(({ block }) => block), ...shown.map(refOf)].filter(
    ({ height }) => height > cursor.height && height < to.height,
  );
  const isYoung = plan.expected.seen !== undefined || plan.latest !== null || takesTop;
  return {
    kind: 'span',
    span: {
      host: node.host,
      ...(isYoung ? { young: true } : {}),
      to,
      head: headOf(request, plan, top, latest),
      // That blocks are final which were not read, or may have been replaced, is a claim that nothing has proven.
      finalizedHeight: finalizedHeight === null ? null : Math.min(finalizedHeight, standing),
      transfers,
      anchors,
      untraced: [],
    },
    contractCalls: findContractCalls(full, watch, context.currencies),
  };
}

function headersOf(plan: Plan, answers: readonly RpcAnswer[], chain: ChainConfig): HeaderAnswers {
  const { topAt, cursorAt, finalizedAt } = plan;
  return {
    top: resultOf(answers[topAt]),
    finalized: finalizedAt === null ? null : readFinalized(answers[finalizedAt], chain),
    cursor: cursorAt === null ? undefined : resultOf(answers[cursorAt]),
  };
}

/** The node's latest block, where the plan asks for it beside the block to read to. @throws NodeError. */
function latestOf({ latestAt, expected }: Plan, answers: readonly RpcAnswer[]): Header | null {
  if (latestAt === null) return null;
  const latest = readHeader(resultOf(answers[latestAt]));
  if (latest === null || latest.height < expected.to.height)
    throw contradiction('its latest block is missing, or below one that it has');
  return latest;
}

/**
 * The logs of the range that pay watched addresses. Null where they show that the block at its end was replaced.
 *
 * @throws NodeError where they prove nothing, or are suspiciously few.
 */
async function readLogs(
  { node, request, context, seen }: Reading,
  { expected, logsAt, recipients }: Plan,
  shown: { answers: readonly RpcAnswer[]; witnesses: Witnesses; standing: number },
): Promise<MatchedLog[] | null> {
  if (logsAt === null) return [];
  const { cursor, watch, signal } = request;
  const { witnesses, standing } = shown;
  const logs = resultOf(shown.answers[logsAt]);
  const { height: to, hash } = expected.to;
  if (hash !== null && standing < to && showReplaced(logs, { height: to, hash })) return null;
  const from = cursor.height + 1;
  const matched = judgeLogs(logs, { from, to, tokens: context.currencies, witnesses }, (key) =>
    watch.has(key),
  );
  const all = logs as unknown[];
  const found = new Set(matched.map(({ height }) => height)).size;
  node.range.served(to - cursor.height, Math.max(all.length, found * costOfFound));
  seen({ serves: 'logs' });
  // Where the filter names recipients, silence is what is to be expected.
  if (recipients === null)
    await checkForMissingLogs(node.client, context.rates, { from, to, logs: all }, signal);
  return matched;
}

/** The block that was expected is not there yet. */
function nothingNew(node: EvmNode, { cursor }: ReadRequest, finalized: Header | null): ReadOutcome {
  const finalizedHeight = finalized === null ? null : Math.min(finalized.height, cursor.height);
  return {
    kind: 'span',
    span: {
      host: node.host,
      to: cursor,
      head: cursor,
      finalizedHeight,
      transfers: [],
      anchors: [],
      untraced: [],
    },
    contractCalls: [],
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

/** The latest block is at or above the head seen before: an answer whose head went backwards was not believed. */
function headOf(
  { head }: PollRequest,
  { top, latest: before }: Plan,
  shown: Header,
  latest: Header | null,
): BlockRef {
  const known = top === 'latest' ? shown : (before ?? latest);
  return known === null || known.height < head.height ? head : refOf(known);
}

/** Asks the same node for what the transfers found still lack: their blocks' times, or their receipts. */
async function complete(
  { node, request, context }: Reading,
  logs: readonly MatchedLog[],
  { full, shown }: { full: readonly FullBlock[]; shown: readonly BlockRef[] },
): Promise<Transfer[]> {
  const { watch, signal } = request;
  const { chain, currencies } = context;
  const blocks = new Map(shown.map((block) => [block.height, refOf(block)]));
  const heights = [...new Set(logs.map(({ height }) => height))].filter((height) => !blocks.has(height));
  const payments = matchPayments(full, (key) => watch.has(key));
  const calls = [...heights.map(getHeader), ...payments.map(({ txHash }) => getReceipt(txHash))];
  const results = calls.length === 0 ? [] : (await node.client.send(calls, signal)).map(resultOf);
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
