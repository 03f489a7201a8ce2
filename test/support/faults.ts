/*
 * What can be wrong with a node, as data. test/support/fault-proxy.ts does it.
 */

export type RpcRequest = { id: unknown; method: string; params: unknown[] };

/** A node's answer to one call. */
export type RpcResponse = {
  jsonrpc: '2.0';
  id: unknown;
  result?: unknown;
  error?: { code: number; message: string };
};

/** Asks the node behind the proxy, for faults that need to know more. */
export type Upstream = (method: string, params: unknown[]) => Promise<unknown>;

/** Befalls a whole HTTP request, instead of an answer or after it. */
export type RequestFault =
  /** Another status; the body is an HTML page unless given. */
  | { kind: 'status'; status: number; headers?: Record<string, string>; body?: string }
  /** Says nothing until the client gives up. */
  | { kind: 'hang' }
  /** Closes the connection. */
  | { kind: 'drop' }
  /** Sends a page with status 200, as captive portals and some balancers do. */
  | { kind: 'html' }
  /** Sends the first half of the answer, as if it were all. */
  | { kind: 'truncate' };

/** Befalls a request that holds several calls. */
export type BatchFault =
  /** One error object instead of a list. */
  | { kind: 'refuse-batch'; message?: string }
  /** The same for more than so many calls. */
  | { kind: 'limit-batch'; calls: number; message?: string }
  /** Each call goes its own way, to these nodes in turn: what gateways do that do not know what a batch is. */
  | { kind: 'split-batch'; urls: readonly string[] }
  /** The answers come in another order, which is allowed. */
  | { kind: 'reverse-batch' };

/** Befalls one call: its answer is another. */
export type CallFault =
  | { kind: 'refuse'; code: number; message: string }
  /** Refuses log queries over more than so many blocks. `N` in the message becomes the number. */
  | { kind: 'refuse-range'; blocks: number; message: string }
  /** Another node answers: one that lags, or is on another fork. */
  | { kind: 'divert'; url: string }
  | { kind: 'lose-answer' }
  | { kind: 'repeat-answer' }
  | { kind: 'wrong-id' }
  /** What it is an answer to is no number and no text, and cannot be made one. */
  | { kind: 'object-id' }
  | { kind: 'result'; result: unknown }
  | { kind: 'rewrite'; rewrite: (result: unknown, call: RpcRequest) => unknown }
  /** The tags `latest` and `finalized` mean blocks this much lower; all else is there. */
  | { kind: 'stale-tags'; by: number }
  /** The tag `finalized` means the latest block. */
  | { kind: 'final-is-latest' }
  /** The node is this far behind in everything; a log range that it lacks is clamped without a word. */
  | { kind: 'lag'; by: number }
  | LogFault;

/** Befalls the answer to a log query that has logs. */
export type LogFault =
  | { kind: 'empty-logs' }
  /** The second half is missing. */
  | { kind: 'short-logs' }
  | { kind: 'drop-middle-log' }
  /** Those of the highest block are missing. */
  | { kind: 'drop-last-block' }
  | { kind: 'repeat-logs' }
  | { kind: 'reverse-logs' }
  /** One comes from a block that is not on this chain, and with it its transaction. */
  | { kind: 'foreign-log' }
  /** One is of a transaction that a reorg threw out. */
  | { kind: 'removed-log' };

export type Fault = RequestFault | BatchFault | CallFault;

type Log = { blockNumber: string; blockHash: string; transactionHash: string };

/** The same list of logs with the fault in it. An empty list stays as it is. */
export function spoilLogs(fault: LogFault, logs: readonly unknown[]): unknown[] {
  const middle = Math.floor(logs.length / 2);
  switch (fault.kind) {
    case 'empty-logs':
      return [];
    case 'short-logs':
      return logs.slice(0, middle);
    case 'drop-middle-log':
      return logs.filter((_, i) => i !== middle);
    case 'drop-last-block': {
      const last = (logs.at(-1) as Log | undefined)?.blockNumber;
      return logs.filter((log) => (log as Log).blockNumber !== last);
    }
    case 'repeat-logs':
      return logs.flatMap((log) => [log, log]);
    case 'reverse-logs':
      return logs.toReversed();
    case 'foreign-log':
      return logs.map((log, i) => (i === middle ? { ...gone(log), blockHash: `0x${'f0'.repeat(32)}` } : log));
    case 'removed-log':
      return logs.map((log, i) => (i === middle ? { ...gone(log), removed: true } : log));
    default:
      return fault satisfies never;
  }
}

