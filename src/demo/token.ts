import { encodeDeployData, encodeFunctionData, type Hex, parseAbi } from 'viem';
import type { Anvil } from './anvil.ts';
import { tokenBytecode } from './token-bytecode.ts';

export const tokenAbi = parseAbi([
  'constructor(uint8 decimals)',
  'function decimals() view returns (uint8)',
  'function balanceOf(address owner) view returns (uint256)',
  'function mint(address to, uint256 value)',
  'function approve(address spender, uint256 value) returns (bool)',
  'function transfer(address to, uint256 value) returns (bool)',
  'function transferFrom(address from, address to, uint256 value) returns (bool)',
  'function batch(address[] to, uint256[] values)',
  'event Transfer(address indexed from, address indexed to, uint256 value)',
]);

/**
 * Puts a token at any address, the issuers' own ones included, without a transaction: a call of the creation
 * code returns the code that it would install. Blocks made before do not have it.
 */
export async function placeToken(anvil: Anvil, address: string, decimals: number): Promise<void> {
  const data = encodeDeployData({ abi: tokenAbi, bytecode: tokenBytecode, args: [decimals] });
  const code = await anvil.rpc('eth_call', [{ data }, 'latest']);
  await anvil.rpc('anvil_setCode', [address, code]);
}

/** A transaction's `to` and `data`, for `eth_sendTransaction`. */
export type TokenCall = { to: string; data: Hex };

export function mintCall(token: string, to: string, amount: bigint): TokenCall {
  return {
    to: token,
    data: encodeFunctionData({ abi: tokenAbi, functionName: 'mint', args: [hex(to), amount] }),
  };
}

export function transferCall(token: string, to: string, amount: bigint): TokenCall {
  const data = encodeFunctionData({ abi: tokenAbi, functionName: 'transfer', args: [hex(to), amount] });
  return { to: token, data };
}

export function approveCall(token: string, spender: string, amount: bigint): TokenCall {
  const data = encodeFunctionData({ abi: tokenAbi, functionName: 'approve', args: [hex(spender), amount] });
  return { to: token, data };
}

export function transferFromCall(token: string, from: string, to: string, amount: bigint): TokenCall {
  const args = [hex(from), hex(to), amount] as const;
  return { to: token, data: encodeFunctionData({ abi: tokenAbi, functionName: 'transferFrom', args }) };
}

export function batchCall(token: string, transfers: readonly { to: string; amount: bigint }[]): TokenCall {
  const args = [transfers.map(({ to }) => hex(to)), transfers.map(({ amount }) => amount)] as const;
  return { to: token, data: encodeFunctionData({ abi: tokenAbi, functionName: 'batch', args }) };
}

/** viem checks the rest when it encodes. */
function hex(address: string): Hex {
  return address as Hex;
}
