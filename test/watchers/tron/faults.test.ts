import { describe, expect, test } from 'vitest';
import type { AddressKey } from '../../../src/core/address.ts';
import { parseLossless } from '../../../src/core/lossless-json.ts';
import { print } from '../../../src/demo/tron/encode.ts';
import {
  batcher,
  type Custom,
  internal,
  payer,
  transferLog,
  word,
} from '../../../src/demo/tron/transactions.ts';
import { type Answer, blockOf, type Call } from '../../../src/demo/tron/wallet-api.ts';
import type { PollOutcome, Span } from '../../../src/watchers/source.ts';
import { pollOf, type TestClock, testClock, watching } from '../../support/evm.ts';
import { captureLog } from '../../support/log.ts';
import { tokenKey } from '../../support/payments.ts';
import { createSimulatedTronChain, type SimulatedTronChain } from '../../support/tron/simulated-chain.ts';
import type { TronFault } from '../../support/tron/simulated-node.ts';
import { simulatedNodeForTest, type TronOptions, tronSourceForTest } from '../../support/tron/source.ts';

const alice = '11'.repeat(20) as AddressKey;
const usdt = tokenKey('tron', 'usdt') as AddressKey;
const watch = watching(alice);
const never = new AbortController().signal;

type Bench = {
  clock: TestClock;
  chain: SimulatedTronChain;
  nodes: Awaited<ReturnType<typeof simulatedNodeForTest>>[];
  source: ReturnType<typeof tronSourceForTest>;
};

async function open(count = 1, options: Partial<TronOptions> = {}): Promise<Bench> {
  const clock = testClock();
  const chain = createSimulatedTronChain({ clock, finalityLag: 18, height: 40 });
  const nodes = await Promise.all(Array.from({ length: count }, () => simulatedNodeForTest(chain)));
  const source = tronSourceForTest(
    chain,
    nodes.map(({ url }) => url),
    { clock, ...options },
  );
  return { clock, chain, nodes, source };
}

/** What `send` puts into a block that is then read from the one below it. */
async function readAfter(bench: Bench, send: () => void): Promise<PollOutcome> {
  const cursor = bench.chain.head();
  send();
  const head = bench.chain.mine();
  return bench.source.poll(pollOf({ cursor, head, watch, native: true }));
}

function spanOf(outcome: PollOutcome): Span {
  if (outcome.kind !== 'span') throw new Error(JSON.stringify(outcome));
  return outcome.span;
}

function call(more: Partial<Custom>): Custom {
  return {
    type: 'TriggerSmartContract',
    value: { data: 'a9059cbb', owner_address: payer, contract_address: `41${usdt}` },
    ...more,
  } as Custom;
}

const log = (amount = 5n) => transferLog(usdt, alice, amount);

