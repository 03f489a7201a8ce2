import { lacks, NodeError, type NodeFault } from '../../nodes/fault.ts';
import type { RpcAnswer } from '../../nodes/json-rpc.ts';
import { getHeader } from './calls.ts';
import { readHeader } from './decode.ts';
import type { EvmNode } from './node.ts';
import { type Plan, prefetchNext, type Reading } from './plan.ts';
import { resultOf } from './preflight.ts';

/*
 * Asking one node for a range of blocks: whether a failure is about the range, so that a narrower one may be served, or
 * about the node.
 */

/** How long the question whether the node answers at all may take, ms. */
const headWaitMs = 3_000;

/** How long a node is left alone that was slow and will be asked for less, ms. */
const lessSoonMs = 1_000;

/**
 * The node's answers, or why it failed to serve the range.
 *
 * @throws NodeError when the range is not the reason.
 */
export async function askFor(reading: Reading, plan: Plan): Promise<RpcAnswer[] | NodeError> {
  const { node, request } = reading;
  let answers: RpcAnswer[];
  try {
    answers = await send(reading, plan);
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

function send({ node, request, context }: Reading, plan: Plan): Promise<RpcAnswer[]> {
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
export function narrow(
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
