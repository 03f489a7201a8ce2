import { expect, test } from 'vitest';
import type { BlockHash, TxHash } from '../../../src/core/chain.ts';
import { NodeError } from '../../../src/nodes/fault.ts';
import type { RpcAnswer } from '../../../src/nodes/json-rpc.ts';
import { locationOf } from '../../../src/watchers/evm/location.ts';

const txHash = `0x${'ab'.repeat(32)}` as TxHash;
const hash = `0x${'cd'.repeat(32)}` as BlockHash;
const receipt = { transactionHash: txHash, blockNumber: '0x7', blockHash: hash, status: '0x1', logs: [] };
const transaction = { hash: txHash, blockNumber: '0x7', blockHash: hash };
const refused = { error: new NodeError({ kind: 'unsupported' }, 'no such method') };

test('a transaction is where its receipt says, or where it says itself, or waits, or is not known', () => {
  const mined = { kind: 'mined', block: { height: 7, hash }, failed: false };
  const cases: [RpcAnswer, RpcAnswer, object][] = [
    [{ result: receipt }, { result: transaction }, mined],
    [{ result: { ...receipt, status: '0x0' } }, { result: transaction }, { ...mined, failed: true }],
    [{ result: null }, { result: transaction }, mined],
    [refused, { result: transaction }, mined],
    [
      { result: null },
      { result: { ...transaction, blockNumber: null, blockHash: null } },
      { kind: 'pending' },
    ],
    [{ result: null }, { result: null }, { kind: 'unknown' }],
    [refused, { result: null }, { kind: 'unknown' }],
    // Of another transaction, or no shape of ours: as if nothing had been said.
    [
      { result: { ...receipt, transactionHash: hash } },
      { result: { ...transaction, hash } },
      { kind: 'unknown' },
    ],
    [{ result: 'a receipt' }, { result: [] }, { kind: 'unknown' }],
  ];
  for (const [first, second, expected] of cases)
    expect(locationOf(txHash, [first, second])).toEqual(expected);
  expect(() => locationOf(txHash, [refused, refused])).toThrow('no such method');
});
