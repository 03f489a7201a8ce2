import { hash } from 'node:crypto';
import { bytesField, varintField } from './protobuf.ts';

/*
 * What binds a block together, as java-tron makes it (`BlockHeader.raw` and `Transaction` in Tron.proto, `MerkleTree`):
 * a block's id is made of its header, the header names the parent and the root of a tree over the transactions, and the
 * id of a transaction is made of what its owner signed. Logs are bound by nothing: they rest on the nodes' word.
 */

/** What a header is hashed from. Bytes are hex without a prefix. */
export type HeaderFields = {
  height: number;
  timeMs: number;
  txTrieRoot: string;
  parentHash: string;
  witnessId: bigint;
  witnessAddress: string;
  version: bigint;
  accountStateRoot: string;
};

/** 32 bytes in hex: the hash of the header, with the height in place of its first 8 bytes. */
export function blockIdOf(header: HeaderFields): string {
  const raw = Buffer.concat([
    varintField(1, BigInt(header.timeMs)),
    hexField(2, header.txTrieRoot),
    hexField(3, header.parentHash),
    varintField(7, BigInt(header.height)),
    varintField(8, header.witnessId),
    hexField(9, header.witnessAddress),
    varintField(10, header.version),
    hexField(11, header.accountStateRoot),
  ]);
  return header.height.toString(16).padStart(16, '0') + hash('sha256', raw).slice(16);
}

/** 32 bytes in hex, of a transaction's `raw_data_hex`. */
export function txIdOf(rawHex: string): string {
  return hashOfHex(rawHex);
}

/** A transaction as far as the tree is made of it: `outcomes` are the `contractRet` of its `ret`, as Tron.proto numbers them. */
export type HashedTransaction = {
  rawHex: string;
  signatures: readonly string[];
  outcomes: readonly number[];
};

/**
 * The root of the tree over a block's transactions, with their signatures and outcomes; zeros for none. Null where one of
 * them is not of hex.
 */
export function txTrieRootOf(transactions: readonly HashedTransaction[]): string | null {
  let level: string[] = [];
  for (const transaction of transactions) {
    const leaf = leafOf(transaction);
    if (leaf === null) return null;
    level.push(leaf);
  }
  if (level.length === 0) return emptyRoot;
  while (level.length > 1) {
    const above: string[] = [];
    for (let at = 0; at < level.length; at += 2) {
      const [left = '', right] = [level[at], level[at + 1]];
      // One without a neighbour goes up as it is.
      above.push(right === undefined ? left : hashOfPair(left, right));
    }
    level = above;
  }
  return Buffer.from(level[0] ?? '', 'latin1').toString('hex');
}

/*
 * There are hundreds of transactions in each block: what is hashed is put together in one place, and hashes are texts of one
 * character a byte until the root is known.
 */

/** Where one is put together that is not of a size seldom seen. */
const room = Buffer.alloc(1 << 16);

/** More than a tag, and a length or an outcome, take. */
const mostAround = 12;

/** The hash of a `Transaction`; null where that is not of hex. */
function leafOf({ rawHex, signatures, outcomes }: HashedTransaction): string | null {
  let most = rawHex.length / 2 + mostAround * (1 + signatures.length + outcomes.length);
  for (const signature of signatures) most += signature.length / 2;
  const bytes = most <= room.length ? room : Buffer.alloc(Math.ceil(most));
  let end = writeBytes(bytes, 0, 0x0a, rawHex);
  for (const signature of signatures) end = end === null ? null : writeBytes(bytes, end, 0x12, signature);
  if (end === null) return null;
  // A message of one number, which is left out where it is 0.
  for (const outcome of outcomes) {
    bytes[end++] = 0x2a;
    bytes[end++] = outcome === 0 ? 0 : 2;
    if (outcome === 0) continue;
    bytes[end++] = 0x18;
    bytes[end++] = outcome;
  }
  return hash('sha256', bytes.subarray(0, end), 'binary');
}

/** Writes a field of bytes; returns where it ends, or null where they are not of hex. */
function writeBytes(into: Buffer, start: number, tag: number, hex: string): number | null {
  let at = start;
  into[at++] = tag;
  let length = hex.length / 2;
  for (; length > 0x7f; length = Math.floor(length / 0x80)) into[at++] = (length % 0x80) + 0x80;
  into[at++] = length;
  // It ends at the first character that is no digit.
  const written = into.write(hex, at, 'hex');
  return written * 2 === hex.length ? at + written : null;
}

const pair = Buffer.alloc(64);

function hashOfPair(left: string, right: string): string {
  pair.write(left, 0, 'latin1');
  pair.write(right, 32, 'latin1');
  return hash('sha256', pair, 'binary');
}

const emptyRoot = '0'.repeat(64);

function hexField(number: number, hex: string): Uint8Array {
  return bytesField(number, Buffer.from(hex, 'hex'));
}

function hashOfHex(hex: string): string {
  return hash('sha256', Buffer.from(hex, 'hex'));
}
