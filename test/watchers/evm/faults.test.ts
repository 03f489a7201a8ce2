import { describe, expect, test } from 'vitest';
import type { BlockHash, BlockRef, Transfer } from '../../../src/core/chain.ts';
import type { ChainSource, PollOutcome, Watchlist } from '../../../src/watchers/source.ts';
import { anvilForTest, type TestAnvil } from '../../support/anvil.ts';
import {
  endpointOf,
  evmSourceForTest,
  pollOf,
  type TestClock,
  type TestSourceOptions,
  testClock,
  watching,
} from '../../support/evm.ts';
import { dice, type FaultProxy, faultProxyForTest, type When } from '../../support/fault-proxy.ts';
import type { Fault } from '../../support/faults.ts';
import { inclusionsBy } from '../../support/inclusions.ts';
import { captureLog } from '../../support/log.ts';
import { placeTokens, transferToken } from '../../support/tokens.ts';

/*
 * Every way in which a node can fail or lie within one answer, between a real node and the source. What no
 * single answer can show, a log that is missing from the middle of a list by a node that has it, is left to
 * reading finalized blocks a second time from another node.
 */

const customer = '0x1111111111111111111111111111111111111abc';
const logs = { method: 'eth_getLogs' };
const blocks = { method: 'eth_getBlockByNumber' };

/** Faults that must show at once: the poll fails and moves nothing. */
const visible: [name: string, fault: Fault, when?: When][] = [
  ['a node that lags and answers a range it lacks with less', { kind: 'lag', by: 3 }],
  ['a latest block below the one seen before', { kind: 'stale-tags', by: 3 }],
  [
    'a finalized block below the one seen before',
    { kind: 'stale-tags', by: 3 },
    { matches: asksFor('finalized') },
  ],
  ['no latest block', { kind: 'result', result: null }, { matches: asksFor('latest') }],
  ['no block at the cursor', { kind: 'result', result: null }, { matches: asksForNumber }],
  ['logs twice', { kind: 'repeat-logs' }, logs],
  ['logs backwards', { kind: 'reverse-logs' }, logs],
  ['a log of another fork', { kind: 'foreign-log' }, logs],
  ['a removed log', { kind: 'removed-log' }, logs],
  ['logs that are no list', { kind: 'result', result: {} }, logs],
  ['null for logs', { kind: 'result', result: null }, logs],
  ['an error for logs', { kind: 'refuse', code: -32603, message: 'Internal error' }, logs],
  ['eth_getLogs switched off', { kind: 'refuse', code: -32005, message: 'limit exceeded' }, logs],
  ['a lost answer', { kind: 'lose-answer' }, logs],
  ['a repeated answer', { kind: 'repeat-answer' }, blocks],
  ['an answer to another question', { kind: 'wrong-id' }, logs],
  ['an answer to what is no question', { kind: 'object-id' }, logs],
  ['cut JSON', { kind: 'truncate' }],
  ['HTML', { kind: 'html' }],
  ['429', { kind: 'status', status: 429 }],
  ['429 with Retry-After', { kind: 'status', status: 429, headers: { 'retry-after': '2' } }],
  ['403', { kind: 'status', status: 403 }],
  ['500', { kind: 'status', status: 500 }],
  ['502 with JSON', { kind: 'status', status: 502, body: '{"error":"bad gateway"}' }],
  ['a redirect', { kind: 'status', status: 302, headers: { location: '/' } }],
  ['a broken connection', { kind: 'drop' }],
  ['no answer', { kind: 'hang' }],
];

/** Faults that a node may have and still prove itself: the poll succeeds in spite of them. */
const overcome: [name: string, fault: Fault, when?: When][] = [
  ['batches refused', { kind: 'refuse-batch' }],
  ['batches of two only', { kind: 'limit-batch', calls: 2 }],
  ['answers in another order', { kind: 'reverse-batch' }],
  [
    'ranges of more than two blocks refused by name',
    { kind: 'refuse-range', blocks: 2, message: 'limited to a N blocks range' },
    logs,
  ],
  [
    'ranges of more than two blocks refused without a number',
    { kind: 'refuse-range', blocks: 2, message: 'block range too large' },
    logs,
  ],
  [
    'more than one block refused',
    { kind: 'refuse-range', blocks: 1, message: 'query returned more than 10000 results' },
    logs,
  ],
];