/** The same of a transaction that is not on the chain. */
function gone(log: unknown): Log {
  const { transactionHash, ...rest } = log as Log;
  return { ...rest, transactionHash: `0x${'f0'.repeat(4)}${transactionHash.slice(10)}` };
}

/** Applies a fault to the answer to one call; an empty list is a lost answer, two are a repeated one. */
export async function spoilAnswer(
  fault: CallFault,
  call: RpcRequest,
  answer: RpcResponse,
  upstream: Upstream,
): Promise<RpcResponse[]> {
  const { result } = answer;
  switch (fault.kind) {
    case 'refuse':
      return [refusal(call, fault.code, fault.message)];
    case 'refuse-range':
      return blocksOf(call) > fault.blocks
        ? [refusal(call, -32005, fault.message.replace('N', String(fault.blocks)))]
        : [answer];
    case 'divert':
      return [(await postRpc(fault.url, { ...call, jsonrpc: '2.0' })) as RpcResponse];
    case 'lose-answer':
      return [];
    case 'repeat-answer':
      return [answer, answer];
    case 'wrong-id':
      return [{ ...answer, id: 'not-yours' }];
    case 'object-id':
      return [{ ...answer, id: { toString: 0, valueOf: 0 } }];
    case 'result':
      return [{ ...answer, result: fault.result }];
    case 'rewrite':
      return [{ ...answer, result: fault.rewrite(result, call) }];
    case 'stale-tags':
      return [{ ...answer, result: await staleTag(call, result, fault.by, upstream) }];
    case 'final-is-latest': {
      if (call.method !== 'eth_getBlockByNumber' || call.params[0] !== 'finalized') return [answer];
      return [{ ...answer, result: await upstream(call.method, ['latest', call.params[1]]) }];
    }
    case 'lag':
      return [{ ...answer, result: await lagging(call, result, fault.by, upstream) }];
    default:
      return [Array.isArray(result) ? { ...answer, result: spoilLogs(fault, result) } : answer];
  }
}

/** A block whose tag was asked for, so many blocks lower. */
async function staleTag(call: RpcRequest, result: unknown, by: number, upstream: Upstream): Promise<unknown> {
  const [block, full] = call.params;
  if (call.method === 'eth_blockNumber') return hex(Math.max(0, Number(result) - by));
  if (call.method !== 'eth_getBlockByNumber' || !isTag(block)) return result;
  const height = Number((result as { number: string } | null)?.number ?? 0);
  return upstream('eth_getBlockByNumber', [hex(Math.max(0, height - by)), full]);
}

/** As a node answers whose head is so many blocks lower. */
async function lagging(call: RpcRequest, result: unknown, by: number, upstream: Upstream): Promise<unknown> {
  const head = Math.max(0, Number(await upstream('eth_blockNumber', [])) - by);
  const height = (value: unknown) =>
    Number((value as { blockNumber?: string; number?: string } | null)?.blockNumber);
  switch (call.method) {
    case 'eth_blockNumber':
      return hex(head);
    case 'eth_getBlockByNumber':
      if (isTag(call.params[0])) return staleTag(call, result, by, upstream);
      return Number(call.params[0]) > head ? null : result;
    case 'eth_getLogs':
      return (result as unknown[]).filter((log) => height(log) <= head);
    case 'eth_getTransactionReceipt':
    case 'eth_getTransactionByHash':
      return result !== null && height(result) > head ? null : result;
    default:
      return result;
  }
}

/** Blocks that a log query spans. */
export function blocksOf({ method, params }: RpcRequest): number {
  if (method !== 'eth_getLogs') return 0;
  const { fromBlock, toBlock } = params[0] as { fromBlock: string; toBlock: string };
  return Number(toBlock) - Number(fromBlock) + 1;
}

export async function postRpc(url: string, body: unknown): Promise<unknown> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  return response.json();
}

export function refusal({ id }: RpcRequest, code: number, message: string): RpcResponse {
  return { jsonrpc: '2.0', id, error: { code, message } };
}

function isTag(block: unknown): boolean {
  return typeof block === 'string' && !block.startsWith('0x');
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
