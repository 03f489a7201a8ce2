import { sha256 } from '@noble/hashes/sha2.js';
import { keccak_256 } from '@noble/hashes/sha3.js';
import { createBase58check } from '@scure/base';
import type { ChainFamily } from './networks.ts';

declare const addressBrand: unique symbol;
declare const addressKeyBrand: unique symbol;

/**
 * An address as people write it: EIP-55 checksummed on EVM chains, base58check on TRON. Made only by
 * {@link parseAddress} and {@link writeAddress}.
 */
export type Address = string & { readonly [addressBrand]: true };

/**
 * The 20 bytes of an address as 40 lower-case hex digits without a prefix: what two spellings of one
 * address share, and how an address appears in the topics of a log.
 */
export type AddressKey = string & { readonly [addressKeyBrand]: true };

export type ParsedAddress = { address: Address; key: AddressKey };
export type AddressParse = ParsedAddress | { error: string };

const evmPattern = /^0x[0-9a-fA-F]{40}$/;
const tronPattern = /^T[1-9A-HJ-NP-Za-km-z]{33}$/;
/** As nodes print a TRON address; it has no checksum. */
const tronHexPattern = /^41[0-9a-fA-F]{40}$/;

/**
 * Reads an address of one chain family. All-lower-case and all-upper-case hex carry no checksum (EIP-55)
 * and are accepted; mixed case must match. A TRON address in the hex of nodes has none either. The zero address is refused: nobody can spend from it.
 */
export function parseAddress(family: ChainFamily, text: string): AddressParse {
  switch (family) {
    case 'evm':
      return parseEvmAddress(text);
    case 'tron':
      return parseTronAddress(text);
    default:
      return family satisfies never;
  }
}

/** How people write the address with this key on chains of this family. */
export function writeAddress(family: ChainFamily, key: AddressKey): Address {
  switch (family) {
    case 'evm':
      return withChecksum(key) as Address;
    case 'tron':
      return base58check.encode(Buffer.from(tronPrefix + key, 'hex')) as string as Address;
    default:
      return family satisfies never;
  }
}

/** The chain family of an address: the two are written differently. */
export function familyOf(address: Address): ChainFamily {
  return address.startsWith('0x') ? 'evm' : 'tron';
}

function parseEvmAddress(text: string): AddressParse {
  if (!evmPattern.test(text)) {
    if (tronPattern.test(text)) return { error: 'this is a TRON address; expected 0x and 40 hex digits' };
    return { error: 'not an address: expected 0x and 40 hex digits' };
  }
  const digits = text.slice(2);
  const key = digits.toLowerCase();
  if (/^0+$/.test(key)) return { error: 'the zero address cannot receive payments' };
  const address = writeAddress('evm', key as AddressKey);
  const hasChecksum = digits !== key && digits !== digits.toUpperCase();
  if (hasChecksum && address !== text) {
    return { error: 'wrong checksum (EIP-55): a character is mistyped' };
  }
  return { address, key: key as AddressKey };
}

/** A hex digit is a capital where the digit at its place in the hash of all of them is 8 or more (EIP-55). */
function withChecksum(key: AddressKey): string {
  const hash = Buffer.from(keccak_256(Buffer.from(key, 'ascii'))).toString('hex');
  const digits = Array.from(key, (digit, i) => (hash.charAt(i) >= '8' ? digit.toUpperCase() : digit));
  return `0x${digits.join('')}`;
}

const base58check = createBase58check(sha256);

/** The first byte of a TRON address in hex, before its 20 bytes. */
const tronPrefix = '41';

function parseTronAddress(text: string): AddressParse {
  if (tronHexPattern.test(text)) return withBytes(text.toLowerCase());
  if (!tronPattern.test(text)) {
    if (evmPattern.test(text))
      return { error: 'this is an EVM address; expected T and 33 base58 characters' };
    return { error: 'not an address: expected T and 33 base58 characters' };
  }
  let hex: string;
  try {
    hex = Buffer.from(base58check.decode(text)).toString('hex');
  } catch {
    return { error: 'wrong checksum: a character is mistyped' };
  }
  return withBytes(hex);
}

function withBytes(hex: string): AddressParse {
  const key = hex.slice(tronPrefix.length) as AddressKey;
  if (!hex.startsWith(tronPrefix) || key.length !== 40) return { error: 'not a TRON address' };
  if (/^0+$/.test(key)) return { error: 'the zero address cannot receive payments' };
  return { address: writeAddress('tron', key), key };
}

/** The key of the 32-byte word (`0x` and 64 hex digits) in which logs and calldata carry an EVM address. */
export function keyOfWord(word: string): AddressKey {
  return word.slice(26).toLowerCase() as AddressKey;
}

/** The key of an EVM address that a node printed, in whatever case. */
export function keyOfHex(hex: string): AddressKey {
  return hex.slice(2).toLowerCase() as AddressKey;
}
