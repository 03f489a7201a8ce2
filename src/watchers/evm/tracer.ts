import type { AddressKey } from '../../core/address.ts';
import type { Transfer, TxHash } from '../../core/chain.ts';
import type { Network } from '../../core/networks.ts';
import { type Endpoints, NoNodeError, type Seen } from '../../nodes/failover.ts';
import { lacks, NodeError, unavailable } from '../../nodes/fault.ts';
import { type RpcAnswer, type RpcCall, requestTimeoutMs } from '../../nodes/json-rpc.ts';
import { getReceipt } from './calls.ts';
import type { EvmNode } from './node.ts';
import {
  type ContractCall,
  getTrace,
  type Judgement,
  judgeTrace,
  type TraceWay,
  traceLimitMs,
  traceWays,
  tracing,
} from './trace-decode.ts';

/** What contracts paid in a transaction, and who told. */
export type Traced = { host: string; transfers: Transfer[] };

/** What became of transactions that were to be traced. */
export type Tracing = {
  /** What contracts paid to watched addresses, by transaction. */
  traced: Map<TxHash, Traced>;
  /** Those that nobody could trace, and why. */
  untraced: ContractCall[];
  reason: string;
  /** Whether a node was not asked for all of them, because too many took too long: another try would take as long. */
  gaveUp: boolean;
};

export type TraceRequest = {
  calls: readonly ContractCall[];
  watched: (key: AddressKey) => boolean;
  signal: AbortSignal;
  /** Nodes that are not asked. */
  except?: (node: EvmNode) => boolean;
};

export type Tracer = { trace(request: TraceRequest): Promise<Tracing> };

/** Transactions traced in one request: a node traces one after the other, and each may take its time. */
const atOnce = Math.floor((0.8 * requestTimeoutMs) / traceLimitMs);

/**
 * How long a node may be busy, each time, with what comes to nothing: two transactions that take all their time. For a few dollars
 * anybody can send one that names an address of ours and takes a node seconds to trace, and meanwhile the chain is not read.
 */
const mostWastedMs = 2 * traceLimitMs;

/** What a node was asked for in vain so far, ms. */
type Waste = { ms: number };

/**
 * Finds out what contracts paid in the chain's own coin, which leaves nothing in a block but what a node says about how
 * a transaction ran. The receipt of the same node proves that it ran in the block in question. A transaction that one
 * node cannot trace, because it is too long or its state is gone, is no fault of that node: the next one is asked.
 */
