import type { AddressKey } from '../../core/address.ts';
import { keyOfHex } from '../../core/address.ts';
import type { BlockHash, BlockRef, TxHash } from '../../core/chain.ts';
import { isRecord } from '../../nodes/json-rpc.ts';

/*
 * What nodes answer, read by hand: a schema library would cost more than everything else on the path of a
 * hundred thousand logs. Every reader returns null for whatever is not exactly of its shape.
 */

export type Header = BlockRef & { parentHash: BlockHash };

/** A header and the transactions under it. */
export type FullBlock = Header & { transactions: Transaction[] };

/**
 * `value` in wei; `to` is null where the transaction creates a contract; `input` is `0x` and whole bytes of hex; `gas` is the most
 * that it may use, endless where the node does not say.
 */
export type Transaction = { hash: TxHash; to: AddressKey | null; value: bigint; input: string; gas: number };

/** `logs` are unread: validate.ts reads them. */
export type Receipt = {
  txHash: TxHash;
  height: number;
  blockHash: BlockHash;
  succeeded: boolean;
  logs: readonly unknown[];
};

// The specification forbids leading zeros; some nodes print numbers of a fixed width all the same.
const quantityPattern = /^0x0*[0-9a-fA-F]{1,13}$/;
const wordPattern = /^0x[0-9a-fA-F]{64}$/;
const wideQuantityPattern = /^0x[0-9a-fA-F]{1,64}$/;
const bytesPattern = /^0x(?:[0-9a-fA-F]{2})*$/;
const addressPattern = /^0x[0-9a-fA-F]{40}$/;

/** A height, an index or a time: at most 2^52. */
export function readQuantity(value: unknown): number | null {
  return typeof value === 'string' && quantityPattern.test(value) ? Number.parseInt(value, 16) : null;
}

/** 32 bytes as `0x` and 64 hex digits. */
export function isWord(value: unknown): value is string {
  return typeof value === 'string' && wordPattern.test(value);
}

export function readBlockHash(value: unknown): BlockHash | null {
  return isWord(value) ? (value.toLowerCase() as BlockHash) : null;
}

export function readTxHash(value: unknown): TxHash | null {
  return isWord(value) ? (value.toLowerCase() as TxHash) : null;
}

/** A number of up to 32 bytes, as nodes print values. */
export function readAmount(value: unknown): bigint | null {
  return typeof value === 'string' && wideQuantityPattern.test(value) ? BigInt(value) : null;
}

export function readAddress(value: unknown): AddressKey | null {
  return typeof value === 'string' && addressPattern.test(value) ? keyOfHex(value) : null;
}

export function readHeader(value: unknown): Header | null {
  if (!isRecord(value)) return null;
  const height = readQuantity(value.number);
  const hash = readBlockHash(value.hash);
  const parentHash = readBlockHash(value.parentHash);
  const time = readQuantity(value.timestamp);
  if (height === null || hash === null || parentHash === null || time === null) return null;
  return { height, hash, parentHash, time };
}

export function readFullBlock(value: unknown): FullBlock | null {
  const header = readHeader(value);
  if (header === null || !isRecord(value) || !Array.isArray(value.transactions)) return null;
  const transactions: Transaction[] = [];
  for (const item of value.transactions as unknown[]) {
    const transaction = readTransaction(item);
    if (transaction === null) return null;
    transactions.push(transaction);
  }
  return { ...header, transactions };
}

export function readTransaction(value: unknown): Transaction | null {
  if (!isRecord(value)) return null;
  const hash = readTxHash(value.hash);
  const amount = readAmount(value.value);
  const to = value.to === null || value.to === undefined ? null : readAddress(value.to);
  const createsContract = value.to === null || value.to === undefined;
  const input = value.input ?? '0x';
  if (hash === null || amount === null || (to === null && !createsContract)) return null;
  if (typeof input !== 'string' || !bytesPattern.test(input)) return null;
  return { hash, to, value: amount, input, gas: readQuantity(value.gas) ?? Number.POSITIVE_INFINITY };
}

export function readReceipt(value: unknown): Receipt | null {
  if (!isRecord(value) || !Array.isArray(value.logs)) return null;
  const txHash = readTxHash(value.transactionHash);
  const height = readQuantity(value.blockNumber);
  const blockHash = readBlockHash(value.blockHash);
  const status = readQuantity(value.status);
  if (txHash === null || height === null || blockHash === null || status === null) return null;
  return { txHash, height, blockHash, succeeded: status === 1, logs: value.logs as unknown[] };
}

export function refOf({ height, hash, time }: BlockRef): BlockRef {
  return { height, hash, time };
}
