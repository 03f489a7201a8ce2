import { encodeTokenCall } from '../core/erc20.ts';
import type { Anvil } from './anvil.ts';
import { tokenBytecode } from './token-bytecode.ts';

/**
 * Puts a token at any address, the issuers' own ones included, without a transaction: a call of the creation
 * code returns the code that it would install. Blocks made before do not have it.
 */
export async function placeToken(anvil: Anvil, address: string, decimals: number): Promise<void> {
  const data = tokenBytecode + decimals.toString(16).padStart(64, '0');
  const code = await anvil.rpc('eth_call', [{ data }, 'latest']);
  await anvil.rpc('anvil_setCode', [address, code]);
}

/** A transaction's `to` and `data`, for `eth_sendTransaction`. */
export type TokenCall = { to: string; data: `0x${string}` };

export function mintCall(token: string, to: string, amount: bigint): TokenCall {
  return { to: token, data: encodeTokenCall('mint', to, amount) };
}

export function transferCall(token: string, to: string, amount: bigint): TokenCall {
  return { to: token, data: encodeTokenCall('transfer', to, amount) };
}
