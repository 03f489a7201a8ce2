import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { AddressKey } from '../../../src/core/address.ts';
import type { BlockHash, TxHash } from '../../../src/core/chain.ts';
import { transferTopic } from '../../../src/watchers/evm/calls.ts';
import {
  type InclusionAnswers,
  judgeInclusion,
  planInclusions,
} from '../../../src/watchers/evm/inclusion.ts';
import type { InclusionQuery } from '../../../src/watchers/source.ts';

const [usdt, other, alice, bob] = ['a1', 'a2', 'b1', 'b2'].map((digits) => digits.repeat(20)) as [
  AddressKey,
  AddressKey,
  AddressKey,
  AddressKey,
];
const txHash = `0x${'dd'.repeat(32)}` as TxHash;
const blockHash = `0x${'ee'.repeat(32)}` as BlockHash;
const elsewhere = `0x${'ff'.repeat(32)}` as BlockHash;
const block = { number: '0x64', hash: blockHash, parentHash: elsewhere, timestamp: '0x12c' };
const ref = { height: 100, hash: blockHash, time: 300 };

describe('a token transfer', () => {
  const query: InclusionQuery = { txHash, token: usdt, recipient: alice, ordinal: 1, amount: 5n, block: ref };
  const logs = [log({ index: 7, amount: 9n }), log({ index: 8, amount: 5n })];
  const honest: InclusionAnswers = { head: 120, block, receipt: receipt({ logs }), transaction: undefined };

  test('is included where its block and its log stand', () => {
    expect(judgeInclusion(query, honest)).toEqual({ kind: 'included', block: ref, amount: 5n, head: 120 });
  });

  test('is found by its number among those of its token to its recipient, whatever the order of the logs', () => {
    const crowd = [
      log({ index: 8, amount: 5n }),
      log({ index: 1, amount: 5n, to: bob }),
      log({ index: 2, amount: 5n, token: other }),
      log({ index: 3, amount: 0n }),
      { address: `0x${usdt}`, topics: [], data: '0x' },
      log({ index: 7, amount: 9n }),
    ];
    const answers = { ...honest, receipt: receipt({ logs: crowd }) };
    expect(judgeInclusion(query, answers)).toMatchObject({ kind: 'included' });
    expect(judgeInclusion({ ...query, ordinal: 0, amount: 9n }, answers)).toMatchObject({ kind: 'included' });
    expect(judgeInclusion({ ...query, ordinal: 2 }, answers)).toEqual({ kind: 'absent' });
  });

  test('is told with the amount that its log moves', () => {
    const answers = { ...honest, receipt: receipt({ logs: [logs[0], log({ index: 8, amount: 6n })] }) };
    expect(judgeInclusion(query, answers)).toMatchObject({ kind: 'included', amount: 6n });
  });

  test.each<[string, Partial<InclusionAnswers>]>([
    ['another block stands at its height', { block: { ...block, hash: elsewhere } }],
    ['its transaction failed', { receipt: receipt({ logs, status: '0x0' }) }],
    ['its log is not there', { receipt: receipt({ logs: logs.slice(0, 1) }) }],
    ['its block names others', { block: { ...block, transactions: [elsewhere] }, receipt: null }],
    ['its block is empty', { block: { ...block, transactions: [] }, receipt: null }],
    [
      'its block names others, and it stands in another',
      {
        block: { ...block, transactions: [elsewhere] },
        receipt: receipt({ logs, blockHash: elsewhere }),
      },
    ],
  ])('is absent when %s', (_, answers) => {
    expect(judgeInclusion(query, { ...honest, ...answers })).toEqual({ kind: 'absent' });
  });

  test.each<[string, Partial<InclusionAnswers>]>([
    ['the node has no such block yet', { block: null }],
    ['the node shows another height', { block: { ...block, number: '0x65' } }],
    ['the head is below the block', { head: 99 }],
    ['the receipt is missing', { receipt: null }],
    [
      'the receipt is missing, though its block names it',
      { block: { ...block, transactions: [txHash] }, receipt: null },
    ],
    ['what its block names is nonsense', { block: { ...block, transactions: [7] }, receipt: null }],
    ['the receipt is of another transaction', { receipt: receipt({ logs, transactionHash: elsewhere }) }],
    ['the receipt is of another block', { receipt: receipt({ logs, blockHash: elsewhere }) }],
    ['the receipt is nonsense', { receipt: { status: 'ok' } }],
  ])('is unknown when %s', (_, answers) => {
    expect(judgeInclusion(query, { ...honest, ...answers })).toMatchObject({ kind: 'unknown' });
  });

  test('is never included by an answer of any shape', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), fc.nat(), (anyBlock, anyReceipt, head) => {
        const answers = { head, block: anyBlock, receipt: anyReceipt, transaction: anyReceipt };
        expect(judgeInclusion(query, answers).kind).not.toBe('included');
        expect(judgeInclusion(query, { ...answers, block }).kind).not.toBe('included');
      }),
    );
  });
});

