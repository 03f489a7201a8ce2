import type { ChainConfig } from '../../config.ts';
import { type BlockRef, sameBlock, type Transfer } from '../../core/chain.ts';
import type { Capability } from '../../core/node.ts';
import type { Seen } from '../../nodes/failover.ts';
import { contradiction, lacks, NodeError, type NodeFault } from '../../nodes/fault.ts';
import type { RpcAnswer } from '../../nodes/json-rpc.ts';
import type { PollOutcome, PollRequest, Span } from '../source.ts';
import { getHeader, getReceipt } from './calls.ts';
import { type FullBlock, type Header, readHeader, refOf } from './decode.ts';
import { doubtSilence } from './log-gaps.ts';
import { type MatchedLog, toTransfers } from './logs.ts';
import { findContractCalls, judgePayment, matchPayments, toNativeTransfer } from './native.ts';
import type { EvmNode } from './node.ts';
import { type Plan, planRead, prefetchNext, type ReadContext, type ReadRequest, type Shown } from './plan.ts';
import { resultOf } from './preflight.ts';
import type { ContractCall } from './trace-decode.ts';
import { judgeAnchor, judgeBlocks, judgeHeaders, judgeLogs, showReplaced } from './validate.ts';

/** A block in which something was found has to be asked about by itself: that costs as much as so many logs. */
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

/** How long the question whether the node answers at all may take, ms. */
const headWaitMs = 3_000;

/** How long a node is left alone that was slow and will be asked for less, ms. */
const lessSoonMs = 1_000;

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
  // What was read before is read again beside the reading on, which alone asks ahead.
  const readsOn = request.below === undefined;
  try {
    const outcome = await readFrom(node, request, context, seen);
    if (readsOn && outcome.kind === 'reorg') node.prefetch.forget();
    return outcome;
  } catch (error) {
    if (readsOn) node.prefetch.forget();
    throw error;
  }
}

async function readFrom(
  node: EvmNode,
  request: ReadRequest,
  context: ReadContext,
  seen: Seen,
): Promise<ReadOutcome> {
  let shown: Shown | null = null;
  for (;;) {
    const plan = planRead(node, request, context, shown);
    const answers = await askFor(node, request, context, plan);
    if (answers instanceof NodeError) {
      narrow(node, plan, answers);
      continue;
    }
    let outcome: ReadOutcome | { kind: 'moved' | 'unproven'; top: Header };
    try {
      outcome = await readAnswers(node, request, context, plan, answers, seen);
    } catch (error) {
      // What was found takes more to ask about than the node can give at once.
      if (!(error instanceof NodeError) || error.fault.kind !== 'too-much') throw error;
      narrow(node, plan, error);
      continue;
    }
    if (!('top' in outcome)) return outcome;
    // Asked for the latest block that it has shown, or without a hash, the node proves the range: this happens once each.
    shown = { latest: outcome.top, replaced: outcome.kind === 'moved' };
  }
}

/**
 * The node's answers, or why it failed to serve the range.
 *
 * @throws NodeError when the range is not the reason.
 */
async function askFor(
  node: EvmNode,
  request: ReadRequest,
  context: ReadContext,
  plan: Plan,
): Promise<RpcAnswer[] | NodeError> {
  let answers: RpcAnswer[];
  try {
    answers = await send(node, request, context, plan);
  } catch (error) {
    const failed = error instanceof NodeError && asksForRange(plan);
    if (failed && (speaksOfRange(error) || (await showsHead(node, request.signal)))) return error;
    throw error;
  }
  const refusal = answers.slice(plan.logsAt ?? plan.fullBlocksAt).find((answer) => 'error' in answer);
  if (refusal === undefined || !asksForRange(plan)) return answers;
  // A node that serves nothing at all, for want of a key perhaps, says nothing about the range.
  const top = readHeader(resultOf(answers[plan.topAt]));
  // Nor does one that has not got there yet.
  const { seen, to } = plan.expected;
  return seen !== undefined && top !== null && top.height < to.height ? answers : refusal.error;
}

function send(node: EvmNode, request: ReadRequest, context: ReadContext, plan: Plan): Promise<RpcAnswer[]> {
  if (request.below !== undefined) return node.client.send(plan.calls, request.signal);
  const answers = node.prefetch.answers(plan.calls, request.signal);
  prefetchNext(node, request, context, plan);
  return answers;
}

function asksForRange({ logsAt, fullBlocksAt, calls }: Plan): boolean {
  return logsAt !== null || calls.length > fullBlocksAt;
}

/** Who wants fewer requests gets no further one to find out whether it is the range that costs too much. */
function speaksOfRange({ fault }: NodeError): boolean {
  const { kind } = fault;
  return kind === 'too-wide' || kind === 'too-much' || kind === 'filter-too-long' || isThrottled(fault);
}

function isThrottled(fault: NodeFault): boolean {
  return fault.kind === 'unavailable' && fault.throttled === true;
}

/** After a request that failed as a whole: whether the node answers what does not depend on the range. */
async function showsHead({ client }: EvmNode, signal: AbortSignal): Promise<boolean> {
  try {
    const wait = AbortSignal.any([signal, AbortSignal.timeout(headWaitMs)]);
    const [latest] = await client.send([getHeader('latest')], wait);
    return readHeader(resultOf(latest)) !== null;
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof NodeError || error instanceof DOMException) return false;
    throw error;
  }
}

