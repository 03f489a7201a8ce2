import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { NodeFault } from '../../src/nodes/fault.ts';
import { batchLimit, classifyRefusal, type RawRefusal } from '../../src/nodes/refusals.ts';
import { describeRealData, readRealData } from '../support/real-data.ts';

/** As the providers say it, with the status and code they say it with where that matters. */
const refusals: [message: string, fault: NodeFault, raw?: Partial<RawRefusal>][] = [
  // Fewer blocks, and how many.
  [
    'Under the Free tier plan, you can make eth_getLogs requests with up to a 10 block range. Based on your parameters, this block range should work: [0x1180fca, 0x1180fd3]. Upgrade to PAYG for expanded block range.',
    { kind: 'too-wide', blocks: 10 },
    { status: 400, code: -32600 },
  ],
  [
    'Log response size exceeded. You can make eth_getLogs requests with up to a 2K block range and no limit on the response size, or you can request any block range with a cap of 10K logs in the response. Based on your parameters and the response size limit, this block range should work: [0xc5dc00, 0xc614a7]',
    { kind: 'too-wide', blocks: 14_504 },
    { code: -32602 },
  ],
  [
    'query returned more than 10000 results. Try with this block range [0x1, 0x64].',
    { kind: 'too-wide', blocks: 100 },
  ],
  [
    'query exceeds max results 20000, retry with the range 24383075-24383096',
    { kind: 'too-wide', blocks: 22 },
  ],
  [
    'eth_getLogs is limited to a 10,000 range',
    { kind: 'too-wide', blocks: 10_000 },
    { status: 413, code: -32614 },
  ],
  ['eth_getLogs and eth_newFilter are limited to a 5 blocks range', { kind: 'too-wide', blocks: 5 }],
  ['eth_getLogs is limited to a 1000 blocks range', { kind: 'too-wide', blocks: 1000 }],
  ['limited to 2000 block', { kind: 'too-wide', blocks: 2000 }],
  ['eth_getLogs is limited to 0 - 50 blocks range', { kind: 'too-wide', blocks: 50 }],
  ['exceed maximum block range: 50000', { kind: 'too-wide', blocks: 50_000 }, { code: -32701 }],
  ['exceed max block range: 5000', { kind: 'too-wide', blocks: 5000 }],
  [
    'ranges over 10000 blocks are not supported on freetier',
    { kind: 'too-wide', blocks: 10_000 },
    { code: 35 },
  ],
  ['Max range: 3500', { kind: 'too-wide', blocks: 3500 }],
  ['Maximum allowed number of requested blocks is 3500', { kind: 'too-wide', blocks: 3500 }],
  ['eth_getLogs range is too large, max is 10k blocks', { kind: 'too-wide', blocks: 10_000 }],
  ['requested too many blocks from 0 to 5000000, maximum is set to 1024', { kind: 'too-wide', blocks: 1024 }],
  ['block range too large (2000), maximum allowed is 1000 blocks', { kind: 'too-wide', blocks: 1000 }],
  ['exceeds the range allowed for your plan (5000 > 3000)', { kind: 'too-wide', blocks: 3000 }],
  ['please limit the query to at most 1,000 blocks', { kind: 'too-wide', blocks: 1000 }],
  ['query exceeds max block range 1000', { kind: 'too-wide', blocks: 1000 }],
  ['block range greater than 10000 max', { kind: 'too-wide', blocks: 10_000 }],
  ['block range exceeds 1000', { kind: 'too-wide', blocks: 1000 }],
  ['range 49999 exceeds limit of 10000', { kind: 'too-wide', blocks: 10_000 }],
  ['query must be smaller than size 1024', { kind: 'too-wide', blocks: 1024 }],
  ['block range is too wide (maximum 1024)', { kind: 'too-wide', blocks: 1024 }],
  ['maximum [from, to] blocks distance: 10000', { kind: 'too-wide', blocks: 10_000 }],
  ['the range must not exceed 25 blocks, block range too big', { kind: 'too-wide', blocks: 25 }],
  // Fewer blocks, without saying how many.
  ['block range is too wide', { kind: 'too-wide', blocks: null }, { code: -32600 }],
  ['Block range limit exceeded.', { kind: 'too-wide', blocks: null }],
  ['block range too large', { kind: 'too-wide', blocks: null }],
  // Less data.
  ['query returned more than 10000 results', { kind: 'too-much' }, { code: -32005 }],
  ['query exceeds max results', { kind: 'too-much' }],
  ['Query timeout exceeded', { kind: 'too-much' }, { code: -32005 }],
  ['More than 50000 logs returned', { kind: 'too-much' }],
  ['backend response too large', { kind: 'too-much' }],
  ['response size should not greater than 10000000 bytes', { kind: 'too-much' }],
  ['logs matched by query exceeds limit of 10000', { kind: 'too-much' }],
  ['', { kind: 'too-much' }, { status: 413 }],
  // A shorter filter.
  ['exceed max addresses or topics per search position', { kind: 'filter-too-long' }],
  // Not served at all. The first is what the official BSC nodes answer to every eth_getLogs.
  ['limit exceeded', { kind: 'unsupported' }, { code: -32005 }],
  ['the method eth_getLogs does not exist/is not available', { kind: 'unsupported' }, { code: -32601 }],
  ['Archive requests require a personal token', { kind: 'unsupported' }, { status: 403, code: -32602 }],
  ['eth_getLogs is not whitelisted', { kind: 'unsupported' }],
  ['invalid argument 0: hex string without 0x prefix', { kind: 'unsupported' }, { code: -32602 }],
  // Not there yet.
  ['block range extends beyond current head block', { kind: 'behind' }],
  ['invalid block range params', { kind: 'behind' }, { code: -32602 }],
  ['BlockOutOfRangeError: block height is 5000 but requested was 5008', { kind: 'behind' }, { code: -32602 }],
  [
    'One of the blocks specified in filter (fromBlock, toBlock or blockHash) cannot be found.',
    { kind: 'behind' },
  ],
  ['header not found', { kind: 'behind' }],
  ['finalized block not found', { kind: 'behind' }, { code: -39001 }],
  ['unknown block', { kind: 'behind' }],
  // Fewer requests, or later.
  [
    'daily request count exceeded, request rate limited',
    { kind: 'unavailable', retryAfterMs: null, throttled: true },
    { code: -32005 },
  ],
  [
    'project ID request rate exceeded',
    { kind: 'unavailable', retryAfterMs: null, throttled: true },
    { code: -32005 },
  ],
  [
    'Your app has exceeded its compute units per second capacity.',
    { kind: 'unavailable', retryAfterMs: 3000, throttled: true },
    { status: 429, retryAfterMs: 3000 },
  ],
  [
    'no backend is currently healthy to serve traffic',
    { kind: 'unavailable', retryAfterMs: null, throttled: true },
  ],
  ['Internal error', { kind: 'unavailable', retryAfterMs: null }, { status: 500, code: -32603 }],
  ['', { kind: 'unavailable', retryAfterMs: null }, { status: 502 }],
  ['', { kind: 'unavailable', retryAfterMs: null }, { status: 403 }],
  // The contract's own answer.
  ['execution reverted: Invalid token ID', { kind: 'reverted' }, { code: 3 }],
];