describe('L1: with one node', () => {
  test.each(visible)('%s: nothing moves, and nothing is lost once it is over', async (_, fault, when) => {
    const reader = await open(patienceWith(fault));
    const armed = reader.proxy.inject(fault, when);
    const before = reader.cursor();
    const outcome = await reader.poll();
    expect(armed.hits).toBeGreaterThan(0);
    expect(outcome).toMatchObject({ kind: 'failed' });
    expect(reader.cursor()).toEqual(before);
    reader.proxy.clear();
    await reader.readToHead();
    expect(reader.found()).toEqual(reader.paid());
  });

  test.each(overcome)('%s: everything is read all the same', async (_, fault, when) => {
    const reader = await open();
    const armed = reader.proxy.inject(fault, when);
    await reader.readToHead();
    expect(armed.hits).toBeGreaterThan(0);
    expect(reader.found()).toEqual(reader.paid());
  });

  test('a batch split over machines that lag less than one poll loses nothing', async () => {
    const reader = await open();
    const behind = await faultProxyForTest(reader.anvil.url);
    behind.inject({ kind: 'lag', by: 2 });
    await reader.anvil.mine(2);
    reader.proxy.inject({ kind: 'divert', url: behind.url }, logs);
    await reader.readToHead();
    expect(reader.found()).toEqual(reader.paid());
  });

  test('after 429 with Retry-After no request comes before its time', async () => {
    const reader = await open();
    reader.proxy.inject({ kind: 'status', status: 429, headers: { 'retry-after': '20' } }, { times: 1 });
    const outcome = await reader.poll();
    expect(outcome).toMatchObject({ kind: 'failed', retryAt: reader.clock() + 20_000 });
    reader.proxy.resetTraffic();
    for (let second = 1; second < 20; second++) {
      reader.clock.advance(1000);
      await reader.poll();
    }
    expect(reader.proxy.traffic().requests).toBe(0);
    reader.clock.advance(1000);
    await reader.readToHead();
    expect(reader.found()).toEqual(reader.paid());
  });

  test('a node of another chain is not used, not even after a pause', async () => {
    const reader = await open();
    const other = await anvilForTest({ chainId: 1 });
    // It answers nothing, heads neither.
    reader.proxy.inject({ kind: 'status', status: 503 }, { times: 2 });
    await reader.poll();
    reader.proxy.inject({ kind: 'divert', url: other.url });
    reader.clock.advance(60_000);
    expect(await reader.poll()).toMatchObject({
      kind: 'failed',
      reason: expect.stringContaining('it belongs to chain 1, not 56'),
    });
  });

  test('a node without a finalized tag serves depth, and is refused by name where finality is asked for', async () => {
    const untagged: Fault = {
      kind: 'refuse',
      code: -32602,
      message: 'invalid argument 0: hex string without 0x prefix',
    };
    const when = { matches: asksFor('finalized') };
    const byDepth = await open({ finality: 'depth' });
    byDepth.proxy.inject(untagged, when);
    const outcome = await byDepth.poll();
    expect(outcome).toMatchObject({ kind: 'span', span: { finalizedHeight: null } });
    const byFinality = await open();
    byFinality.proxy.inject(untagged, when);
    expect(await byFinality.poll()).toMatchObject({
      kind: 'failed',
      reason: expect.stringContaining('does not tell the finalized block, which finality "finalized" needs'),
    });
  });

  test('a node that takes no list of recipients is asked for the whole token', async () => {
    const reader = await open();
    const filters = ({ params }: { params: unknown[] }) =>
      ((params[0] as { topics?: unknown[] })?.topics ?? []).length > 1;
    const message = 'exceed max addresses or topics per search position';
    const refusal = reader.proxy.inject(
      { kind: 'refuse', code: -32602, message },
      { ...logs, matches: filters },
    );
    await reader.readToHead();
    expect(reader.found()).toEqual(reader.paid());
    expect(refusal.hits).toBe(1);
  });

  test('one tick is one request of four calls, whatever the number of blocks and addresses', async () => {
    const sizes = [1, 1000, 1_000_000];
    for (const size of sizes) {
      const reader = await open({ watch: { ...watching(customer), size } });
      await reader.poll();
      reader.proxy.resetTraffic();
      await reader.poll();
      await reader.anvil.mine(5);
      await reader.poll();
      expect(reader.proxy.traffic()).toMatchObject({ requests: 2 });
      expect(reader.proxy.traffic().calls).toBeLessThanOrEqual(8);
    }
  });
});

