import { getAddress } from 'viem';
import type { ChainFamily } from './networks.ts';

declare const addressBrand: unique symbol;
declare const addressKeyBrand: unique symbol;

/** An address as people write it: EIP-55 checksummed on EVM chains. Made only by {@link parseAddress}. */
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

/**
 * Reads an address of one chain family. All-lower-case and all-upper-case hex carry no checksum (EIP-55)
 * and are accepted; mixed case must match. The zero address is refused: nobody can spend from it.
 */
export function parseAddress(family: ChainFamily, text: string): AddressParse {
  switch (family) {
    case 'evm':
      return parseEvmAddress(text);
    case 'tron':
      return { error: 'TRON addresses are not supported yet' };
    default:
      return family satisfies never;
  }
}

function parseEvmAddress(text: string): AddressParse {
  if (!evmPattern.test(text)) {
    if (tronPattern.test(text)) return { error: 'this is a TRON address; expected 0x and 40 hex digits' };
    return { error: 'not an address: expected 0x and 40 hex digits' };
  }
  const digits = text.slice(2);
  const key = digits.toLowerCase();
  if (/^0+$/.test(key)) return { error: 'the zero address cannot receive payments' };
  const address = getAddress(`0x${key}`);
  const hasChecksum = digits !== key && digits !== digits.toUpperCase();
  if (hasChecksum && address !== text) {
    return { error: 'wrong checksum (EIP-55): a character is mistyped' };
  }
  return { address: address as string as Address, key: key as AddressKey };
}

/** The key of the 32-byte word (`0x` and 64 hex digits) in which logs and calldata carry an EVM address. */
export function keyOfWord(word: string): AddressKey {
  return word.slice(26).toLowerCase() as AddressKey;
}

/** The key of an EVM address that a node printed, in whatever case. */
export function keyOfHex(hex: string): AddressKey {
  return hex.slice(2).toLowerCase() as AddressKey;
}
