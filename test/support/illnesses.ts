import type { When } from './fault-proxy.ts';
import type { Fault, RpcRequest } from './faults.ts';

/** Where a proxy may send what it was asked: machines behind the same name that are not like the others. */
export type Elsewhere = {
  /** The node itself. */
  own: string;
  /** Two blocks behind. */
  behind: string;
  /** On a fork that the chain has left, if it ever left one. */
  fork: string;
};

/** One way in which a node can be ill. */
export type Illness = {
  fault: (elsewhere: Elsewhere) => Fault;
  when?: When;
  /**
   * No single answer shows it. Whoever has nobody else to ask is fooled for as long as it lasts, and for good where
   * it lasts until the block was read a second time.
   */
  lies?: true;
  /** What it says of a node holds for all that it answers meanwhile; otherwise it comes and goes. */
  whole?: true;
};

const logs = 'eth_getLogs';
const blocks = 'eth_getBlockByNumber';
const receipts = 'eth_getTransactionReceipt';
const transactions = 'eth_getTransactionByHash';
const balances = 'eth_getBalance';
const traces = 'debug_traceTransaction';

/** Every kind of fault with its variants: whoever adds a kind is told here by the compiler. */
export const illnesses: Record<Fault['kind'], readonly Illness[]> = {
  status: [
    always({ kind: 'status', status: 500 }),
    always({ kind: 'status', status: 403 }),
    always({ kind: 'status', status: 429 }),
    always({ kind: 'status', status: 429, headers: { 'retry-after': '30' } }),
    always({ kind: 'status', status: 503, headers: { 'retry-after': '5' } }),
    always({ kind: 'status', status: 302, headers: { location: '/' } }),
    always({ kind: 'status', status: 502, body: '{"error":"bad gateway"}' }),
    always({ kind: 'status', status: 500 }, { method: receipts }),
    always({ kind: 'status', status: 500 }, { method: balances }),
  ],
  // Whoever waits for it waits in earnest: once is enough.
  hang: [always({ kind: 'hang' }, { times: 1 })],
  drop: [always({ kind: 'drop' }), always({ kind: 'drop' }, { method: receipts })],
  html: [always({ kind: 'html' })],
  truncate: [always({ kind: 'truncate' }), always({ kind: 'truncate' }, { method: logs })],

  'refuse-batch': [
    always({ kind: 'refuse-batch' }),
    whole(always({ kind: 'refuse-batch', message: 'batch requests are disabled' })),
  ],
  'limit-batch': [
    always({ kind: 'limit-batch', calls: 2 }),
    whole(always({ kind: 'limit-batch', calls: 1 })),
  ],
  'split-batch': [
    lie({ fault: ({ own, behind }) => ({ kind: 'split-batch', urls: [own, behind] }) }),
    lie({ fault: ({ own, fork }) => ({ kind: 'split-batch', urls: [own, fork, own] }) }),
    lie({ fault: ({ own, behind, fork }) => ({ kind: 'split-batch', urls: [own, own, own, behind, fork] }) }),
  ],
  'reverse-batch': [always({ kind: 'reverse-batch' })],

  refuse: [
    always({ kind: 'refuse', code: -32603, message: 'Internal error' }),
    always({ kind: 'refuse', code: -32000, message: 'unauthorized: bad api key' }),
    always({ kind: 'refuse', code: -32005, message: 'limit exceeded' }, { method: logs }),
    always({ kind: 'refuse', code: -32602, message: 'exceed max addresses or topics' }, { method: logs }),
    always({ kind: 'refuse', code: -32000, message: 'header not found' }, { method: logs }),
    always({ kind: 'refuse', code: -32601, message: 'method not found' }, { method: receipts }),
    always({ kind: 'refuse', code: -32601, message: 'method not found' }, { method: traces }),
    always({ kind: 'refuse', code: -32000, message: 'missing trie node' }, { method: balances }),
    always(
      { kind: 'refuse', code: -32602, message: 'invalid argument 0' },
      { matches: asksFor('finalized') },
    ),
  ],
  'refuse-range': [
    always({ kind: 'refuse-range', blocks: 1, message: 'query returned more than 10000 results' }),
    always({ kind: 'refuse-range', blocks: 2, message: 'limited to a N blocks range' }),
    always({ kind: 'refuse-range', blocks: 10, message: 'up to a N block range' }),
    whole(always({ kind: 'refuse-range', blocks: 2, message: 'block range too large' })),
  ],
  divert: [
    whole({ fault: ({ behind }) => ({ kind: 'divert', url: behind }) }),
    whole({ fault: ({ fork }) => ({ kind: 'divert', url: fork }) }),
    lie({ fault: ({ fork }) => ({ kind: 'divert', url: fork }), when: { matches: asksFor('finalized') } }),
    lie({ fault: ({ fork }) => ({ kind: 'divert', url: fork }), when: { matches: asksFor('latest') } }),
    ...[undefined, logs, blocks, receipts].flatMap((method) => [
      lie({ fault: ({ behind }) => ({ kind: 'divert', url: behind }), when: of(method) }),
      lie({ fault: ({ fork }) => ({ kind: 'divert', url: fork }), when: of(method) }),
    ]),
  ],
  'lose-answer': [always({ kind: 'lose-answer' }), always({ kind: 'lose-answer' }, { method: logs })],
  'repeat-answer': [always({ kind: 'repeat-answer' })],
  'wrong-id': [always({ kind: 'wrong-id' })],
  'object-id': [always({ kind: 'object-id' })],
  result: [
    always({ kind: 'result', result: null }),
    always({ kind: 'result', result: {} }, { method: logs }),
    always({ kind: 'result', result: null }, { method: logs }),
    always({ kind: 'result', result: null }, { method: blocks }),
    always({ kind: 'result', result: null }, { method: receipts }),
    always({ kind: 'result', result: null }, { method: transactions }),
    always({ kind: 'result', result: '0x1' }, { method: 'eth_chainId' }),
    lie(always({ kind: 'result', result: [] }, { method: logs })),
  ],
  rewrite: [
    lie(
      rewrite(
        logs,
        eachLog(({ data }) => ({ data: doubled(data) })),
      ),
    ),
    lie(
      rewrite(
        logs,
        eachLog(({ topics }) => ({ topics: [...topics.slice(0, 2), nextTopic(topics[2])] })),
      ),
    ),
    lie(
      rewrite(
        logs,
        eachLog(({ transactionHash }) => ({ transactionHash: other(transactionHash) })),
      ),
    ),
    lie(rewrite(logs, withInvented)),
    lie(rewrite(receipts, (receipt) => receipt !== null && { ...(receipt as object), status: '0x0' })),
    lie(rewrite(receipts, (receipt) => receipt !== null && { ...(receipt as object), logs: [] })),
    lie(
      rewrite(
        blocks,
        fullBlock(() => []),
      ),
    ),
    lie(
      rewrite(
        blocks,
        fullBlock((each) => each.map((tx) => ({ ...tx, value: doubled(tx.value) }))),
      ),
    ),
    lie(rewrite(blocks, anotherHash)),
    lie(rewrite(traces, (trace) => ({ ...(trace as object), calls: [] }))),
    lie(rewrite(balances, () => '0x0')),
    // How far the chain has got, and what time it is there.
    ...[21, 2_000].map((by) => lie(whole(rewrite(blocks, tagged('latest', higher(by)))))),
    ...[3_600, 60, -60, -3_600].map((by) => lie(whole(rewrite(blocks, tagged('latest', laterBy(by)))))),
    // What is final.
    ...[3, 1_000].map((by) => lie(whole(rewrite(blocks, tagged('finalized', higher(by)))))),
    // The time of every block, of every third one, and of those that are asked for by their height.
    ...[3_600, 60, -60].map((by) => lie(whole(rewrite(blocks, eachBlock(laterBy(by)))))),
    ...[60, -60].map((by) => lie(whole(rewrite(blocks, eachBlock(everyThird(laterBy(by))))))),
    lie(whole(rewrite(blocks, untagged(laterBy(60))))),
    // What a transaction moves, and where it lies.
    lie(
      rewrite(
        receipts,
        ofReceipt(({ logs }) => ({ logs: eachLog(({ data }) => ({ data: doubled(data) }))(logs) })),
      ),
    ),
    lie(
      rewrite(
        receipts,
        ofReceipt(({ blockHash }) => ({ blockHash: other(blockHash) })),
      ),
    ),
    lie(
      rewrite(
        transactions,
        (tx) => tx !== null && { ...(tx as RpcTransaction), value: doubled((tx as RpcTransaction).value) },
      ),
    ),
    lie(whole({ fault: () => ({ kind: 'rewrite', rewrite: swearing() }) })),
    lie(whole({ fault: () => ({ kind: 'rewrite', rewrite: denying }) })),
  ],
  'final-is-latest': [lie(whole(always({ kind: 'final-is-latest' }, { method: blocks })))],
  'stale-tags': [
    whole(always({ kind: 'stale-tags', by: 3 })),
    always({ kind: 'stale-tags', by: 3 }),
    always({ kind: 'stale-tags', by: 1 }, { matches: asksFor('latest') }),
  ],
  lag: [
    whole(always({ kind: 'lag', by: 3 })),
    lie(always({ kind: 'lag', by: 1 })),
    lie(always({ kind: 'lag', by: 5 }, { method: logs })),
  ],

  'empty-logs': [lie(always({ kind: 'empty-logs' }))],
  'short-logs': [lie(always({ kind: 'short-logs' }))],
  'drop-middle-log': [lie(always({ kind: 'drop-middle-log' }))],
  'drop-last-block': [lie(always({ kind: 'drop-last-block' }))],
  'repeat-logs': [always({ kind: 'repeat-logs' })],
  'reverse-logs': [always({ kind: 'reverse-logs' })],
  'foreign-log': [always({ kind: 'foreign-log' })],
  'removed-log': [always({ kind: 'removed-log' })],
};