const noLogs: Fault = { kind: 'refuse', code: -32005, message: 'limit exceeded' };

describe('L1: with another node to ask', () => {
  test('a node that refuses eth_getLogs is asked for heads only, and says so', async () => {
    const { log, lines } = captureLog();
    const reader = await open({ second: true, log });
    const refused = reader.proxy.inject(noLogs, logs);
    await reader.readToHead();
    await reader.pay();
    await reader.readToHead();
    expect(reader.found()).toEqual(reader.paid());
    // Six blocks, three, and at last a single one.
    expect(refused.hits).toBe(3);
    reader.proxy.resetTraffic();
    const height = await reader.anvil.height();
    expect([...(await reader.source.blocksAt([height], reader.signal)).keys()]).toEqual([height]);
    await inclusionsBy(reader.source, reader.transfers());
    expect(reader.proxy.traffic().byMethod).toMatchObject({
      eth_getBlockByNumber: expect.any(Number),
      eth_getTransactionReceipt: 7,
    });
    const host = new URL(reader.proxy.url).host;
    expect(reader.source.endpoints()[0]).toMatchObject({
      host,
      state: 'limited',
      lacks: ['logs'],
      head: height,
      lag: 0,
      backoffUntil: null,
    });
    expect(lines.filter(({ msg }) => msg === 'rpc endpoint limited')).toEqual([
      expect.objectContaining({ level: 'warn', network: 'bsc', host, lacks: 'logs' }),
    ]);
  });

  test.each<[string, Fault]>([
    ['each call alone', { kind: 'refuse-batch' }],
    ['two calls at once', { kind: 'limit-batch', calls: 2 }],
  ])('that is understood of a node that takes %s too', async (_, fault) => {
    const reader = await open({ second: true });
    reader.proxy.inject(fault);
    const refused = reader.proxy.inject(noLogs, logs);
    await reader.readToHead();
    expect(reader.found()).toEqual(reader.paid());
    expect(refused.hits).toBe(3);
    expect(reader.source.endpoints()[0]).toMatchObject({ state: 'limited', lacks: ['logs'] });
  });

  test('a node that refuses everything says nothing about logs, and rests', async () => {
    const reader = await open({ second: true });
    reader.proxy.inject({ kind: 'refuse', code: -32000, message: 'unauthorized: bad api key' });
    await reader.readToHead();
    expect(reader.found()).toEqual(reader.paid());
    expect(reader.source.endpoints()[0]).toMatchObject({ state: 'backoff', lacks: [] });
  });

  test('a node that refuses receipts goes on serving logs', async () => {
    const reader = await open({ second: true });
    const receipts = { method: 'eth_getTransactionReceipt' };
    reader.proxy.inject({ kind: 'refuse', code: -32601, message: 'method not found' }, receipts);
    await reader.readToHead();
    const kindsBy = async (url: string) => {
      const inclusions = await inclusionsBy(reader.source, reader.transfers(), new URL(url).host);
      return [...inclusions.values()].map(({ kind }) => kind);
    };
    expect(await kindsBy(reader.proxy.url)).toEqual(Array(6).fill('unknown'));
    expect(await kindsBy(reader.anvil.url)).toEqual(Array(6).fill('included'));
    await reader.pay();
    await reader.readToHead();
    expect(reader.source.endpoints()).toMatchObject([
      { state: 'limited', lacks: ['receipts'], asked: expect.any(Number) },
      { state: 'ready', asked: 2 },
    ]);
  });

  test('a node without the finalized tag is not read from where finality is asked for', async () => {
    const reader = await open({ second: true });
    const refused = reader.proxy.inject(
      { kind: 'refuse', code: -32602, message: 'invalid argument 0: hex string without 0x prefix' },
      { matches: asksFor('finalized') },
    );
    await reader.readToHead();
    expect(reader.found()).toEqual(reader.paid());
    expect(refused.hits).toBe(1);
    expect(reader.source.endpoints()[0]).toMatchObject({ state: 'limited', lacks: ['finalized'] });
  });

  test('what a node was found to take is shown', async () => {
    const reader = await open({ second: true });
    reader.proxy.inject({ kind: 'limit-batch', calls: 2 });
    reader.proxy.inject({ kind: 'refuse-range', blocks: 2, message: 'limited to a N blocks range' }, logs);
    await reader.readToHead();
    expect(reader.source.endpoints()[0]?.limits).toEqual({
      blocksPerQuery: 2,
      callsPerRequest: 2,
      recipientFilter: true,
    });
  });

  test.each(visible)('%s: the other one is asked, in the same poll', async (name, fault, when) => {
    const { log, lines } = captureLog();
    const reader = await open({ second: true, log, ...patienceWith(fault) });
    reader.proxy.inject(fault, when);
    const outcome = await reader.poll();
    expect(outcome.kind).toBe('span');
    await reader.readToHead();
    expect(reader.found()).toEqual(reader.paid());
    const [switched] = lines.filter(({ msg }) => msg === 'rpc endpoint switched');
    expect(switched, name).toMatchObject({
      level: 'warn',
      network: 'bsc',
      from: new URL(reader.proxy.url).host,
    });
    expect(JSON.stringify(lines)).not.toContain('http://');
  });

  test('a node whose final block is another is not believed against one that agrees with us', async () => {
    const { source, host, final } = await openDisputed({ second: true });
    const outcome = await source.poll(final);
    expect(outcome).toMatchObject({ kind: 'span', span: { to: final.cursor } });
    expect(source.endpoints()[0]).toMatchObject({
      host,
      lastError: expect.stringContaining('which is final elsewhere'),
      state: 'distrusted',
    });
  });
});