describe('what looks like money and is none', () => {
  const notMoney: Record<string, Custom> = {
    'a transfer whose call ran out of time, with the log left over': call({
      contractRet: 'OUT_OF_TIME',
      logs: [log()],
    }),
    'the same where the body says success': call({
      receiptResult: 'OUT_OF_TIME',
      failed: true,
      logs: [log()],
    }),
    'the same where only the receipt says so': call({
      receiptResult: 'OUT_OF_TIME',
      failed: false,
      logs: [log()],
    }),
    'the same where only the info says so': call({ receiptResult: 'SUCCESS', failed: true, logs: [log()] }),
    'the same where only the body says so': call({
      contractRet: 'OUT_OF_TIME',
      receiptResult: 'SUCCESS',
      failed: false,
      logs: [log()],
    }),
    'a call whose receipt says nothing': call({ receiptResult: null, logs: [log()] }),
    'a call that was reverted': call({ contractRet: 'REVERT', logs: [log()] }),
    'a token of the same name at another address': call({ logs: [transferLog('d6'.repeat(20), alice, 5n)] }),
    'a token transfer of nothing': call({ logs: [log(0n)] }),
    'a transfer of a token that cannot be divided, with four topics': call({
      logs: [{ ...log(), topics: [...log().topics, word(7n)] }],
    }),
    'a log without an indexed recipient': call({ logs: [{ ...log(), topics: log().topics.slice(0, 2) }] }),
    'a log with more than a word of data': call({ logs: [{ ...log(), data: word(5n) + word(0n) }] }),
    'a log with less than a word of data': call({ logs: [{ ...log(), data: '05' }] }),
    'a log without data': call({ logs: [{ address: usdt, topics: log().topics }] }),
    'a recipient with more than an address in its word': call({
      logs: [{ ...log(), topics: [...log().topics.slice(0, 2), `${'0'.repeat(22)}41${alice}`] }],
    }),
    'another event of the token': call({
      logs: [{ ...log(), topics: [word(1n), ...log().topics.slice(1)] }],
    }),
    'call data that names the recipient, and no log': call({
      value: {
        data: `a9059cbb${`41${alice}`.padStart(64, '0')}${word(5n)}`,
        owner_address: payer,
        contract_address: `41${usdt}`,
      },
    } as Partial<Custom>),
    'a transfer of a TRC-10 token': {
      type: 'TransferAssetContract',
      value: { amount: 5n, asset_name: '31303030303031', owner_address: payer, to_address: `41${alice}` },
      receiptResult: null,
    },
    'a rejected payment of a contract': call({ internals: [{ ...internal(alice, 5n), rejected: true }] }),
    'a TRC-10 token paid by a contract': call({
      internals: [{ ...internal(alice, 0n), callValueInfo: [{}, { callValue: 5n, tokenId: '1000001' }] }],
    }),
    'what a contract freezes for an address': call({ internals: [internal(alice, 5n, 'freezeForEnergy')] }),
    'what a contract votes with': call({ internals: [internal(alice, 5n, 'voteWitness')] }),
    'a contract that is called without a value': call({ internals: [internal(alice, 0n)] }),
    'a payment by a contract whose call failed': call({
      contractRet: 'OUT_OF_ENERGY',
      internals: [{ ...internal(alice, 5n), rejected: true }],
    }),
    'a plain transfer that failed': {
      type: 'TransferContract',
      value: { amount: 5n, owner_address: payer, to_address: `41${alice}` },
      contractRet: 'REVERT',
      receiptResult: null,
    },
  };

  test.each(Object.entries(notMoney))('%s', async (_what, custom) => {
    const bench = await open();
    const { transfers } = spanOf(await readAfter(bench, () => bench.chain.sendCustom(custom)));
    expect(transfers).toEqual([]);
  });
});

describe('money, however it comes', () => {
  const money: Record<string, [Custom, string[]]> = {
    'a transfer by another contract, to a word with 41 in its call data': [
      call({
        value: { data: `ff${`41${alice}`}`, owner_address: payer, contract_address: batcher },
        logs: [log()],
      } as Partial<Custom>),
      ['usdt 5 #0'],
    ],
    'two equal transfers in one transaction, and one of nothing between them': [
      call({ logs: [log(), log(0n), log()] }),
      ['usdt 5 #0', 'usdt 5 #1'],
    ],
    'two equal payments by a contract': [
      call({ internals: [internal(alice, 4n), internal(alice, 4n)] }),
      ['native 4 #0', 'native 4 #1'],
    ],
    'the end of a contract, and the creation of one': [
      call({ internals: [internal(alice, 4n, 'suicide'), internal(alice, 6n, 'create')] }),
      ['native 4 #0', 'native 6 #1'],
    ],
    'more than a double can hold': [call({ logs: [log(2n ** 200n + 1n)] }), [`usdt ${2n ** 200n + 1n} #0`]],
    'more TRX than a double can hold': [
      {
        type: 'TransferContract',
        value: { amount: 2n ** 53n + 1n, owner_address: payer, to_address: `41${alice}` },
        receiptResult: null,
      },
      [`native ${2n ** 53n + 1n} #0`],
    ],
  };

  test.each(Object.entries(money))('%s', async (_what, [custom, expected]) => {
    const bench = await open();
    const { transfers } = spanOf(await readAfter(bench, () => bench.chain.sendCustom(custom)));
    expect(transfers.map(({ currency, amount, ordinal }) => `${currency} ${amount} #${ordinal}`)).toEqual(
      expected,
    );
  });

  test('what contracts pay is looked for only where the configuration says so', async () => {
    const bench = await open(1, { internalTransfers: false });
    const paid = () => bench.chain.sendCustom(call({ internals: [internal(alice, 4n)], logs: [log()] }));
    const { transfers } = spanOf(await readAfter(bench, paid));
    expect(transfers.map(({ currency }) => currency)).toEqual(['usdt']);
  });
});

