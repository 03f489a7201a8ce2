import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import type { Loopback } from './loopback.ts';
import { realDataPath } from './real-data.ts';
import { Refusal, startStubNode } from './stub-node.ts';

export type RecordedLog = {
  address: string;
  topics: string[];
  data: string;
  blockNumber: string;
  logIndex: string;
};
export type RecordedReceipt = {
  transactionHash: string;
  blockNumber: string;
  blockHash: string;
  status: string;
  logs: RecordedLog[];
};
export type RecordedTransaction = { hash: string; to: string | null; value: string; blockNumber: string };
export type RecordedBlock = {
  number: string;
  hash: string;
  parentHash: string;
  timestamp: string;
  transactions: unknown[];
};

/** What was recorded of a chain: a few blocks, with whatever of them. */
export type Recording = {
  chainId: number;
  blocks: readonly RecordedBlock[];
  receipts: readonly RecordedReceipt[];
  transactions?: readonly RecordedTransaction[];
};

/** A node that has nothing but a recording; its head is the highest recorded block. */
export function startRecordedNode({
  chainId,
  blocks,
  receipts,
  transactions = [],
}: Recording): Promise<Loopback> {
  const byHeight = new Map(blocks.map((block) => [Number(block.number), block]));
  // The block below a recorded one is known by its hash alone.
  for (const block of blocks) {
    const height = Number(block.number) - 1;
    const below = {
      number: `0x${height.toString(16)}`,
      hash: block.parentHash,
      parentHash: `0x${'0'.repeat(64)}`,
    };
    if (!byHeight.has(height))
      byHeight.set(height, { ...below, timestamp: block.timestamp, transactions: [] });
  }
  const head = Math.max(...byHeight.keys());
  return startStubNode((method, params) => {
    switch (method) {
      case 'eth_chainId':
        return `0x${chainId.toString(16)}`;
      case 'eth_getBlockByNumber':
        return (
          byHeight.get(params[0] === 'latest' || params[0] === 'finalized' ? head : Number(params[0])) ?? null
        );
      case 'eth_getTransactionReceipt':
        return receipts.find(({ transactionHash }) => transactionHash === params[0]) ?? null;
      case 'eth_getTransactionByHash':
        return transactions.find(({ hash }) => hash === params[0]) ?? null;
      case 'eth_getLogs':
        return logsOf(receipts, params[0] as LogFilter);
      default:
        throw new Refusal(-32601, `the method ${method} does not exist/is not available`);
    }
  });
}

type LogFilter = {
  address: string[];
  topics: (string | string[] | null)[];
  fromBlock: string;
  toBlock: string;
};

/** As a node filters: addresses and topics in any case, null for anything. */
function logsOf(receipts: readonly RecordedReceipt[], filter: LogFilter): RecordedLog[] {
  const addresses = new Set(filter.address.map((address) => address.toLowerCase()));
  const topics = filter.topics.map((topic) => (topic === null ? null : new Set([topic].flat())));
  return receipts
    .flatMap(({ logs }) => logs)
    .filter(
      ({ blockNumber }) =>
        Number(blockNumber) >= Number(filter.fromBlock) && Number(blockNumber) <= Number(filter.toBlock),
    )
    .filter((log) => addresses.has(log.address.toLowerCase()))
    .filter((log) => topics.every((allowed, i) => allowed === null || allowed.has(log.topics[i] ?? '')))
    .sort((a, b) => Number(a.blockNumber) - Number(b.blockNumber) || Number(a.logIndex) - Number(b.logIndex));
}

/** JSON, or lines of JSON, compressed or not. */
export function readRecorded(path: string): unknown {
  const bytes = readFileSync(realDataPath(path));
  const text = (path.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8');
  if (!path.includes('.jsonl')) return JSON.parse(text);
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as unknown);
}

type Exchange = { method: string; response: { result?: unknown } };

/** The results of one method in a recording of exchanges, each once. */
export function resultsOf<T>(exchanges: unknown, method: string): T[] {
  const results = (exchanges as Exchange[])
    .filter((one) => one.method === method)
    .map(({ response }) => response.result);
  const distinct = new Map(
    results.filter((result) => result != null).map((result) => [JSON.stringify(result), result]),
  );
  return [...distinct.values()] as T[];
}
