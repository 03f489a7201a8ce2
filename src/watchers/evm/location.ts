import type { TxHash } from '../../core/chain.ts';
import { isRecord, type RpcAnswer } from '../../nodes/json-rpc.ts';
import type { TxLocation } from '../source.ts';
import { readBlockHash, readQuantity, readReceipt, readTxHash } from './decode.ts';

/**
 * What a node's answers to `eth_getTransactionReceipt` and `eth_getTransactionByHash` say. One that has forgotten its old
 * receipts may still know the transaction, and one that does not tell of what waits knows none that does.
 *
 * @throws NodeError when both were refused.
 */
export function locationOf(txHash: TxHash, [receipt, transaction]: readonly RpcAnswer[]): TxLocation {
  const read = readReceipt(resultIn(receipt));
  if (read !== null && read.txHash === txHash) {
    const { height, blockHash: hash, succeeded } = read;
    return { kind: 'mined', block: { height, hash }, failed: !succeeded };
  }
  const known = resultIn(transaction);
  if (isRecord(known) && readTxHash(known.hash) === txHash) {
    const height = readQuantity(known.blockNumber);
    const hash = readBlockHash(known.blockHash);
    // Whether it failed is seen when its block is read: then it has paid nobody.
    if (height !== null && hash !== null) return { kind: 'mined', block: { height, hash }, failed: false };
    return { kind: 'pending' };
  }
  if (receipt !== undefined && 'error' in receipt && transaction !== undefined && 'error' in transaction)
    throw receipt.error;
  return { kind: 'unknown' };
}

function resultIn(answer: RpcAnswer | undefined): unknown {
  return answer !== undefined && 'result' in answer ? answer.result : null;
}
