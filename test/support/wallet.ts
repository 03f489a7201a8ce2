import { mnemonicToAccount } from 'viem/accounts';
import type { TestAnvil, TransactionRequest } from './anvil.ts';

/** The accounts every anvil starts with are derived from this well-known sentence. */
const anvilMnemonic = 'test test test test test test test test test test test junk';

/**
 * Signs a transaction of the `index`th account for sending once or, after a reorg threw it out, again: the
 * same transaction with the same hash. Its nonce is the account's next one.
 */
export async function signTransaction(
  anvil: TestAnvil,
  request: TransactionRequest,
  index = 0,
): Promise<`0x${string}`> {
  const account = mnemonicToAccount(anvilMnemonic, { addressIndex: index });
  const nonce = Number(await anvil.rpc('eth_getTransactionCount', [account.address, 'pending']));
  return account.signTransaction({
    type: 'eip1559',
    chainId: anvil.chainId,
    nonce,
    to: request.to as `0x${string}`,
    value: request.value ?? 0n,
    data: (request.data ?? '0x') as `0x${string}`,
    gas: 3_000_000n,
    maxFeePerGas: 10_000_000_000n,
    maxPriorityFeePerGas: 1_000_000_000n,
  });
}

/** Returns the transaction's hash. */
export async function sendSigned(anvil: TestAnvil, signed: `0x${string}`): Promise<string> {
  return (await anvil.rpc('eth_sendRawTransaction', [signed])) as string;
}
