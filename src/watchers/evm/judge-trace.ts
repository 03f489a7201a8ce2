import type { AddressKey } from '../../core/address.ts';
import type { Transfer } from '../../core/chain.ts';
import type { Network } from '../../core/networks.ts';
import type { RpcAnswer } from '../../nodes/json-rpc.ts';
import { readReceipt } from './decode.ts';
import { readTrace, type Trace, type TraceMethod } from './trace-decode.ts';
import type { ContractCall } from './tracer.ts';

/** What contracts paid, or why nobody can tell by this. */
export type Judgement = { transfers: Transfer[] } | { reason: string };

/** What one node answered about one transaction: results, or the reason why there is none. */
type TraceAnswers = { method: TraceMethod; trace: unknown; receipt: unknown; reason: string };

/** Both answers of one node about a transaction. */
export function tracing(
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
