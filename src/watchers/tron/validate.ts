import type { AddressKey } from '../../core/address.ts';
import type { BlockHash } from '../../core/chain.ts';
import { behind, contradiction } from '../../nodes/fault.ts';
import { isRecord } from '../../nodes/json-rpc.ts';
import {
  type Block,
  type Header,
  type Info,
  readAddress,
  readBlock,
  readHeader,
  readInfo,
} from './decode.ts';

/*
 * What a node's answers about one block must prove before anything in them is believed. Pure. A node answers `{}` for
 * what it has not got and `[]` for infos that it has not written yet, all with HTTP 200: neither is an empty block. Nothing
 * here repairs an answer: it is accepted whole, or refused with a NodeError.
 */

/** A block whose body is the one that its header was made for, with what each of its transactions did. */
export type ProvenBlock = {
  block: Block;
  infos: readonly Info[];
  /** 20 bytes of each key that any of them may pay: in most blocks none is ours, and nothing else has to be looked at. */
  payees: Uint8Array;
};

/** `{}`: the node has no such block. */
export function isNothing(answer: unknown): boolean {
  return isRecord(answer) && Object.keys(answer).length === 0;
}

/**
 * The header at a height; null where the node has no such block.
 *
 * @throws NodeError where it is another one, or not of its own hash.
 */
export function judgeHeader(answer: unknown, height: number): Header | null {
  if (isNothing(answer)) return null;
  return ofHeight(readHeader(answer), height);
}

/** The same of a whole block. */
export function judgeBlock(answer: unknown, height: number): Block | null {
  if (isNothing(answer)) return null;
  return ofHeight(readBlock(answer), height);
}

function ofHeight<T extends Header>(header: T | null, height: number): T {
  if (header === null) throw contradiction(`block ${height} is malformed, or not of its own hash`);
  if (header.height !== height) throw contradiction('it answered with another block than was asked for');
  return header;
}

/**
 * What each transaction of a block did: as many infos as transactions, of the same ids in the same order, all of this
 * height and time.
 *
 * @throws NodeError `behind` where the node has not written them yet.
 */
export function judgeInfos(answer: unknown, block: Block): readonly Info[] {
  const { height, timeMs, transactions } = block;
  if (isNothing(answer)) throw behind(`it has no infos of block ${height}`);
  if (!Array.isArray(answer)) throw contradiction(`the infos of block ${height} are malformed`);
  const values = answer as unknown[];
  // The block is written before its infos.
  if (values.length === 0 && transactions.length > 0) throw behind(`it has no infos of block ${height} yet`);
  if (values.length !== transactions.length)
    throw contradiction(
      `block ${height} has ${transactions.length} transactions, and ${values.length} infos`,
    );
  return values.map((value, i) => {
    const info = readInfo(value);
    if (info === null) throw contradiction(`an info of block ${height} is malformed`);
    if (info.txHash !== transactions[i]?.txID)
      throw contradiction(`the infos of block ${height} are not of its transactions`);
    if (info.height !== height || info.timeMs !== timeMs)
      throw contradiction(`the infos of block ${height} are of another block`);
    return info;
  });
}

/** A block with the infos of its transactions. */
export function proveBlock(block: Block, infos: readonly Info[]): ProvenBlock {
  const keys: AddressKey[] = [];
  const add = (key: AddressKey | null | undefined): void => {
    if (key !== null && key !== undefined) keys.push(key);
  };
  for (const { contract } of block.transactions) add(contract?.transfer?.recipient);
  for (const { logs, internals } of infos) {
    for (const { recipient } of logs) add(recipient);
    for (const value of internals ?? []) add(isRecord(value) ? readAddress(value.transferTo_address) : null);
  }
  const payees = Buffer.allocUnsafe(keys.length * 20);
  for (const [i, key] of keys.entries()) payees.write(key, i * 20, 'hex');
  return { block, infos, payees };
}

/** @throws NodeError where one of these is not the child of the one before. */
export function judgeChain(blocks: readonly Header[], parentHash: BlockHash): void {
  let expected = parentHash;
  for (const { height, hash, parentHash: parent } of blocks) {
    if (parent !== expected) throw contradiction(`block ${height} is not the child of the one before`);
    expected = hash;
  }
}
