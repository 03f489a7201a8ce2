import { secp256k1 } from '@noble/curves/secp256k1.js';
import { keccak_256 } from '@noble/hashes/sha3.js';
import { HDKey } from '@scure/bip32';
import { type AddressKey, type ParsedAddress, writeAddress } from './address.ts';
import type { ChainFamily } from './networks.ts';

/** An account's public key, from which any number of addresses follow (BIP-32), and no private key ever. */
export type AccountKey = {
  /** As it was given. */
  text: string;
  /** Below the master key: 3 for `m/44'/60'/0'`, the account that wallets show. */
  depth: number;
  /** Whether it lies where wallets have accounts. Of which coin the key does not say. */
  isAccount: boolean;
  /** The address `m/0/index` below it: what wallets show as the account's addresses, in their order. */
  addressAt(family: ChainFamily, index: number): ParsedAddress;
};

/** The highest index of a non-hardened child. */
export const highestIndex = 2 ** 31 - 1;

/** The depth of `m/44'/60'/0'`. */
const accountDepth = 3;
const firstHardened = 2 ** 31;

export const accountKeyPattern = /^xpub[1-9A-HJ-NP-Za-km-z]{100,120}$/;
const otherKeyPattern = /^([yzuvtYZUV]pub)[1-9A-HJ-NP-Za-km-z]{100,120}$/;

/** Reads an extended public key. Never repeats what it was given: it may have been a private one. */
export function parseAccountKey(text: string): AccountKey | { error: string } {
  const other = otherKeyPattern.exec(text)?.[1];
  if (other !== undefined) {
    return { error: `a key that begins with ${other} is for Bitcoin; expected one that begins with xpub` };
  }
  if (!accountKeyPattern.test(text)) {
    return { error: 'not an extended public key: expected xpub and some 107 base58 characters' };
  }
  let account: HDKey;
  let external: HDKey;
  try {
    account = HDKey.fromExtendedKey(text);
    external = account.deriveChild(0);
  } catch {
    return { error: 'not an extended public key: a character is mistyped (wrong checksum)' };
  }
  return {
    text,
    depth: account.depth,
    isAccount: account.depth === accountDepth && account.index >= firstHardened,
    addressAt(family, index) {
      const { publicKey } = external.deriveChild(index);
      if (publicKey === null) throw new RangeError('a derived key without a public key');
      const key = keyOfPublicKey(publicKey);
      return { key, address: writeAddress(family, key) };
    },
  };
}

/** The last 20 bytes of the hash of the uncompressed point: the same on EVM chains and TRON. */
function keyOfPublicKey(compressed: Uint8Array): AddressKey {
  const point = secp256k1.Point.fromBytes(compressed).toBytes(false);
  return Buffer.from(keccak_256(point.subarray(1)))
    .toString('hex')
    .slice(-40) as AddressKey;
}

/** Enough of a key to recognise it: whoever has the whole of it sees every payment of the account. */
export function shortKey(xpub: string): string {
  return `${xpub.slice(0, 8)}…${xpub.slice(-6)}`;
}
