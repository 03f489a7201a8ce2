import { type Address, type AddressKey, parseAddress } from '../../src/core/address.ts';

/** The `n`th of a row of well-formed EVM addresses, checksummed. Nobody holds their keys. */
export function evmAddress(n: number): Address {
  return parsed(n).address;
}

export function evmKey(n: number): AddressKey {
  return parsed(n).key;
}

function parsed(n: number) {
  const answer = parseAddress('evm', `0x${(0xabc0_0000_0000n + BigInt(n)).toString(16).padStart(40, 'd')}`);
  if ('error' in answer) throw new Error(answer.error);
  return answer;
}