function always(fault: Fault, when?: When): Illness {
  return { fault: () => fault, ...(when === undefined ? {} : { when }) };
}

function lie(illness: Illness): Illness {
  return { ...illness, lies: true };
}

function whole(illness: Illness): Illness {
  return { ...illness, whole: true };
}

function of(method: string | undefined): When {
  return method === undefined ? {} : { method };
}

function asksFor(tag: string): (call: RpcRequest) => boolean {
  return ({ params }) => params[0] === tag;
}

type RpcLog = {
  topics: string[];
  data: string;
  transactionHash: string;
  blockNumber: string;
  blockHash: string;
  logIndex: string;
};
type RpcTransaction = { value: string };

type RpcBlock = { number: string; timestamp: string; transactions: unknown[] };
type RpcReceipt = { transactionHash: string; blockHash: string; logs: RpcLog[] };
type Rewrite = (result: unknown, call: RpcRequest) => unknown;
type ChangeBlock = (block: RpcBlock) => object;

/** Every block that it tells of. */
function eachBlock(change: ChangeBlock): Rewrite {
  return (result) => (result === null ? result : { ...(result as object), ...change(result as RpcBlock) });
}

/** Those that are asked for by this tag. */
function tagged(tag: string, change: ChangeBlock): Rewrite {
  return (result, call) => (asksFor(tag)(call) ? eachBlock(change)(result, call) : result);
}