/**
 * Several of these faults at once, each by chance. Not those that mean a node as a whole: in a part of an
 * answer they are what no single answer shows.
 */
const mixable = [...visible, ...overcome].filter(
  ([, { kind }]) => !['lag', 'stale-tags', 'hang'].includes(kind),
);

test.each(Array.from({ length: 12 }, (_, i) => i + 1))(
  'mixed by seed %i they lose nothing and double nothing',
  async (seed) => {
    const random = dice(seed);
    const reader = await open({ second: seed % 2 === 0, seed });
    for (let i = 0; i < 4; i++) {
      const [, fault, when] = mixable[Math.floor(random() * mixable.length)] as (typeof mixable)[number];
      reader.proxy.inject(fault, { ...when, chance: 0.2 + random() * 0.4 });
    }
    for (let polls = 0; polls < 25; polls++) {
      if (random() < 0.5) await reader.pay();
      const outcome = await reader.poll();
      reader.clock.advance(outcome.kind === 'failed' ? Math.max(0, outcome.retryAt - reader.clock()) : 1000);
      expect(reader.found()).toEqual(reader.paid().slice(0, reader.found().length));
    }
    reader.proxy.clear();
    await reader.readToHead();
    expect(reader.found()).toEqual(reader.paid());
  },
);

test('the hash of a finalized block that nothing else in the answer shows is not remembered', async () => {
  // No log is of that block either.
  const reader = await open({ watch: watching(`0x${'2'.repeat(40)}`) });
  const hash = `0x${'f0'.repeat(32)}`;
  const rewrite = (block: unknown) => ({ ...(block as object), hash });
  const armed = reader.proxy.inject({ kind: 'rewrite', rewrite }, { matches: asksFor('finalized') });
  const outcome = await reader.poll();
  expect(armed.hits).toBe(1);
  // Made up, it would look like a final block replaced, and stop the chain at its next fork.
  expect(outcome).toMatchObject({ kind: 'span' });
  expect(outcome.kind === 'span' && outcome.span.anchors.map((anchor) => anchor.hash)).not.toContain(hash);
});

test('a final block that is another for every node is a reorg', async () => {
  const { source, final } = await openDisputed({ second: false });
  expect(await source.poll(final)).toEqual({ kind: 'reorg' });
});