/** Changes what a node answers to a method, as JSON: of blocks each one, however many are asked for. */
function rewrite(method: string, change: (body: never) => unknown): TronFault {
  const all = (body: Json) => (Array.isArray(body.block) ? { block: body.block.map(change as never) } : body);
  return (asked, answer) => {
    const isRange = method === blocks && asked.method === ranges;
    if (asked.view !== 'wallet' || (asked.method !== method && !isRange)) return answer;
    const body = parseLossless(answer.text) as never;
    return { ...answer, text: print(isRange ? all(body) : change(body)) };
  };
}

function instead(
  text: string,
  status = 200,
  headers: Record<string, string> = {},
  methods = reading,
): TronFault {
  return ({ method }, answer) =>
    methods.includes(method) ? { status, headers: { ...answer.headers, ...headers }, text } : answer;
}

const blocks = 'getblockbynum';
const infos = 'gettransactioninfobyblocknum';
const ranges = 'getblockbylimitnext';
const reading = [blocks, infos, ranges];

type Json = Record<string, unknown>;
const eachInfo = (change: (info: Json) => Json) => rewrite(infos, (all: Json[]) => all.map(change));
const eachTransaction = (change: (tx: Json) => Json) =>
  rewrite(blocks, (block: Json) => ({ ...block, transactions: (block.transactions as Json[]).map(change) }));