/** Those that are asked for by their height. */
function untagged(change: ChangeBlock): Rewrite {
  return (result, call) =>
    String(call.params[0]).startsWith('0x') ? eachBlock(change)(result, call) : result;
}

function everyThird(change: ChangeBlock): ChangeBlock {
  return (block) => (BigInt(block.number) % 3n === 0n ? change(block) : {});
}

/** A block that nobody made, so much higher. */
function higher(by: number): ChangeBlock {
  return ({ number }) => ({ number: hex(BigInt(number) + BigInt(by)), hash: `0x${'f1'.repeat(32)}` });
}

/** Seconds. */
function laterBy(by: number): ChangeBlock {
  return ({ timestamp }) => ({ timestamp: hex(BigInt(timestamp) + BigInt(by)) });
}

function ofReceipt(change: (receipt: RpcReceipt) => object): Rewrite {
  return (result) => (result === null ? result : { ...(result as object), ...change(result as RpcReceipt) });
}

/** Invents a transfer among the logs, and a receipt for it when it is asked. */
function swearing(): Rewrite {
  const invented = new Map<string, RpcLog>();
  return (result, { method, params }) => {
    if (method === logs && Array.isArray(result) && result.length > 0) {
      const all = withInvented(result) as RpcLog[];
      const last = all.at(-1) as RpcLog;
      invented.set(last.transactionHash, last);
      return all;
    }
    const log = method === receipts ? invented.get(String(params[0])) : undefined;
    if (log === undefined || result !== null) return result;
    const { transactionHash, blockNumber, blockHash } = log;
    return { transactionHash, blockNumber, blockHash, status: '0x1', logs: [log] };
  };
}