test.each(refusals)('"%s" is understood', (message, fault, raw) => {
  expect(refuse(message, raw).fault).toEqual(fault);
});

test('whatever a node says, a refusal is one of the known faults with a short message', () => {
  fc.assert(
    fc.property(fc.string(), fc.integer(), fc.integer({ min: 100, max: 599 }), (message, code, status) => {
      const error = refuse(message, { code, status });
      expect(error.message.length).toBeLessThan(250);
      if (error.fault.kind === 'too-wide')
        expect(error.fault.blocks === null || error.fault.blocks > 0).toBe(true);
    }),
  );
});

test.each([
  ['Batch requests are not supported', 1],
  ['Batch of more than 3 requests are not allowed on free plan', 3],
  ['batch limit 100 exceeded (can increase by --rpc.batch.limit). Requested batch of size: 401', 100],
  ['batch too large', 200],
  ['Batch size is too large', 200],
  ['too many requests in batch', 200],
  ['rate limit exceeded', null],
])('"%s" names the calls a batch may have', (message, calls) => {
  expect(batchLimit(message, 401)).toBe(calls);
});

describeRealData('recorded error bodies of providers', 'rpc-errors', () => {
  test.each([
    ['execution reverted', 'reverted'],
    ['execution reverted: revert: Invalid token ID', 'reverted'],
    ['eth_getLogs is limited to a 1000 blocks range', 'too-wide'],
  ])('"%s" is understood', (message, kind) => {
    expect(recordedKinds().get(message)).toBe(kind);
  });

  test('a node without the state of an old block is behind', () => {
    const pruned = [...recordedKinds()].filter(([message]) =>
      /missing trie node|No state available/.test(message),
    );
    expect(pruned.length).toBeGreaterThan(4);
    expect(new Set(pruned.map(([, kind]) => kind))).toEqual(new Set(['behind']));
  });
});

type Recorded = { status: number; body: { error?: { code?: number; message?: string } | string } };

function recordedKinds(): Map<string, string> {
  const recorded = JSON.parse(
    readRealData('rpc-errors/recorded-error-and-null-responses.json'),
  ) as Recorded[];
  const kinds = new Map<string, string>();
  for (const { status, body } of recorded) {
    if (typeof body.error !== 'object') continue;
    const { code = 0, message = '' } = body.error;
    kinds.set(message, classifyRefusal({ status, code, message, retryAfterMs: null }).fault.kind);
  }
  return kinds;
}

function refuse(message: string, raw: Partial<RawRefusal> = {}) {
  return classifyRefusal({ status: 200, code: -32000, message, retryAfterMs: null, ...raw });
}