/** The first node is on another fork, below a block that was final. */
async function openDisputed(options: ReaderOptions) {
  const { source, proxy, anvil } = await open(options);
  const fork = await anvilForTest({ genesisTime: 1_700_000_000 });
  await fork.mine(20);
  proxy.inject({ kind: 'divert', url: fork.url });
  const { number, hash, timestamp } = await anvil.block('finalized');
  const cursor = { height: number, hash: hash as BlockHash, time: timestamp };
  const final = pollOf({ cursor, head: cursor, finalizedHeight: number, watch: watching(customer) });
  return { source, host: new URL(proxy.url).host, final };
}

/** Only a node that says nothing is waited for in vain; any other may take its time on a busy machine. */
function patienceWith({ kind }: Fault): { timeoutMs?: number } {
  return kind === 'hang' ? { timeoutMs: 1000 } : {};
}

/** Drives a source as the watcher does. */
type Reader = {
  source: ChainSource;
  anvil: TestAnvil;
  proxy: FaultProxy;
  clock: TestClock;
  poll(): Promise<PollOutcome>;
  /** One more payment, in a block of its own. */
  pay(): Promise<void>;
  readToHead(): Promise<void>;
  cursor(): BlockRef;
  found(): string[];
  transfers(): Transfer[];
  paid(): string[];
  signal: AbortSignal;
};

type ReaderOptions = TestSourceOptions & { second?: boolean; watch?: Watchlist; seed?: number };

/** A chain with six payments to be read in blocks that were seen, from before them. */
async function open(options: ReaderOptions = {}): Promise<Reader> {
  const { second = false, watch = watching(customer), seed = 1, ...more } = options;
  const anvil = await anvilForTest();
  const { usdt } = await placeTokens(anvil, 'bsc');
  await anvil.mine(3);
  const proxy = await faultProxyForTest(anvil.url, { seed });
  const nodes = second ? [proxy.url, anvil.url] : [proxy.url];
  const clock = testClock();
  const source = evmSourceForTest(
    nodes.map((url) => endpointOf(url)),
    { clock, timeoutMs: 10_000, ...more },
  );

  const { cursor: start } = await source.start('latest', new AbortController().signal);
  let state = { cursor: start, head: start, finalizedHeight: null as number | null };
  const paid: string[] = [];
  for (let i = 0; i < 6; i++) {
    paid.push(await transferToken(anvil, usdt, customer, BigInt(i + 1)));
    if (i % 2 === 1) await anvil.mine();
  }
  await anvil.mine();
  const transfers: Transfer[] = [];

  async function poll(): Promise<PollOutcome> {
    const outcome = await source.poll(pollOf({ ...state, watch }));
    if (outcome.kind === 'span') {
      const { span } = outcome;
      transfers.push(...span.transfers);
      state = {
        cursor: span.to,
        head: span.head,
        finalizedHeight: span.finalizedHeight ?? state.finalizedHeight,
      };
    }
    return outcome;
  }

  async function readToHead(): Promise<void> {
    const head = await anvil.height();
    for (let polls = 0; state.cursor.height < head; polls++) {
      if (polls > 60) throw new Error(`stuck at ${state.cursor.height} of ${head}`);
      const outcome = await poll();
      // Never before its time, as the watcher does.
      if (outcome.kind === 'failed') clock.advance(Math.max(0, outcome.retryAt - clock()));
    }
  }

  // What is there is seen before the fault begins; nothing is read yet.
  await poll();
  expect(state.head.height).toBe(await anvil.height());
  return {
    source,
    anvil,
    proxy,
    clock,
    poll,
    pay: async () => {
      paid.push(await transferToken(anvil, usdt, customer, 7n));
      await anvil.mine();
    },
    readToHead,
    cursor: () => state.cursor,
    found: () => transfers.map(({ txHash }) => txHash),
    transfers: () => transfers,
    signal: new AbortController().signal,
    paid: () => paid,
  };
}

function asksFor(tag: string): (call: { params: unknown[] }) => boolean {
  return ({ params }) => params[0] === tag;
}

function asksForNumber({ method, params }: { method: string; params: unknown[] }): boolean {
  return method === 'eth_getBlockByNumber' && String(params[0]).startsWith('0x');
}