/** Has no transaction in its blocks, and knows of none; the logs are all there. */
const denying: Rewrite = (result, { method }) => {
  if (method === receipts || method === transactions) return null;
  const named = method === blocks && typeof (result as RpcBlock | null)?.transactions[0] === 'string';
  return named ? { ...(result as object), transactions: [] } : result;
};

function rewrite(method: string, how: Rewrite): Illness {
  return { fault: () => ({ kind: 'rewrite', rewrite: how }), when: { method } };
}

function eachLog(change: (log: RpcLog) => Partial<RpcLog>): (result: unknown) => unknown {
  return (result) =>
    Array.isArray(result) ? (result as RpcLog[]).map((log) => ({ ...log, ...change(log) })) : result;
}

/** The last log once more, as if another transaction had moved the same again. */
function withInvented(result: unknown): unknown {
  const last = Array.isArray(result) ? (result as RpcLog[]).at(-1) : undefined;
  if (last === undefined) return result;
  const { transactionHash, logIndex } = last;
  return [
    ...(result as RpcLog[]),
    { ...last, transactionHash: other(transactionHash), logIndex: hex(BigInt(logIndex) + 1n) },
  ];
}

function fullBlock(
  change: (transactions: RpcTransaction[]) => RpcTransaction[],
): (result: unknown) => unknown {
  return (result) => {
    const block = result as { transactions: unknown[] } | null;
    if (block === null || typeof block.transactions[0] !== 'object') return result;
    return { ...block, transactions: change(block.transactions as RpcTransaction[]) };
  };
}

function anotherHash(result: unknown): unknown {
  return result === null ? result : { ...(result as object), hash: `0x${'f0'.repeat(32)}` };
}

/** The next of a row of addresses, which is ours or a stranger's. */
function nextTopic(topic = '0x0'): string {
  return `0x${(BigInt(topic) + 1n).toString(16).padStart(64, '0')}`;
}

function doubled(quantity: string): string {
  const digits = (BigInt(quantity) * 2n).toString(16);
  return quantity.length === 66 ? `0x${digits.padStart(64, '0')}` : `0x${digits}`;
}

/** A transaction that nobody sent. */
function other(txHash: string): string {
  return `0x${'e1'.repeat(4)}${txHash.slice(10)}`;
}

function hex(value: bigint): string {
  return `0x${value.toString(16)}`;
}
