import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { BlockHash } from '../../../src/core/chain.ts';
import { knownChains } from '../../../src/core/chains/known.ts';
import { transferTopic } from '../../../src/watchers/evm/calls.ts';
import { evmSourceForTest, pollOf, testClock, watching } from '../../support/evm.ts';
import { startLoopback } from '../../support/loopback.ts';

/*
 * Nodes fail at log queries that are too wide for them in whatever words, or in none: what counts is that they
 * answer the rest.
 */

const customer = '0x1111111111111111111111111111111111111abc';
const top = 1_000;
const payEvery = 50;

/** How a node fails at what is too much for it. */
type Failure =
  | { kind: 'refusal'; code: number; message: string }
  | { kind: 'status'; status: number; body: string }
  | { kind: 'body'; body: string }
  | { kind: 'drop' }
  | { kind: 'hang' };

const words = [
  'request timed out',
  'context deadline exceeded',
  'Internal error',
  'limit exceeded',
  'header not found',
  'invalid block range params',
  'the method eth_getLogs does not exist/is not available',
  'execution aborted (timeout = 5s)',
  'rate limit exceeded',
  'backend fetch failed',
  'query returned more than 10000 results',
  'block range too large',
  'unauthorized',
];

const failures: fc.Arbitrary<Failure> = fc.oneof(
  fc.record({
    kind: fc.constant('refusal' as const),
    code: fc.constantFrom(-32002, -32000, -32603, -32005, -32601, -32602, 0, 35),
    message: fc.oneof(fc.constantFrom(...words), fc.string({ maxLength: 60 })),
  }),
  fc.record({
    kind: fc.constant('status' as const),
    status: fc.constantFrom(400, 403, 413, 429, 500, 502, 503, 504, 520, 524),
    body: fc.oneof(fc.constant(''), fc.constant('<html>gateway</html>'), fc.constantFrom(...words)),
  }),
  fc.record({
    kind: fc.constant('body' as const),
    body: fc.constantFrom('', '<html>error</html>', '[', '{}'),
  }),
  fc.constant({ kind: 'drop' as const }),
  fc.constant({ kind: 'hang' as const }),
);

describe('a node that fails at log queries of more blocks than it can bear', () => {
  test('is asked for fewer until it serves them, whatever it says: the head is always reached', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 300 }), failures, async (limit, failure) => {
        const node = await openNode(failure);
        node.limit = limit;
        // Some two minutes at most, though a node that wants fewer requests gets a longer rest each time.
        const reached = await node.readOn({ polls: 600, from: 700 });
        expect(reached).toBe(top);
        expect(node.found()).toBe((top - 700) / payEvery);
      }),
      { numRuns: 25 },
    );
  });

  test('serves no logs only once it has failed at a single block', async () => {
    for (const message of words.filter((word) => !/rate limit|not found|invalid block/.test(word))) {
      const node = await openNode({ kind: 'refusal', code: -32000, message });
      node.limit = 0;
      await node.readOn({ polls: 1 });
      expect(node.asked, message).toEqual([200, 100, 50, 25, 12, 6, 3, 1]);
      expect(node.source.endpoints()[0], message).toMatchObject({ state: 'limited', lacks: ['logs'] });
    }
  });

  test('is asked at once where it is quick to refuse, and after others where it lets us wait', async () => {
    const quick = await openNode({ kind: 'status', status: 504, body: '' });
    quick.limit = 30;
    await quick.readOn({ polls: 1 });
    expect(quick.asked).toEqual([200, 100, 50, 25]);
    const slow = await openNode({ kind: 'hang' });
    slow.limit = 30;
    expect(await slow.poll()).toMatchObject({ kind: 'failed', retryAt: slow.clock() + 1_000 });
    expect(slow.asked).toEqual([200]);
  });

  test('and does not answer for its head either is not asked for less: it is away', async () => {
    const node = await openNode({ kind: 'status', status: 503, body: '' });
    node.limit = 0;
    node.headsToo = true;
    for (let polls = 0; polls < 5; polls++) await node.poll();
    expect(new Set(node.asked)).toEqual(new Set([200]));
  });

  test('is asked for as much as ever some time after it has recovered', async () => {
    const node = await openNode({ kind: 'refusal', code: -32002, message: 'request timed out' });
    node.limit = 0;
    await node.readOn({ polls: 1 });
    node.limit = Number.POSITIVE_INFINITY;
    await node.readOn({ polls: 100 });
    expect(Math.max(...node.asked.slice(8))).toBeGreaterThan(200);
  });
});

