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
    ...[undefined, logs, blocks, receipts].flatMap((method) => [
      lie({ fault: ({ behind }) => ({ kind: 'divert', url: behind }), when: of(method) }),
      lie({ fault: ({ fork }) => ({ kind: 'divert', url: fork }), when: of(method) }),
    ]),
  ],
  'lose-answer': [always({ kind: 'lose-answer' }), always({ kind: 'lose-answer' }, { method: logs })],
  'repeat-answer': [always({ kind: 'repeat-answer' })],
  'wrong-id': [always({ kind: 'wrong-id' })],
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
  ],
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

type RpcLog = { topics: string[]; data: string; transactionHash: string; logIndex: string };
type RpcTransaction = { value: string };

function rewrite(method: string, how: (result: unknown) => unknown): Illness {
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
