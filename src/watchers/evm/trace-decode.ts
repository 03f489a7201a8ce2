import type { AddressKey } from '../../core/address.ts';
import type { BlockRef, Transfer, TxHash } from '../../core/chain.ts';
import type { Network } from '../../core/networks.ts';
import { isRecord, type RpcAnswer, type RpcCall } from '../../nodes/json-rpc.ts';
import { readAddress, readAmount, readReceipt } from './decode.ts';

/*
 * How the chain's own coin moved within one transaction, from what a node says about how it ran. Pure. There are two
 * ways of asking: geth's call tracer and Parity's traces, and nodes offer one, both or none of them.
 */

/** A transaction in which a contract may have paid on: who was called, with how much, how long it may run, where it was mined. */
export type ContractCall = {
  txHash: TxHash;
  to: AddressKey | null;
  value: bigint;
  gas: number;
  block: BlockRef;
};
export type TraceMethod = 'debug_traceTransaction' | 'trace_transaction';

/** How a node is asked; `limited`: it is told to give up after {@link traceLimitMs}. */
export type TraceWay = { method: TraceMethod; limited: boolean };

/** In the order in which they are tried. Not every node lets itself be told. */
export const traceWays: readonly TraceWay[] = [
  { method: 'debug_traceTransaction', limited: true },
  { method: 'trace_transaction', limited: false },
  { method: 'debug_traceTransaction', limited: false },
];

/** A trace takes milliseconds; geth gives up after five seconds by itself. */
export const traceLimitMs = 2_000;

/** Coins that an account received; always more than nothing. */
export type ValueTransfer = { to: AddressKey; amount: bigint };

/** A transaction as it ran. */
export type Trace = {
  /** What it said of itself; `to` is the new contract where it created one. */
  to: AddressKey;
  value: bigint;
  failed: boolean;
  /** What moved in its course, in that order, its own value not among it. Empty where it failed. */
  internal: ValueTransfer[];
};

export function getTrace({ method, limited }: TraceWay, txHash: string): RpcCall {
  if (method === 'trace_transaction') return { method, params: [txHash] };
  const timeout = limited ? { timeout: `${traceLimitMs / 1000}s` } : {};
  return { method, params: [txHash, { tracer: 'callTracer', ...timeout }] };
}

/** Null for whatever is not exactly a trace. */
export function readTrace(method: TraceMethod, answer: unknown): Trace | null {
  const root = method === 'debug_traceTransaction' ? readCall(answer) : readFlatTrace(answer);
  if (root === null || root.to === null) return null;
  const internal: ValueTransfer[] = [];
  if (!root.failed) for (const call of root.calls) collect(call, internal);
  return { to: root.to, value: root.value, failed: root.failed, internal };
}

/** One call of a trace, of either kind. */
type Call = {
  /** Whether `value` goes from `from` to `to`: code that is borrowed moves nothing. */
  moves: boolean;
  from: AddressKey;
  /** Null where a contract that was to be created was not. */
  to: AddressKey | null;
  value: bigint;
  failed: boolean;
  calls: Call[];
};

/** What a call that failed had moved, and what those it made had moved, goes back. */
function collect(call: Call, into: ValueTransfer[]): void {
  if (call.failed) return;
  if (call.moves && call.value > 0n && call.to !== null && call.to !== call.from)
    into.push({ to: call.to, amount: call.value });
  for (const inner of call.calls) collect(inner, into);
}

const movingTypes = new Set(['CALL', 'CREATE', 'CREATE2', 'SELFDESTRUCT']);
const borrowingTypes = new Set(['DELEGATECALL', 'CALLCODE', 'STATICCALL']);

/** The EVM's own limit (Ethereum yellow paper, 9.4.1): what is deeper, and might exhaust our stack, is no trace. */
const deepest = 1024;

/** A frame of geth's call tracer, and those under it. */
function readCall(frame: unknown, depth = 0): Call | null {
  if (depth > deepest || !isRecord(frame) || typeof frame.type !== 'string') return null;
  const moves = movingTypes.has(frame.type);
  if (!moves && !borrowingTypes.has(frame.type)) return null;
  const from = readAddress(frame.from);
  const failed = frame.error !== undefined && frame.error !== null;
  const to = readAddress(frame.to);
  const value = frame.value === undefined || frame.value === null ? 0n : readAmount(frame.value);
  if (from === null || value === null || (to === null && !failed)) return null;
  const inner = frame.calls ?? [];
  if (!Array.isArray(inner)) return null;
  const calls: Call[] = [];
  for (const item of inner as unknown[]) {
    const call = readCall(item, depth + 1);
    if (call === null) return null;
    calls.push(call);
  }
  return { moves, from, to, value, failed, calls };
}

/** Parity's list, where each call tells its place in the tree. Callers stand before those they call. */
function readFlatTrace(answer: unknown): Call | null {
  if (!Array.isArray(answer)) return null;
  const [first, ...others] = answer as unknown[];
  const root = readFlatCall(first);
  if (root === null || root.place.length > 0) return null;
  for (const item of others) {
    const read = readFlatCall(item);
    if (read === null) return null;
    let parent: Call | undefined = root.call;
    for (const index of read.place.slice(0, -1)) parent = parent?.calls[index];
    // A list that is cut or out of order leaves a hole.
    if (parent === undefined || parent.calls.length !== read.place.at(-1)) return null;
    parent.calls.push(read.call);
  }
  return root.call;
}

function readFlatCall(item: unknown): { call: Call; place: number[] } | null {
  if (!isRecord(item) || !isRecord(item.action) || !Array.isArray(item.traceAddress)) return null;
  const place = (item.traceAddress as unknown[]).filter((index) => Number.isSafeInteger(index)) as number[];
  if (place.length !== item.traceAddress.length || place.length > deepest) return null;
  const failed = item.error !== undefined && item.error !== null;
  const call = readAction(item, item.action, failed);
  return call === null ? null : { call, place };
}

function readAction(
  item: Record<string, unknown>,
  action: Record<string, unknown>,
  failed: boolean,
): Call | null {
  const parts = partsOf(item, action);
  if (parts === null) return null;
  const [moves, sender, recipient, amount] = parts;
  const from = readAddress(sender);
  const to = readAddress(recipient);
  const value = readAmount(amount);
  if (from === null || value === null || (to === null && !failed)) return null;
  return { moves, from, to, value, failed, calls: [] };
}

/** Whether it moves coins, from whom, to whom, how many. */
function partsOf(
  { type, result }: Record<string, unknown>,
  action: Record<string, unknown>,
): [moves: boolean, from: unknown, to: unknown, value: unknown] | null {
  switch (type) {
    case 'call':
      return [action.callType === 'call', action.from, action.to, action.value ?? '0x0'];
    case 'create':
      return [true, action.from, isRecord(result) ? result.address : null, action.value];
    case 'suicide':
    case 'selfdestruct':
      return [true, action.address, action.refundAddress, action.balance];
    default:
      return null;
  }
}

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