describe('a native transfer', () => {
  const query: InclusionQuery = {
    txHash,
    token: 'native',
    recipient: alice,
    ordinal: 0,
    amount: 5n,
    block: ref,
  };
  const sent = { hash: txHash, to: `0x${alice}`, value: '0x5' };
  const honest: InclusionAnswers = { head: 120, block, receipt: receipt({ logs: [] }), transaction: sent };

  test('is included where its transaction succeeded with its value', () => {
    expect(judgeInclusion(query, honest)).toEqual({ kind: 'included', block: ref, amount: 5n, head: 120 });
  });

  test('is told with the value that its transaction carries', () => {
    const answers = { ...honest, transaction: { ...sent, value: '0x6' } };
    expect(judgeInclusion(query, answers)).toMatchObject({ kind: 'included', amount: 6n });
  });

  test.each<[string, Partial<InclusionAnswers>]>([
    ['failed', { receipt: receipt({ logs: [], status: '0x0' }) }],
    ['pays somebody else', { transaction: { ...sent, to: `0x${bob}` } }],
    ['creates a contract', { transaction: { ...sent, to: null } }],
  ])('is absent when its transaction %s', (_, answers) => {
    expect(judgeInclusion(query, { ...honest, ...answers })).toEqual({ kind: 'absent' });
  });

  test('is unknown when its transaction is not there', () => {
    expect(judgeInclusion(query, { ...honest, transaction: null })).toMatchObject({ kind: 'unknown' });
    const wrong = { ...sent, hash: elsewhere };
    expect(judgeInclusion(query, { ...honest, transaction: wrong })).toMatchObject({ kind: 'unknown' });
  });
});

test('every block and transaction is asked for once', () => {
  const query: InclusionQuery = { txHash, token: usdt, recipient: alice, ordinal: 0, amount: 5n, block: ref };
  const native: InclusionQuery = { ...query, token: 'native' };
  const higher: InclusionQuery = {
    ...query,
    txHash: elsewhere as string as TxHash,
    block: { ...ref, height: 101 },
  };
  const plan = planInclusions([query, { ...query, ordinal: 1 }, native, higher]);
  expect(plan.calls.map(({ method, params }) => [method, params[0]])).toEqual([
    ['eth_getBlockByNumber', '0x64'],
    ['eth_getBlockByNumber', '0x65'],
    ['eth_getTransactionReceipt', txHash],
    ['eth_getTransactionReceipt', elsewhere],
    ['eth_getTransactionByHash', txHash],
  ]);
  const results = ['block 100', 'block 101', 'receipt', 'other receipt', 'transaction'];
  expect(plan.answersFor(native, results, 7)).toEqual({
    head: 7,
    block: 'block 100',
    receipt: 'receipt',
    transaction: 'transaction',
  });
  expect(plan.answersFor(higher, results, 7)).toMatchObject({
    block: 'block 101',
    receipt: 'other receipt',
    transaction: undefined,
  });
});

type LogParts = { index: number; amount: bigint; to?: AddressKey; token?: AddressKey };

function log({ index, amount, to = alice, token = usdt }: LogParts): Record<string, unknown> {
  return {
    address: `0x${token}`,
    topics: [transferTopic, word('c'), word(to)],
    data: word(amount.toString(16)),
    blockNumber: '0x64',
    blockHash,
    transactionHash: txHash,
    logIndex: `0x${index.toString(16)}`,
    removed: false,
  };
}

function receipt(parts: Record<string, unknown>): Record<string, unknown> {
  return { transactionHash: txHash, blockNumber: '0x64', blockHash, status: '0x1', logs: [], ...parts };
}

function word(digits: string): string {
  return `0x${digits.padStart(64, '0')}`;
}
