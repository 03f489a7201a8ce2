import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { AddressKey } from '../../../src/core/address.ts';
import type { BlockHash, BlockRef } from '../../../src/core/chain.ts';
import { NodeError, type NodeFault } from '../../../src/nodes/fault.ts';
import { transferTopic } from '../../../src/watchers/evm/calls.ts';
import {
  type Expectation,
  type HeaderAnswers,
  judgeBlocks,
  judgeHeaders,
  judgeLogs,
  type LogsExpectation,
} from '../../../src/watchers/evm/validate.ts';

type RawHeader = { number: string; hash: string; parentHash: string; timestamp: string };

describe('S3: headers', () => {
  const expected: Expectation = {
    cursor: ref(100),
    to: { height: 110, hash: hashOf(110) },
    finalizedHeight: 105,
  };
  const honest: HeaderAnswers = { top: header(112), finalized: header(106), cursor: header(100) };

  test('prove a node that is past the block to read to, on our chain', () => {
    const verdict = judgeHeaders(expected, honest, 'latest');
    expect(verdict).toMatchObject({ kind: 'proven', top: { height: 112 }, finalized: { height: 106 } });
  });

  test('prove the block to read to by itself where no earlier answer showed it', () => {
    const unknown = { ...expected, to: { height: 110, hash: null } };
    expect(judgeHeaders(unknown, { ...honest, top: header(110) }, 'block')).toMatchObject({
      kind: 'proven',
      top: { height: 110, hash: hashOf(110) },
    });
  });

  test('prove a node that does not tell what is finalized', () => {
    expect(judgeHeaders(expected, { ...honest, finalized: null }, 'latest')).toMatchObject({
      kind: 'proven',
      finalized: null,
    });
  });

  test('another block at the cursor is a reorg', () => {
    expect(judgeHeaders(expected, { ...honest, cursor: header(100, 'b') }, 'latest')).toEqual({
      kind: 'reorg',
    });
  });

  test.each<[string, Partial<HeaderAnswers>]>([
    ['at its own height', { top: header(110, 'b') }],
    ['as the parent of the latest', { top: header(111, 'b') }],
    ['as the finalized block', { finalized: header(110, 'b'), top: header(113, 'b') }],
  ])('a block to read to that was replaced shows %s', (_, answers) => {
    expect(judgeHeaders(expected, { ...honest, ...answers }, 'latest')).toMatchObject({ kind: 'moved' });
  });

  test.each<[string, Partial<HeaderAnswers>, NodeFault['kind']]>([
    ['a latest block below the one to read to', { top: header(109) }, 'behind'],
    ['a finalized block below one seen before', { finalized: header(104) }, 'behind'],
    ['no block at the cursor', { cursor: null }, 'behind'],
    ['another block than the cursor was asked for', { cursor: header(101) }, 'contradiction'],
    ['a finalized block above the latest', { finalized: header(113) }, 'contradiction'],
    ['two blocks at one height', { finalized: header(112, 'b') }, 'contradiction'],
    ['a parent that is not the block before', { finalized: header(111, 'b') }, 'contradiction'],
    ['no latest block', { top: null }, 'contradiction'],
    ['a latest block without a hash', { top: { ...header(112), hash: null } }, 'contradiction'],
    ['a latest block without a time', { top: { ...header(112), timestamp: '' } }, 'contradiction'],
    ['a latest block with a decimal number', { top: { ...header(112), number: 112 } }, 'contradiction'],
    [
      'a latest block of absurd height',
      { top: { ...header(112), number: `0x${'f'.repeat(16)}` } },
      'contradiction',
    ],
    ['a list for a block', { cursor: [header(100)] }, 'contradiction'],
  ])('%s: %s', (_, answers, kind) => {
    expect(faultOf(() => judgeHeaders(expected, { ...honest, ...answers }, 'latest'))).toBe(kind);
  });

  test.each<[string, unknown, NodeFault['kind']]>([
    ['no such block yet', null, 'behind'],
    ['another block than was asked for', header(111), 'contradiction'],
    ['nonsense', 'pending', 'contradiction'],
  ])('asked for the block to read to, a node answers with %s', (_, top, kind) => {
    const unknown = { ...expected, to: { height: 110, hash: null } };
    expect(faultOf(() => judgeHeaders(unknown, { ...honest, top }, 'block'))).toBe(kind);
  });

  test('another block at the cursor is no reorg when the rest of the answer knows the cursor', () => {
    const atFinal = { ...expected, cursor: ref(105) };
    expect(faultOf(() => judgeHeaders(atFinal, { ...honest, cursor: header(105, 'b') }, 'latest'))).toBe(
      'contradiction',
    );
  });

  test('a node that is behind is not believed when it shows another block at the cursor', () => {
    expect(
      faultOf(() =>
        judgeHeaders(expected, { ...honest, top: header(109), cursor: header(100, 'b') }, 'latest'),
      ),
    ).toBe('behind');
  });

  test('whatever is answered, the verdict is one of the known or a fault of the node', () => {
    const part = fc.oneof(fc.jsonValue(), rawHeader());
    fc.assert(
      fc.property(
        part,
        part,
        part,
        fc.constantFrom('latest' as const, 'block' as const),
        (top, finalized, cursor, asked) => {
          const verdict = attempt(() => judgeHeaders(expected, { top, finalized, cursor }, asked));
          if (verdict instanceof NodeError || verdict.kind !== 'proven') return;
          expect(cursor).toMatchObject({ number: hex(100), hash: hashOf(100) });
          expect(verdict.top.height).toBeGreaterThanOrEqual(110);
          expect(verdict.finalized?.height ?? 105).toBeGreaterThanOrEqual(105);
          expect(verdict.witnesses.get(110)).toBe(hashOf(110));
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe('logs', () => {
  const [usdt, usdc] = ['a1'.repeat(20), 'a2'.repeat(20)] as [AddressKey, AddressKey];
  const [alice, bob] = ['b1'.repeat(20), 'b2'.repeat(20)] as [AddressKey, AddressKey];
  const asked: LogsExpectation = {
    from: 101,
    to: 103,
    tokens: new Set([usdt, usdc]),
    witnesses: new Map([[103, hashOf(103)]]),
  };
  const watched = (key: AddressKey) => key === alice;
  const honest = [
    log({ height: 101, index: 4 }),
    log({ height: 103, index: 0 }),
    log({ height: 103, index: 2 }),
  ];

  function log(
    parts: {
      height?: number;
      index?: number;
      to?: AddressKey;
      token?: AddressKey;
      amount?: bigint;
      fork?: string;
    } = {},
  ): Record<string, unknown> {
    const { height = 101, index = 0, to = alice, token = usdt, amount = 5n, fork = 'a' } = parts;
    return {
      address: `0x${token}`,
      topics: [transferTopic, word('cc'.repeat(20)), word(to)],
      data: word(amount.toString(16)),
      blockNumber: hex(height),
      blockHash: hashOf(height, fork),
      transactionHash: `0x${'dd'.repeat(32)}`,
      logIndex: hex(index),
      removed: false,
    };
  }

  test('of the range, in order, are believed, and those that pay a watched address are found', () => {
    const logs = [...honest.slice(0, 1), log({ height: 102, index: 1, to: bob }), ...honest.slice(1)];
    expect(judgeLogs(logs, asked, watched)).toMatchObject([
      { height: 101, logIndex: 4, token: usdt, recipient: alice, amount: 5n },
      { height: 103, logIndex: 0 },
      { height: 103, logIndex: 2 },
    ]);
    expect(judgeLogs([], asked, watched)).toEqual([]);
  });

  test('in upper case or with checksums mean the same', () => {
    const shouted: Record<string, unknown> = {
      ...log({ height: 103 }),
      address: `0x${usdt.toUpperCase()}`,
      blockHash: hashOf(103).toUpperCase().replace('X', 'x'),
    };
    shouted.topics = (shouted.topics as string[]).map((topic) => topic.toUpperCase().replace('X', 'x'));
    expect(judgeLogs([shouted], asked, watched)).toMatchObject([
      { token: usdt, recipient: alice, blockHash: hashOf(103) },
    ]);
  });

  test('with numbers of a fixed width mean the same', () => {
    const wide = {
      ...log({ height: 103 }),
      blockNumber: `0x${'0'.repeat(13)}067`,
      logIndex: `0x${'0'.repeat(16)}`,
    };
    expect(judgeLogs([wide], asked, watched)).toMatchObject([{ height: 103, logIndex: 0 }]);
  });

  test('of nothing, and to what is no address, pay nobody', () => {
    const odd = log({ height: 102 });
    (odd.topics as string[])[2] = `0x01${word(alice).slice(4)}`;
    expect(judgeLogs([log({ amount: 0n }), odd], asked, watched)).toEqual([]);
  });

  test.each<[string, unknown]>([
    ['that are no list', { logs: [] }],
    ['of null', [null]],
    ['below the range', [log({ height: 100 })]],
    ['above the range', [log({ height: 104 })]],
    ['of a contract that was not asked for', [log({ token: bob })]],
    ['of another event', [{ ...log(), topics: [word('1'), word(bob), word(alice)] }]],
    ['with four topics', [{ ...log(), topics: [transferTopic, word(bob), word(alice), word('1')] }]],
    ['with two topics', [{ ...log(), topics: [transferTopic, word(bob)] }]],
    ['with more data than a value', [{ ...log(), data: `${word('5')}00` }]],
    ['without data', [{ ...log(), data: '0x' }]],
    ['with data that is not hex', [{ ...log(), data: `0x${'zz'.repeat(32)}` }]],
    ['that were removed', [{ ...log(), removed: true }]],
    ['with a removed of another kind', [{ ...log(), removed: 'false' }]],
    ['of two blocks at one height', [log({ index: 0 }), log({ index: 1, fork: 'b' })]],
    ['of another block at the height read to', [log({ height: 103, fork: 'b' })]],
    ['twice', [log({ index: 3 }), log({ index: 3 })]],
    ['out of order within a block', [log({ index: 3 }), log({ index: 2 })]],
    ['out of order between blocks', [log({ height: 103 }), log({ height: 102, index: 9 })]],
    ['with a short transaction hash', [{ ...log(), transactionHash: '0xdd' }]],
    ['without a block hash', [{ ...log(), blockHash: null }]],
    ['still pending', [{ ...log(), blockNumber: null, blockHash: null, logIndex: null }]],
    ['with a short address', [{ ...log(), address: '0xa1' }]],
  ])('%s contradict what was asked', (_, logs) => {
    expect(faultOf(() => judgeLogs(logs, asked, watched))).toBe('contradiction');
    // One wrong log spoils an answer whose others are right.
    if (Array.isArray(logs))
      expect(faultOf(() => judgeLogs([...logs, log({ height: 103, index: 90 })], asked, watched))).toBe(
        'contradiction',
      );
  });

  test('are believed exactly when each rule holds, by rules written a second time', () => {
    const parts = fc.record({
      height: fc.integer({ min: 100, max: 104 }),
      index: fc.integer({ min: 0, max: 3 }),
      to: fc.constantFrom(alice, bob),
      token: fc.constantFrom(usdt, usdt, usdt, usdc, bob),
      amount: fc.constantFrom(0n, 5n),
      fork: fc.constantFrom('a', 'a', 'a', 'a', 'b'),
      removed: fc.constantFrom(false, false, false, false, true),
    });
    type Parts = {
      height: number;
      index: number;
      to: AddressKey;
      token: AddressKey;
      amount: bigint;
      fork: string;
      removed: boolean;
    };
    const obeys = (logs: readonly Parts[]) =>
      logs.every((one) => one.height >= 101 && one.height <= 103 && one.token !== bob && !one.removed) &&
      logs.every((one) => one.height !== 103 || one.fork === 'a') &&
      logs.every((one, i) =>
        logs.every(
          (other, j) =>
            j <= i || one.height < other.height || (one.height === other.height && one.index < other.index),
        ),
      ) &&
      logs.every((one) => logs.every((other) => one.height !== other.height || one.fork === other.fork));
    const ascending = fc
      .array(parts, { maxLength: 5 })
      .map((logs) => logs.toSorted((a, b) => a.height - b.height || a.index - b.index));
    let believed = 0;
    fc.assert(
      fc.property(fc.oneof(ascending, ascending, fc.array(parts, { maxLength: 4 })), (logs) => {
        const raw = logs.map(({ removed, ...one }) => ({ ...log(one), removed }));
        const result = attempt(() => judgeLogs(raw, asked, watched));
        expect(!(result instanceof NodeError)).toBe(obeys(logs));
        if (result instanceof NodeError) return;
        believed += 1;
        const paying = logs.filter((one) => one.to === alice && one.amount > 0n);
        expect(result.map(({ height, logIndex, token }) => [height, logIndex, token])).toEqual(
          paying.map((one) => [one.height, one.index, one.token]),
        );
      }),
      { numRuns: 3000 },
    );
    expect(believed).toBeGreaterThan(100);
  });

  test('of any shape are believed or the fault of the node', () => {
    const spoiled = fc
      .record({ at: fc.nat(2), field: fc.constantFrom(...Object.keys(log())), value: fc.jsonValue() })
      .map(
        ({ at, field, value }) =>
          honest.map((one, i) => (i === at ? { ...one, [field]: value } : one)) as unknown,
      );
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue(), fc.array(fc.jsonValue()), spoiled), (logs) => {
        const result = attempt(() => judgeLogs(logs, asked, watched));
        if (!(result instanceof NodeError))
          expect(result.length).toBeLessThanOrEqual((logs as unknown[]).length);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('whole blocks', () => {
  const cursor = ref(100);
  const witnesses = new Map([[103, hashOf(103)]]);
  const honest = [101, 102, 103].map((height) => ({ ...header(height), transactions: [transaction()] }));

  function transaction(parts: Record<string, unknown> = {}): Record<string, unknown> {
    return {
      hash: `0x${'ee'.repeat(32)}`,
      to: `0x${'b1'.repeat(20)}`,
      value: '0x5',
      input: '0x',
      gas: '0x5208',
      ...parts,
    };
  }

  test('that link from the cursor to the end are believed', () => {
    const blocks = judgeBlocks(honest, cursor, witnesses);
    expect(blocks.map(({ height, hash }) => [height, hash])).toEqual(
      [101, 102, 103].map((height) => [height, hashOf(height)]),
    );
    expect(blocks[0]?.transactions).toEqual([
      { hash: `0x${'ee'.repeat(32)}`, to: 'b1'.repeat(20), value: 5n, input: '0x', gas: 21_000 },
    ]);
  });

  test('may create contracts', () => {
    const creating = {
      ...header(101),
      transactions: [transaction({ to: null }), transaction({ to: undefined })],
    };
    expect(judgeBlocks([creating], cursor, witnesses)[0]?.transactions.map(({ to }) => to)).toEqual([
      null,
      null,
    ]);
  });

  test.each<[string, unknown[], NodeFault['kind']]>([
    ['that are not there yet', [honest[0], null], 'behind'],
    ['with a gap', [honest[0], honest[2]], 'contradiction'],
    ['from another fork', [{ ...honest[0], parentHash: hashOf(100, 'b') }], 'contradiction'],
    [
      'that do not follow each other',
      [honest[0], { ...honest[1], parentHash: hashOf(101, 'b') }],
      'contradiction',
    ],
    [
      'that are not what the headers show',
      [honest[0], honest[1], { ...honest[2], hash: hashOf(103, 'b') }],
      'contradiction',
    ],
    ['without transactions', [header(101)], 'contradiction'],
    [
      'with hashes for transactions',
      [{ ...header(101), transactions: [`0x${'ee'.repeat(32)}`] }],
      'contradiction',
    ],
    [
      'with a transaction to a short address',
      [{ ...header(101), transactions: [transaction({ to: '0x12' })] }],
      'contradiction',
    ],
    [
      'with a transaction without a value',
      [{ ...header(101), transactions: [transaction({ value: null })] }],
      'contradiction',
    ],
    [
      'with a value of more than 32 bytes',
      [{ ...header(101), transactions: [transaction({ value: `0x${'1'.repeat(65)}` })] }],
      'contradiction',
    ],
    [
      'with an input of half bytes',
      [{ ...header(101), transactions: [transaction({ input: '0x123' })] }],
      'contradiction',
    ],
  ])('%s: not believed', (_, blocks, kind) => {
    expect(faultOf(() => judgeBlocks(blocks, cursor, witnesses))).toBe(kind);
  });

  test('of any shape are believed or the fault of the node', () => {
    const spoiled = fc
      .record({
        field: fc.constantFrom('number', 'hash', 'parentHash', 'timestamp', 'transactions'),
        value: fc.jsonValue(),
      })
      .map(({ field, value }) => [honest[0], { ...honest[1], [field]: value }, honest[2]] as unknown[]);
    fc.assert(
      fc.property(fc.oneof(fc.array(fc.jsonValue()), spoiled), (blocks) => {
        const result = attempt(() => judgeBlocks(blocks, cursor, witnesses));
        if (result instanceof NodeError) return;
        for (const [i, block] of result.entries())
          expect(block.parentHash).toBe(result[i - 1]?.hash ?? cursor.hash);
      }),
      { numRuns: 1000 },
    );
  });
});

/** The hash of the block at a height of one branch: anything that differs by both. */
function hashOf(height: number, fork = 'a'): BlockHash {
  return `0x${fork.repeat(4)}${height.toString(16).padStart(60, '0')}` as BlockHash;
}

function header(height: number, fork = 'a'): RawHeader {
  return {
    number: hex(height),
    hash: hashOf(height, fork),
    parentHash: hashOf(height - 1, fork),
    timestamp: hex(height * 3),
  };
}

function ref(height: number): BlockRef {
  return { height, hash: hashOf(height), time: height * 3 };
}

/** Headers of either branch, sometimes with a part that is wrong. */
function rawHeader(): fc.Arbitrary<unknown> {
  const right = fc
    .tuple(fc.constantFrom(99, 100, 104, 105, 109, 110, 111, 112), fc.constantFrom('a', 'a', 'a', 'b'))
    .map(([height, fork]) => header(height, fork));
  const wrong = fc
    .tuple(right, fc.constantFrom('number', 'hash', 'parentHash', 'timestamp'), fc.jsonValue())
    .map(([one, field, value]) => ({ ...one, [field]: value }));
  return fc.oneof(right, right, right, wrong);
}

function attempt<T>(judge: () => T): T | NodeError {
  try {
    return judge();
  } catch (error) {
    if (error instanceof NodeError) return error;
    throw error;
  }
}

function faultOf(judge: () => unknown): NodeFault['kind'] | 'believed' {
  const result = attempt(judge);
  return result instanceof NodeError ? result.fault.kind : 'believed';
}

function word(digits: string): string {
  return `0x${digits.padStart(64, '0')}`;
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