describe('S3: an answer that does not prove itself moves no cursor, and another node is asked', () => {
  const faults: Record<string, TronFault> = {
    'an empty object for the infos': rewrite(infos, () => ({})),
    'an empty list for the infos': rewrite(infos, () => []),
    'infos of which one is missing': rewrite(infos, (all: Json[]) => all.slice(1)),
    'infos in another order': rewrite(infos, (all: Json[]) => all.toReversed()),
    'infos of another block': eachInfo((info) => ({ ...info, blockNumber: 3 })),
    'infos of a block of another time': eachInfo((info) => ({ ...info, blockTimeStamp: 3 })),
    'infos with other ids': eachInfo((info) => ({ ...info, id: word(3n) })),
    'a block without its transactions': rewrite(blocks, ({ transactions: _, ...block }: Json) => block),
    'a block without one of its transactions': rewrite(blocks, (block: Json) => ({
      ...block,
      transactions: (block.transactions as Json[]).slice(1),
    })),
    'a block with a transaction twice': rewrite(blocks, (block: Json) => ({
      ...block,
      transactions: [...(block.transactions as Json[]), ...(block.transactions as Json[])],
    })),
    'another outcome in the body': eachTransaction((tx) => ({ ...tx, ret: [{ contractRet: 'REVERT' }] })),
    'another signature': eachTransaction((tx) => ({ ...tx, signature: ['00'] })),
    'another id of a block': rewrite(blocks, (block: Json) => ({ ...block, blockID: word(9n) })),
    'another time of a block': rewrite(blocks, (block: Json) => {
      const { raw_data } = block.block_header as { raw_data: Json };
      return { ...block, block_header: { raw_data: { ...raw_data, timestamp: 3000 } } };
    }),
    'a block of another height': rewrite(blocks, () => ({ Error: 'class java.lang.Exception : 1' })),
    'an exception of the node': instead('{"Error":"class java.lang.NullPointerException : null"}'),
    'no computing resources': instead(
      '{"Error":"class java.lang.IllegalAccessException : lack of computing resources"}',
    ),
    'the words of a lite node': instead('this API is closed because this node is a lite fullnode'),
    'a page of a proxy': instead('<html><body>Bad gateway</body></html>', 502),
    'a page of a proxy with status 200': instead('<html><body>Hello</body></html>'),
    'half a JSON': (asked, answer) =>
      reading.includes(asked.method) ? { ...answer, text: answer.text.slice(0, 60) } : answer,
    'a method that is switched off': instead('{"Error":"this API is unavailable due to config"}', 404),
    'too many requests': instead('', 429),
    'too many requests, with a time': instead('', 429, { 'retry-after': '7' }),
    'a suspended key': instead(
      '{"Error":"The key exceeds the frequency limit(3), and the query server is suspended for 5 s"}',
      403,
    ),
    'an overloaded provider': instead('{"Success":false,"Error":"overload","StatusCode":503}', 503),
    'a wrong key': instead('{"error":"invalid api key"}', 401),
    'a connection that ends': ({ method }, answer) => (reading.includes(method) ? ('cut' as never) : answer),
    'no answer at all': ({ method }, answer) => (reading.includes(method) ? ('hang' as never) : answer),
  };

  test.each(Object.entries(faults))('%s', async (_what, fault) => {
    const bench = await open(2, { timeoutMs: 300 });
    const [first] = bench.nodes;
    if (first === undefined) throw new Error('no node');
    const cursor = bench.chain.head();
    bench.chain.send({ token: usdt, currency: 'usdt', recipient: alice, amount: 5n });
    bench.chain.send({ token: 'native', currency: 'native', recipient: alice, amount: 7n });
    const head = bench.chain.mine();
    first.fault = fault;
    // The block is known, or asked for by who is at the head.
    for (const known of [head, cursor]) {
      const request = pollOf({ cursor, head: known, watch, native: true });
      const alone = tronSourceForTest(bench.chain, [first.url], { clock: bench.clock, timeoutMs: 300 });
      expect(await alone.poll(request)).toMatchObject({ kind: 'failed' });
      const { to, transfers } = spanOf(await bench.source.poll(request));
      expect(to).toEqual(head);
      expect(transfers.map(({ amount }) => amount)).toEqual([5n, 7n]);
    }
  });

  test('a transfer that is not what its owner signed is refused', async () => {
    // The tree over transactions is left out where one of them is of a form that nobody knows.
    const unknownForm = (change: (tx: Json) => Json) =>
      eachTransaction((tx) => ({ ...change(tx), ret: [{ contractRet: 'SUCCESS', novelty: 1 }] }));
    const transferOf = (tx: Json) =>
      (tx.raw_data as { contract: { parameter: { value: Json } }[] }).contract[0]?.parameter.value as Json;
    const changes: TronFault[] = [
      unknownForm((tx) => {
        transferOf(tx).amount = 700n;
        return tx;
      }),
      unknownForm((tx) => ({ ...tx, raw_data_hex: `${tx.raw_data_hex}00` })),
      unknownForm(({ raw_data_hex: _, ...tx }) => tx),
    ];
    for (const fault of [...changes, unknownForm((tx) => tx)]) {
      const bench = await open();
      const outcome = await readAfter(bench, () => {
        bench.chain.send({ token: 'native', currency: 'native', recipient: alice, amount: 7n });
        (bench.nodes[0] as { fault: TronFault }).fault = fault;
      });
      expect(outcome.kind).toBe(changes.includes(fault) ? 'failed' : 'span');
    }
  });

  test('E3: nobody asks before the time that a node has named', async () => {
    const bench = await open();
    const [node] = bench.nodes;
    if (node === undefined) throw new Error('no node');
    const head = bench.chain.head();
    const request = pollOf({ cursor: head, head, watch });
    node.fault = instead('', 429, { 'retry-after': '7' }, [...reading, 'getblock']);
    expect(await bench.source.poll(request)).toMatchObject({ retryAt: bench.clock() + 7_000 });
    node.fault = null;
    const asked = node.calls.length;
    bench.clock.advance(6_900);
    expect(await bench.source.poll(request)).toMatchObject({ kind: 'failed' });
    expect(node.calls).toHaveLength(asked);
    bench.clock.advance(200);
    expect(await bench.source.poll(request)).toMatchObject({ kind: 'span' });
  });

  test('unknown keys, strange times and a missing time of a transaction change nothing', async () => {
    const bench = await open();
    const [node] = bench.nodes;
    if (node === undefined) throw new Error('no node');
    const cursor = bench.chain.head();
    bench.chain.send({ token: usdt, currency: 'usdt', recipient: alice, amount: 5n });
    const head = bench.chain.mine();
    const strange = eachTransaction((tx) => ({
      ...tx,
      10: 'x',
      raw_data: { ...(tx.raw_data as Json), timestamp: -9223372036854775808n },
    }));
    const more = eachInfo((info) => ({ ...info, packingFee: 9223372036854775807n, 99: [] }));
    node.fault = async (asked, answer) => more(asked, (await strange(asked, answer)) as Answer) as Answer;
    const { transfers } = spanOf(await bench.source.poll(pollOf({ cursor, head, watch })));
    expect(transfers).toMatchObject([{ amount: 5n, block: head }]);
  });
});