/** A chain of a thousand blocks, some of which pay the customer, behind a node that bears so many at once. */
async function openNode(failure: Failure) {
  const state = { limit: Number.POSITIVE_INFINITY, headsToo: false };
  const asked: number[] = [];
  type Call = { id: unknown; method: string; params: unknown[] };
  const server = await startLoopback((request, response) => {
    const body = JSON.parse(request.body.toString('utf8')) as Call | Call[];
    const calls = [body].flat();
    const widths = calls.flatMap(({ method, params }) => (method === 'eth_getLogs' ? [widthOf(params)] : []));
    asked.push(...widths);
    const fails = widths.some((width) => width > state.limit);
    const identifies = calls.some(({ method }) => method === 'eth_chainId');
    const away = (fails || state.headsToo) && !identifies;
    if (away && failure.kind === 'hang') return;
    if (away && failure.kind === 'drop') return void response.destroy();
    if (away && failure.kind === 'status') return void response.writeHead(failure.status).end(failure.body);
    if (away && failure.kind === 'body') return void response.end(failure.body);
    const answers = calls.map(({ id, method, params }) => {
      const refused = method === 'eth_getLogs' && fails && failure.kind === 'refusal';
      const answer = refused ? { error: failure } : { result: resultOf(method, params) };
      return { jsonrpc: '2.0', id, ...answer };
    });
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(Array.isArray(body) ? answers : answers[0]));
  });
  const clock = testClock();
  const source = evmSourceForTest([server.url], { clock, timeoutMs: failure.kind === 'hang' ? 150 : 5_000 });
  let cursor = refOf(100);
  let found = 0;
  const poll = async () => {
    const outcome = await source.poll(pollOf({ cursor, head: refOf(top), watch: watching(customer) }));
    if (outcome.kind === 'span') {
      cursor = refOf(outcome.span.to.height);
      found += outcome.span.transfers.length;
    }
    return outcome;
  };
  return Object.assign(state, {
    asked,
    source,
    clock,
    poll,
    found: () => found,
    /** Polls as often, each as soon as the one before allows; returns how far that led. */
    async readOn({ polls, from }: { polls: number; from?: number }): Promise<number> {
      if (from !== undefined) cursor = refOf(from);
      for (let i = 0; i < polls && cursor.height < top; i++) {
        const outcome = await poll();
        if (outcome.kind === 'failed') clock.advance(Math.max(0, outcome.retryAt - clock()));
      }
      return cursor.height;
    },
  });
}

function widthOf([filter]: unknown[]): number {
  const { fromBlock, toBlock } = filter as { fromBlock: string; toBlock: string };
  return Number(toBlock) - Number(fromBlock) + 1;
}

function resultOf(method: string, [first]: unknown[]): unknown {
  if (method === 'eth_chainId') return '0x38';
  if (method !== 'eth_getLogs') {
    const height = first === 'latest' ? top : first === 'finalized' ? top - 2 : Number(first);
    return {
      number: hex(height),
      hash: hashOf(height),
      parentHash: hashOf(height - 1),
      timestamp: hex(height),
    };
  }
  const { fromBlock } = first as { fromBlock: string };
  const heights = Array.from({ length: widthOf([first]) }, (_, i) => Number(fromBlock) + i);
  return heights
    .filter((height) => height % payEvery === 0)
    .map((height) => ({
      address: knownChains.bsc.tokens.usdt?.address,
      topics: [transferTopic, hashOf(1), `0x${customer.slice(2).padStart(64, '0')}`],
      data: hashOf(5),
      blockNumber: hex(height),
      blockHash: hashOf(height),
      transactionHash: hashOf(height),
      logIndex: '0x0',
    }));
}

function refOf(height: number) {
  return { height, hash: hashOf(height), time: height };
}

function hashOf(height: number): BlockHash {
  return `0x${height.toString(16).padStart(64, '0')}` as BlockHash;
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
