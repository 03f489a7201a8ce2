import type { AddressKey } from '../../core/address.ts';
import type { BlockRef, Transfer, TxHash } from '../../core/chain.ts';
import type { Network } from '../../core/networks.ts';
import { type Endpoints, NoNodeError, type Seen } from '../endpoints.ts';
import { lacks, NodeError, unavailable } from '../node-error.ts';
import { getReceipt } from './calls.ts';
import type { EvmNode } from './node.ts';
import type { RpcAnswer, RpcCall } from './rpc.ts';
import { readReceipt } from './shapes.ts';
import { getTrace, readTrace, type Trace, type TraceMethod, traceMethods } from './traces.ts';

/** A transaction in which a contract may have paid on: who was called, with how much, and where it was mined. */
export type ContractCall = { txHash: TxHash; to: AddressKey | null; value: bigint; block: BlockRef };

/** What contracts paid in a transaction, and who told. */
export type Traced = { host: string; transfers: Transfer[] };

/** What became of transactions that were to be traced. */
export type Tracing = {
  /** What contracts paid to watched addresses, by transaction. */
  traced: Map<TxHash, Traced>;
  /** Those that nobody could trace, and why. */
  untraced: ContractCall[];
  reason: string;
};

export type TraceRequest = {
  calls: readonly ContractCall[];
  watched: (key: AddressKey) => boolean;
  signal: AbortSignal;
  /** Nodes that are not asked. */
  except?: (node: EvmNode) => boolean;
};

export type Tracer = { trace(request: TraceRequest): Promise<Tracing> };

/** Transactions traced in one request. */
const atOnce = 20;

/**
 * Finds out what contracts paid in the chain's own coin, which leaves nothing in a block but what a node says about how
 * a transaction ran. The receipt of the same node proves that it ran in the block in question. A transaction that one
 * node cannot trace, because it is too long or its state is gone, is no fault of that node: the next one is asked.
 */
export function createTracer(deps: { endpoints: Endpoints<EvmNode>; network: Network }): Tracer {
  const { endpoints, network } = deps;
  /** How a node was asked with success. */
  const methods = new Map<EvmNode, TraceMethod>();

  async function trace({ calls, watched, signal, except }: TraceRequest): Promise<Tracing> {
    const traced = new Map<TxHash, Traced>();
    const asked = new Set<EvmNode>();
    let untraced = [...calls];
    let reason = '';
    while (untraced.length > 0) {
      const ask = async (node: EvmNode, seen: Seen) => {
        asked.add(node);
        const judged = await traceAll(node, { calls: untraced, watched, signal }, seen);
        return { host: node.host, judged };
      };
      try {
        const { host, judged } = await endpoints.ask(ask, signal, {
          needs: ['traces'],
          except: (node) => asked.has(node) || except?.(node) === true,
          aside: true,
        });
        for (const [txHash, judgement] of judged) {
          if ('reason' in judgement) reason = judgement.reason;
          else traced.set(txHash, { host, transfers: judgement.transfers });
        }
        untraced = untraced.filter(({ txHash }) => !traced.has(txHash));
      } catch (error) {
        if (!(error instanceof NoNodeError)) throw error;
        return { traced, untraced, reason: reason || error.message };
      }
    }
    return { traced, untraced, reason };
  }

  async function traceAll(
    node: EvmNode,
    { calls, ...request }: TraceRequest,
    seen: Seen,
  ): Promise<[TxHash, Judgement][]> {
    const judgements: [TxHash, Judgement][] = [];
    for (let at = 0; at < calls.length; at += atOnce) {
      judgements.push(...(await traceInPieces(node, { calls: calls.slice(at, at + atOnce), ...request })));
    }
    seen({ serves: 'traces' });
    return judgements;
  }

  /** In as many requests as it takes: one trace that is larger than any answer must not take the others along. */
  async function traceInPieces(
    node: EvmNode,
    { calls, ...request }: TraceRequest,
  ): Promise<[TxHash, Judgement][]> {
    try {
      return await traceSome(node, { calls, ...request });
    } catch (error) {
      if (!(error instanceof NodeError) || error.fault.kind !== 'too-much') throw error;
      const [first] = calls;
      if (first === undefined) return [];
      if (calls.length === 1) return [[first.txHash, { reason: error.message }]];
      const half = Math.ceil(calls.length / 2);
      return [
        ...(await traceInPieces(node, { calls: calls.slice(0, half), ...request })),
        ...(await traceInPieces(node, { calls: calls.slice(half), ...request })),
      ];
    }
  }

  /** @throws NodeError `lacks` when the node has neither way of tracing, another when it does not answer. */
  async function traceSome(
    node: EvmNode,
    { calls, watched, signal }: TraceRequest,
  ): Promise<[TxHash, Judgement][]> {
    const known = methods.get(node);
    const inOrder = known === undefined ? traceMethods : [known, ...traceMethods.filter((m) => m !== known)];
    let refusal: NodeError | null = null;
    for (const method of inOrder) {
      // The receipt last: if the chain changes in between, it is of another block.
      const asked = calls.flatMap(({ txHash }) => [getTrace(method, txHash), getReceipt(txHash)]);
      const answers = await sendUnlessRefused(node, asked, signal);
      refusal = answers instanceof NodeError ? answers : refusalIn(answers);
      if (refusal !== null || answers instanceof NodeError) continue;
      methods.set(node, method);
      return calls.map((call, i) => {
        const trace = tracing(method, answers[2 * i], answers[2 * i + 1]);
        return [call.txHash, judgeTrace(call, trace, network, watched)];
      });
    }
    methods.delete(node);
    throw refusal === null ? unavailable('the traces were not answered') : lacks('traces', refusal);
  }

  return { trace };
}

