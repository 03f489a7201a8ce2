import { keyOfHex } from './address.ts';

/** The first four bytes of the hash of each function's signature, such as `transfer(address,uint256)`. */
const selectors = {
  transfer: 'a9059cbb',
  /** Of test tokens. */
  mint: '40c10f19',
};

/**
 * Call data of an ERC-20 token: the selector, then each argument in 32 bytes
 * (https://docs.soliditylang.org/en/latest/abi-spec.html).
 *
 * @param to `0x` and 40 digits.
 * @param amount base units, at most 2^256 - 1.
 */
export function encodeTokenCall(name: keyof typeof selectors, to: string, amount: bigint): `0x${string}` {
  return `0x${selectors[name]}${wordOf(keyOfHex(to))}${wordOf(amount.toString(16))}`;
}

function wordOf(hex: string): string {
  return hex.padStart(64, '0');
}