describe('a node that is behind', () => {
  test('S5: after a restart it has forgotten blocks that it had, and that is no reorg', async () => {
    const bench = await open(2);
    const [restarted] = bench.nodes;
    if (restarted === undefined) throw new Error('no node');
    const head = bench.chain.head();
    const request = pollOf({ cursor: head, head, watch });
    expect(spanOf(await bench.source.poll(request)).host).toBe(new URL(restarted.url).host);
    restarted.view = { behind: 17 };
    bench.chain.mine();
    bench.clock.advance(20_000);
    const outcome = await bench.source.poll(request);
    expect(spanOf(outcome).to).toEqual(bench.chain.head());
    const alone = tronSourceForTest(bench.chain, [restarted.url], { clock: bench.clock });
    expect(await alone.poll(request)).toMatchObject({ kind: 'failed' });
  });

  test('a hole right below its head is waited for, and then another node is asked', async () => {
    const bench = await open(2);
    const [node] = bench.nodes;
    if (node === undefined) throw new Error('no node');
    const cursor = bench.chain.head();
    bench.chain.mine(2);
    node.fault = ({ method }, answer) => {
      if (method === ranges) return { ...answer, text: '{"block":[]}' };
      return method === blocks ? { ...answer, text: '{}' } : answer;
    };
    const { to, head } = spanOf(await bench.source.poll(pollOf({ cursor, head: cursor, watch })));
    expect(to).toEqual(cursor);
    expect(head).toEqual(bench.chain.head());
    const alone = tronSourceForTest(bench.chain, [node.url], { clock: bench.clock });
    const request = pollOf({ cursor, head, watch });
    expect(await alone.poll(request)).toMatchObject({ kind: 'failed' });
    expect(spanOf(await bench.source.poll(request)).to).toEqual(head);
  });
});

describe('several machines behind one name', () => {
  test('a latest block of one that is a little behind takes nothing from a block that another has shown', async () => {
    const bench = await open();
    const [node] = bench.nodes;
    if (node === undefined) throw new Error('no node');
    const cursor = bench.chain.head();
    const head = bench.chain.mine(2);
    const older = blockOf(bench.chain.simulated(bench.chain.branchOf({ behind: 1 }).at(-1) as never));
    node.fault = ({ method, view, body }, answer) =>
      method === 'getblock' && view === 'wallet' && body.id_or_num === undefined
        ? { ...answer, text: print(older) }
        : answer;
    const span = spanOf(await bench.source.poll(pollOf({ cursor, head, watch })));
    expect([span.to, span.head]).toEqual([head, head]);
  });

  test('what a server adds to the outcome of a transaction takes nothing from its block', async () => {
    const bench = await open();
    const outcome = await readAfter(bench, () => {
      bench.chain.send({ token: usdt, currency: 'usdt', recipient: alice, amount: 5n });
      (bench.nodes[0] as { fault: TronFault }).fault = eachTransaction((tx) => ({
        ...tx,
        ret: [{ contractRet: 'SUCCESS', fee: 1 }],
      }));
    });
    expect(spanOf(outcome).transfers).toMatchObject([{ amount: 5n }]);
  });
});