/** Some nodes refuse the whole request because of a method that they do not know. */
async function sendUnlessRefused(
  { client }: EvmNode,
  calls: readonly RpcCall[],
  signal: AbortSignal,
): Promise<RpcAnswer[] | NodeError> {
  try {
    return await client.send(calls, signal);
  } catch (error) {
    if (error instanceof NodeError && error.fault.kind === 'unsupported') return error;
    throw error;
  }
}

function refusalIn(answers: readonly RpcAnswer[]): NodeError | null {
  for (const answer of answers) {
    if ('error' in answer && answer.error.fault.kind === 'unsupported') return answer.error;
  }
  return null;
}

type Judgement = { transfers: Transfer[] } | { reason: string };

/** What one node answered about one transaction: results, or the reason why there is none. */
export type TraceAnswers = { method: TraceMethod; trace: unknown; receipt: unknown; reason: string };

function tracing(
  method: TraceMethod,
  trace: RpcAnswer | undefined,
  receipt: RpcAnswer | undefined,
): TraceAnswers {
  const resultOf = (answer: RpcAnswer | undefined) =>
    answer !== undefined && 'result' in answer ? answer.result : undefined;
  const reason = trace !== undefined && 'error' in trace ? trace.error.message : 'the trace is malformed';
  return { method, trace: resultOf(trace), receipt: resultOf(receipt), reason };
}

/** What contracts paid in this call's transaction, if it ran in the block in question; nothing where it failed there. */
export function judgeTrace(
  call: ContractCall,
  answers: TraceAnswers,
  network: Network,
  watched: (key: AddressKey) => boolean,
): Judgement {
  const { txHash, block } = call;
  const receipt = readReceipt(answers.receipt);
  if (receipt === null || receipt.txHash !== txHash) return { reason: 'the node has no receipt of it' };
  if (receipt.blockHash !== block.hash) return { reason: 'the node has it in another block' };
  if (!receipt.succeeded) return { transfers: [] };
  const trace = readTrace(answers.method, answers.trace);
  if (trace === null) return { reason: answers.reason };
  const same = (call.to === null || trace.to === call.to) && trace.value === call.value && !trace.failed;
  if (!same) return { reason: 'the trace is of another transaction' };
  return { transfers: toTransfers(trace, { network, txHash, block }, watched) };
}

/**
 * Numbers what each watched address received within the transaction from 0, its own value first, which is not among
 * the result: whole blocks show that without a trace.
 */
function toTransfers(
  trace: Pick<Trace, 'to' | 'value' | 'internal'>,
  place: Pick<Transfer, 'network' | 'txHash' | 'block'>,
  watched: (key: AddressKey) => boolean,
): Transfer[] {
  const counts = new Map<AddressKey, number>();
  if (trace.value > 0n) counts.set(trace.to, 1);
  return trace.internal.flatMap(({ to, amount }): Transfer[] => {
    if (!watched(to)) return [];
    const ordinal = counts.get(to) ?? 0;
    counts.set(to, ordinal + 1);
    return [
      { ...place, token: 'native', currency: 'native', recipient: to, ordinal, amount, logIndex: null },
    ];
  });
}