export function createTracer(deps: { endpoints: Endpoints<EvmNode>; network: Network }): Tracer {
  const { endpoints, network } = deps;
  /** How a node was asked with success. */
  const ways = new Map<EvmNode, TraceWay>();

  async function trace({ calls, watched, signal, except }: TraceRequest): Promise<Tracing> {
    const traced = new Map<TxHash, Traced>();
    const asked = new Set<EvmNode>();
    // What may run for a short time only is first: that cannot be kept from being traced by what takes long.
    let untraced = calls.toSorted((a, b) => a.gas - b.gas);
    let reason = '';
    let gaveUp = false;
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
        gaveUp ||= judged.length < untraced.length;
        for (const [txHash, judgement] of judged) {
          if ('reason' in judgement) reason = judgement.reason;
          else traced.set(txHash, { host, transfers: judgement.transfers });
        }
        untraced = untraced.filter(({ txHash }) => !traced.has(txHash));
      } catch (error) {
        if (!(error instanceof NoNodeError)) throw error;
        return { traced, untraced, reason: reason || error.message, gaveUp };
      }
    }
    return { traced, untraced, reason, gaveUp };
  }

  /** In their order, all of them or as many as do not take too long. */
  async function traceAll(
    node: EvmNode,
    { calls, ...request }: TraceRequest,
    seen: Seen,
  ): Promise<[TxHash, Judgement][]> {
    const judgements: [TxHash, Judgement][] = [];
    const waste: Waste = { ms: 0 };
    for (let at = 0; at < calls.length && waste.ms < mostWastedMs; at += atOnce) {
      const some = { calls: calls.slice(at, at + atOnce), ...request };
      judgements.push(...(await traceInParts(node, some, waste)));
    }
    seen({ serves: 'traces' });
    return judgements;
  }

  /** In as many requests as it takes: a trace that is too large, or too slow, for one must not take the others along. */
  async function traceInParts(
    node: EvmNode,
    { calls, ...request }: TraceRequest,
    waste: Waste,
  ): Promise<[TxHash, Judgement][]> {
    const startedAt = performance.now();
    const inVain = () => {
      waste.ms += performance.now() - startedAt;
    };
    try {
      const judged = await traceSome(node, { calls, ...request });
      if (judged.some(([, judgement]) => 'reason' in judgement)) inVain();
      return judged;
    } catch (error) {
      const most = error instanceof NodeError ? mostAfter(error, calls.length) : null;
      if (most === null) throw error;
      const [first] = calls;
      if (first === undefined) return [];
      if (calls.length === 1) {
        inVain();
        return [[first.txHash, { reason: (error as NodeError).message }]];
      }
      const judgements: [TxHash, Judgement][] = [];
      for (let at = 0; at < calls.length && waste.ms < mostWastedMs; at += most) {
        const some = { calls: calls.slice(at, at + most), ...request };
        judgements.push(...(await traceInParts(node, some, waste)));
      }
      return judgements;
    }
  }

  /** @throws NodeError `lacks` when the node has no way of tracing, another when it does not answer. */
  async function traceSome(
    node: EvmNode,
    { calls, watched, signal }: TraceRequest,
  ): Promise<[TxHash, Judgement][]> {
    const known = ways.get(node);
    const inOrder = known === undefined ? traceWays : [known, ...traceWays.filter((way) => way !== known)];
    let refusal: NodeError | null = null;
    for (const way of inOrder) {
      const answers = await askFor(node, calls, way, signal);
      if (answers instanceof NodeError) {
        refusal = answers;
        continue;
      }
      const plain =
        known === undefined && !isTold(answers) ? await askUnlimited(node, calls, way, signal) : null;
      if (plain !== null) ways.set(node, plain.way);
      else if (known !== undefined || isTold(answers)) ways.set(node, way);
      const told = plain?.answers ?? answers;
      return calls.map((call, i) => {
        const trace = tracing(way.method, told[2 * i], told[2 * i + 1]);
        return [call.txHash, judgeTrace(call, trace, network, watched)];
      });
    }
    ways.delete(node);
    throw refusal === null ? unavailable('the traces were not answered') : lacks('traces', refusal);
  }

  return { trace };
}

/** How many transactions to ask for at once after this failure of `asked`; null where their number was not the reason. */
function mostAfter({ fault }: NodeError, asked: number): number | null {
  if (fault.kind === 'too-much') return Math.ceil(asked / 2);
  // Which of them it is that takes so long, each shows alone.
  return fault.kind === 'unavailable' && fault.late === true ? 1 : null;
}

/** A trace and a receipt for each, or that the node does not know this way of tracing. */
async function askFor(
  node: EvmNode,
  calls: readonly ContractCall[],
  way: TraceWay,
  signal: AbortSignal,
): Promise<RpcAnswer[] | NodeError> {
  // The receipt last: if the chain changes in between, it is of another block.
  const asked = calls.flatMap(({ txHash }) => [getTrace(way, txHash), getReceipt(txHash)]);
  const answers = await sendUnlessRefused(node, asked, signal);
  return answers instanceof NodeError ? answers : (refusalIn(answers) ?? answers);
}

/** A node may word in any way that it cannot be told how long. Null where it traces no better without that. */
async function askUnlimited(
  node: EvmNode,
  calls: readonly ContractCall[],
  { method, limited }: TraceWay,
  signal: AbortSignal,
): Promise<{ way: TraceWay; answers: RpcAnswer[] } | null> {
  const way = traceWays.find((other) => other.method === method && !other.limited);
  if (!limited || way === undefined) return null;
  try {
    const answers = await askFor(node, calls, way, signal);
    return answers instanceof NodeError || !isTold(answers) ? null : { way, answers };
  } catch (error) {
    if (!(error instanceof NodeError)) throw error;
    return null;
  }
}

/** Whether there is a trace among these. */
function isTold(answers: readonly RpcAnswer[]): boolean {
  return answers.some((answer, i) => i % 2 === 0 && 'result' in answer && answer.result !== null);
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