describe('the solid block', () => {
  test.each([2, -3])(
    'S1: is never above what getnodeinfo says, with walletsolidity %d blocks below it',
    async (trails) => {
      const bench = await open();
      const [node] = bench.nodes;
      if (node === undefined) throw new Error('no node');
      node.solidityTrails = trails;
      const head = bench.chain.head();
      const span = spanOf(await bench.source.poll(pollOf({ cursor: head, head, watch })));
      expect(span.finalizedHeight).toBe(head.height - 18 - Math.max(0, trails));
      const [answer] = await bench.source.headsOfEach(never);
      expect(answer).toMatchObject({
        value: { finalized: bench.chain.at(head.height - 18 - Math.max(0, trails)) },
      });
    },
  );

  test('S1: what walletsolidity shows above it is not confirmed', async () => {
    const bench = await open();
    const [node] = bench.nodes;
    if (node === undefined) throw new Error('no node');
    node.solidityTrails = -10;
    const paid = () => bench.chain.send({ token: usdt, currency: 'usdt', recipient: alice, amount: 5n });
    const { transfers } = spanOf(await readAfter(bench, () => paid()));
    const [transfer] = transfers;
    if (transfer === undefined) throw new Error('not found');
    const look = async () => {
      const [answer] = await bench.source.inclusionsOfEach([transfer], never);
      return answer?.kind === 'answered' ? answer.value.get(transfer)?.kind : 'silent';
    };
    bench.chain.mine(17);
    expect(await look()).toBe('unknown');
    bench.chain.mine();
    expect(await look()).toBe('included');
  });

  test('a node that does not tell it is not asked where it is needed', async () => {
    const bench = await open(2);
    const [node, other] = bench.nodes;
    if (node === undefined || other === undefined) throw new Error('no nodes');
    node.fault = instead('{"Error":"this API is unavailable due to config"}', 404, {}, ['getnodeinfo']);
    const head = bench.chain.head();
    const span = spanOf(await bench.source.poll(pollOf({ cursor: head, head, watch })));
    expect(span.host).toBe(new URL(other.url).host);
    expect(bench.source.endpoints()[0]?.lacks).toEqual(['finalized']);
  });
});

describe('what contracts paid', () => {
  test('is not denied by a node that does not store it', async () => {
    const bench = await open(2);
    const [, forgetful] = bench.nodes;
    if (forgetful === undefined) throw new Error('no node');
    forgetful.storesInternals = false;
    const paid = () => bench.chain.sendCustom(call({ internals: [internal(alice, 4n)] }));
    const { transfers } = spanOf(await readAfter(bench, paid));
    bench.chain.mine(20);
    const answers = await bench.source.inclusionsOfEach(transfers, never);
    const kinds = answers.map(
      (answer) => answer.kind === 'answered' && answer.value.get(transfers[0] as never)?.kind,
    );
    expect(kinds).toEqual(['included', 'unknown']);
  });

  test('is told at the start to depend on the node', async () => {
    const { log: logger, lines } = captureLog();
    const bench = await open(1, { log: logger });
    await bench.source.verify(never);
    await bench.source.verify(never);
    expect(lines.filter(({ msg }) => msg === 'internal transfers depend on nodes')).toHaveLength(1);
  });
});

describe('L3: an address', () => {
  test.each([blocks, ranges, infos])(
    'that is locked while %s is under way misses nothing of the block',
    async (method) => {
      const bench = await open();
      const keys = new Set<AddressKey>();
      const growing = {
        has: (key: AddressKey) => keys.has(key),
        hasAt: (bytes: Uint8Array, at: number) =>
          keys.has(Buffer.from(bytes.subarray(at, at + 20)).toString('hex') as AddressKey),
        size: 1,
        keys: () => keys.values(),
      };
      for (const node of bench.nodes)
        node.fault = (asked, answer) => {
          if (asked.method === method) keys.add(alice);
          return answer;
        };
      const cursor = bench.chain.head();
      bench.chain.send({ token: usdt, currency: 'usdt', recipient: alice, amount: 5n });
      const mined = bench.chain.mine();
      const head = method === ranges ? cursor : mined;
      const { transfers } = spanOf(await bench.source.poll(pollOf({ cursor, head, watch: growing })));
      expect(transfers.map(({ amount }) => amount)).toEqual([5n]);
    },
  );
});

