import type { ChainConfig } from '../config.ts';
import { knownChain } from '../core/chains/known.ts';
import type { Network } from '../core/networks.ts';

/** Where people look at a transaction; null where the chain is not the public one, which the explorer shows. */
export function transactionUrl(
  chains: Readonly<Record<string, Pick<ChainConfig, 'chainId'>>>,
  network: Network | null,
  txHash: string | null,
): string | null {
  const known = network === null ? null : knownChain(network);
  if (network === null || known === null || !txHash) return null;
  if (chains[network]?.chainId !== known.chainId) return null;
  return known.family === 'tron'
    ? `${known.explorer}/#/transaction/${txHash}`
    : `${known.explorer}/tx/${txHash}`;
}