/**
 * Notes that the node failed to serve the range of a plan; returns where a narrower one may be asked for at once.
 *
 * @throws NodeError where nothing is narrower, or the node should have a rest and others their turn.
 */
function narrow(
  node: EvmNode,
  { expected, recipients, logsAt, calls, fullBlocksAt }: Plan,
  error: NodeError,
) {
  const { fault } = error;
  if (fault.kind === 'filter-too-long' && recipients !== null) {
    node.recipientFilter = false;
    return;
  }
  const throttled = isThrottled(fault);
  if (node.range.refused(expected.to.height - expected.cursor.height, fault)) {
    if (throttled) throw error;
    if (fault.kind !== 'unavailable' || fault.late !== true) return;
    throw new NodeError({ ...fault, retryAfterMs: lessSoonMs }, error.message, { cause: error });
  }
  const nothingButLogs = logsAt !== null && calls.length === fullBlocksAt;
  if (!nothingButLogs || throttled || fault.kind === 'behind') throw error;
  throw lacks('logs', error);
}

async function readAnswers(
  node: EvmNode,
  request: ReadRequest,
  context: ReadContext,
  plan: Plan,
  answers: readonly RpcAnswer[],
  seen: Seen,
): Promise<ReadOutcome | { kind: 'moved' | 'unproven'; top: Header }> {
  const { cursor, watch } = request;
  const { expected, top, logsAt, finalizedAt, topAt, cursorAt } = plan;
  const shownTop = resultOf(answers[topAt]);
  const finalizedAnswer = finalizedAt === null ? null : readFinalized(answers[finalizedAt], context.chain);
  // Whatever it proves: how far behind a node is, is worth knowing.
  const head = top === 'latest' ? readHeader(shownTop) : null;
  const final = readHeader(finalizedAnswer);
  if (head !== null) seen({ head: head.height, ...(final === null ? {} : { finalized: final.height }) });
  const cursorAnswer = cursorAt === null ? undefined : resultOf(answers[cursorAt]);
  const headers = { finalized: finalizedAnswer, top: shownTop, cursor: cursorAnswer };
  const verdict = judgeHeaders(expected, headers, top);
  // The node's latest block is still the one that was read last.
  if (verdict.kind === 'unproven' && sameBlock(verdict.top, cursor)) return nothingNew(node, request, final);
  if (verdict.kind !== 'proven') return verdict;
  const { finalized, witnesses } = verdict;
  const takesTop = verdict.top.height <= plan.anyUpTo;
  const standing = takesTop ? verdict.top.height : verdict.standing;
  if (plan.anchorAt !== null && request.below !== undefined)
    judgeAnchor(resultOf(answers[plan.anchorAt]), request.below.anchor, witnesses);
  const finalizedHeight = finalized?.height ?? null;
  if (finalizedAt !== null) {
    seen({ finalized: finalizedHeight });
    node.finalized = finalizedHeight;
  }

  const latest = plan.latestAt === null ? null : readHeader(resultOf(answers[plan.latestAt]));
  if (plan.latestAt !== null && (latest === null || latest.height < expected.to.height))
    throw contradiction('its latest block is missing, or below one that it has');
  if (latest !== null) seen({ head: latest.height });

  const full = judgeBlocks(answers.slice(plan.fullBlocksAt).map(resultOf), cursor, witnesses);
  for (const block of full) witnesses.set(block.height, block.hash);
  const range = { from: cursor.height + 1, to: expected.to.height, tokens: context.currencies, witnesses };
  const logs = logsAt === null ? [] : resultOf(answers[logsAt]);
  const { height, hash } = expected.to;
  if (hash !== null && standing < height && showReplaced(logs, { height, hash }))
    return { kind: 'moved', top: verdict.top };
  const matched = judgeLogs(logs, range, (key) => watch.has(key));
  if (logsAt !== null) {
    const found = new Set(matched.map((log) => log.height)).size;
    node.range.served(range.to - cursor.height, Math.max((logs as unknown[]).length, found * costOfFound));
    seen({ serves: 'logs' });
  }
  if (logsAt !== null && plan.recipients === null) {
    const whole = { from: range.from, to: range.to, logs: logs as unknown[] };
    await doubtSilence(node.client, context.rates, whole, request.signal);
  }

  // A block that is known is not shown again where the node's latest is further.
  const to = refOf(full.at(-1) ?? (takesTop ? null : plan.end) ?? verdict.top);
  const shown = [...full, to, verdict.top];
  const known = finalized === null ? shown : [...shown, finalized];
  const transfers = await complete(node, request, context, matched, full, known);
  // Not the finalized block, whose hash nothing links to these: made up, it would look like a final block replaced.
  const anchors = [...transfers.map(({ block }) => block), ...shown.map(refOf)].filter(
    ({ height }) => height > cursor.height && height < to.height,
  );
  return {
    kind: 'span',
    span: {
      host: node.host,
      ...(expected.seen !== undefined || plan.latest !== null || takesTop ? { young: true } : {}),
      to,
      head: headOf(request, plan, verdict.top, latest),
      // That blocks are final which were not read, or may have been replaced, is a claim that nothing has proven.
      finalizedHeight: finalizedHeight === null ? null : Math.min(finalizedHeight, standing),
      transfers,
      anchors,
      untraced: [],
    },
    contractCalls: findContractCalls(full, watch, context.currencies),
  };
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
  { client }: EvmNode,
  { watch, signal }: PollRequest,
  { chain, currencies }: ReadContext,
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