describe('E1, E4: what reading costs', () => {
  test('a block costs two calls at any number of addresses, and one where it is empty', async () => {
    const bench = await open();
    const [node] = bench.nodes;
    if (node === undefined) throw new Error('no node');
    const all = { size: 1_000_000, has: () => false, keys: () => [] };
    let cursor = bench.chain.head();
    await bench.source.poll(pollOf({ cursor, head: cursor, watch: all, finality: false }));
    const costs: number[] = [];
    for (let n = 0; n < 5; n++) {
      bench.chain.send({ token: usdt, currency: 'usdt', recipient: alice, amount: 5n });
      const head = bench.chain.mine();
      const before = node.calls.length;
      const { to } = spanOf(
        await bench.source.poll(pollOf({ cursor, head: cursor, watch: all, finality: false })),
      );
      expect(to).toEqual(head);
      costs.push(node.calls.length - before);
      cursor = to;
    }
    expect(costs).toEqual([2, 2, 2, 2, 2]);
    const before = node.calls.length;
    await bench.source.poll(pollOf({ cursor, head: cursor, watch: all, finality: false }));
    expect(node.calls.slice(before).map(({ method }: Call) => method)).toEqual([ranges]);
  });

  test('at the head all blocks that are there come with one call, and with them which one is the latest', async () => {
    const bench = await open();
    const [node] = bench.nodes;
    if (node === undefined) throw new Error('no node');
    const cursor = bench.chain.head();
    await bench.source.poll(pollOf({ cursor, head: cursor, watch, finality: false }));
    const request = pollOf({ cursor, head: cursor, watch, finality: false, showHead: true });
    for (const blocksMined of [3, 4]) {
      bench.chain.mine(blocksMined);
      const before = node.calls.length;
      const { to, head } = spanOf(await bench.source.poll(request));
      expect([to, head]).toEqual([bench.chain.head(), bench.chain.head()]);
      const methods = node.calls.slice(before).map(({ method }) => method);
      expect(methods.filter((method) => method !== infos)).toEqual([ranges]);
    }
    // As many as were asked for may not be all.
    bench.chain.mine(8);
    const { to, head } = spanOf(await bench.source.poll(request));
    expect([to.height, head]).toEqual([cursor.height + 10, bench.chain.head()]);
  });

  test('of a node that gives less than it has the head is asked for when it is due', async () => {
    const bench = await open();
    const [node] = bench.nodes;
    if (node === undefined) throw new Error('no node');
    const cursor = bench.chain.head();
    bench.chain.mine(5);
    node.fault = rewrite(ranges, (body: Json) => ({ block: (body.block as unknown[]).slice(0, 1) }));
    bench.clock.advance(20_000);
    const request = pollOf({ cursor, head: cursor, watch, finality: false });
    expect(spanOf(await bench.source.poll(request)).head.height).toBe(cursor.height + 1);
    const due = { ...request, showHead: true };
    expect(spanOf(await bench.source.poll(due)).head).toEqual(bench.chain.head());
  });

  test.each([
    ['that serves no ranges', 404, '{"Error":"this API is unavailable due to config"}'],
    ['of whose ranges the answers are too large', 413, ''],
  ])('a node %s is read block by block', async (_what, status, text) => {
    const bench = await open();
    const [node] = bench.nodes;
    if (node === undefined) throw new Error('no node');
    let cursor = bench.chain.head();
    const top = bench.chain.mine(4);
    node.fault = instead(text, status, {}, [ranges]);
    const read: number[] = [];
    // At the head, and on the way there, two at a time.
    for (const head of [cursor, top, top]) {
      const { to } = spanOf(await bench.source.poll(pollOf({ cursor, head, watch, finality: false })));
      read.push(to.height - cursor.height);
      cursor = to;
    }
    expect(read).toEqual([1, 2, 1]);
    expect(bench.source.endpoints()[0]?.lacks).toEqual([]);
  });

  test('a range that takes too long costs one time-out, and is shorter the next time', async () => {
    const bench = await open(1, { timeoutMs: 200 });
    const [node] = bench.nodes;
    if (node === undefined) throw new Error('no node');
    const cursor = bench.chain.head();
    const head = bench.chain.mine(8);
    node.fault = ({ method, body }, answer) =>
      method === ranges && Number(body.endNum) - Number(body.startNum) > 5 ? ('hang' as never) : answer;
    const request = pollOf({ cursor, head, watch, finality: false });
    expect(await bench.source.poll(request)).toMatchObject({ kind: 'failed' });
    expect(node.calls.filter(({ method }) => method === ranges)).toHaveLength(1);
    bench.clock.advance(60_000);
    expect(spanOf(await bench.source.poll(request)).to).toEqual(head);
  });

  test('E1: nothing is asked before the next block can be there, once it is known how soon that is', async () => {
    const bench = await open();
    const [node] = bench.nodes;
    if (node === undefined) throw new Error('no node');
    let cursor = bench.chain.head();
    const poll = async () => {
      const before = node.calls.length;
      const span = spanOf(await bench.source.poll(pollOf({ cursor, head: cursor, watch, finality: false })));
      cursor = span.to;
      return node.calls.length - before;
    };
    await poll();
    // A block every three seconds, there 400 ms after its slot; a poll every second and a half.
    const costs: number[] = [];
    for (let slot = 0; slot < 40; slot++) {
      bench.clock.advance(400);
      bench.chain.mine();
      bench.clock.advance(200);
      costs.push(await poll());
      expect(cursor).toEqual(bench.chain.head());
      bench.clock.advance(1_500);
      costs.push(await poll());
      bench.clock.advance(900);
    }
    // Empty blocks cost one call; the poll between two of them costs one while nothing is known, and then none.
    expect(costs.slice(0, 4).reduce((sum, cost) => sum + cost)).toBeGreaterThan(4);
    const later = costs.slice(-20);
    expect(later.filter((_, i) => i % 2 === 1)).toEqual(Array.from({ length: 10 }, () => 0));
    // A missed slot is no reason to stop asking.
    bench.clock.advance(3_000);
    expect(await poll()).toBeGreaterThan(0);
  });

  test('E2: catching up asks for ten blocks at once, and never for more than four infos at a time', async () => {
    const bench = await open();
    const [node] = bench.nodes;
    if (node === undefined) throw new Error('no node');
    let cursor = bench.chain.head();
    for (let n = 0; n < 45; n++) {
      bench.chain.send({ token: usdt, currency: 'usdt', recipient: alice, amount: BigInt(n + 1) });
      bench.chain.mine();
    }
    let open_ = 0;
    let most = 0;
    node.fault = async ({ method }, answer) => {
      if (method !== infos) return answer;
      open_ += 1;
      most = Math.max(most, open_);
      await new Promise((resolve) => setImmediate(resolve));
      open_ -= 1;
      return answer;
    };
    const found: bigint[] = [];
    const head = bench.chain.head();
    while (cursor.height < head.height) {
      const span = spanOf(await bench.source.poll(pollOf({ cursor, head, watch, finality: false })));
      found.push(...span.transfers.map(({ amount }) => amount));
      cursor = span.to;
    }
    expect(found).toEqual(Array.from({ length: 45 }, (_, n) => BigInt(n + 1)));
    const asked = node.calls.filter(({ method }) => method === ranges);
    expect(asked.length).toBeLessThanOrEqual(5);
    for (const { body } of asked) expect(Number(body.endNum) - Number(body.startNum)).toBeLessThanOrEqual(10);
    expect(node.calls.filter(({ method }) => method === infos)).toHaveLength(45);
    expect(most).toBe(4);
  });
});
