import { createHash } from 'node:crypto';
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
  return header.height.toString(16).padStart(16, '0') + sha256(raw).toString('hex').slice(16);
}

/** 32 bytes in hex, of a transaction's `raw_data_hex`. */
export function txIdOf(rawHex: string): string {
  return sha256(Buffer.from(rawHex, 'hex')).toString('hex');
}

/** A transaction as far as the tree is made of it: `outcomes` are the `contractRet` of its `ret`, as Tron.proto numbers them. */
export type HashedTransaction = {
  rawHex: string;
  signatures: readonly string[];
  outcomes: readonly bigint[];
};

/** The root of the tree over a block's transactions, with their signatures and outcomes; zeros for none. */
export function txTrieRootOf(transactions: readonly HashedTransaction[]): string {
  let level = transactions.map(({ rawHex, signatures, outcomes }) =>
    sha256(
      Buffer.concat([
        hexField(1, rawHex),
        ...signatures.map((signature) => bytesField(2, Buffer.from(signature, 'hex'), true)),
        ...outcomes.map((outcome) => bytesField(5, varintField(3, outcome), true)),
      ]),
    ),
  );
  if (level.length === 0) return emptyRoot;
  while (level.length > 1) {
    const above: Buffer[] = [];
    for (let at = 0; at < level.length; at += 2) {
      const [left, right] = [level[at] as Buffer, level[at + 1]];
      // One without a neighbour goes up as it is.
      above.push(right === undefined ? left : sha256(Buffer.concat([left, right])));
    }
    level = above;
  }
  return (level[0] as Buffer).toString('hex');
}

export const emptyRoot = '0'.repeat(64);

function hexField(number: number, hex: string): Uint8Array {
  return bytesField(number, Buffer.from(hex, 'hex'));
}

function sha256(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}
