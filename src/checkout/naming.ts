import type { Currency } from '../core/assets.ts';
import { knownChain } from '../core/chains/known.ts';
import type { Network } from '../core/networks.ts';

/*
 * What tokens and networks are called where payers see them: as exchanges write it, and so that no two differ by one
 * letter alone.
 */

/** A token as it is shown. */
export type TokenName = {
  /** `USDT`. */
  symbol: string;
  /** Who stands behind it, or what it is the coin of. */
  issuer: string;
  /** The mark in its badge, and the class of its colour. */
  mark: string;
  look: 'usdt' | 'usdc' | 'busd' | 'coin';
};

const standards: Partial<Record<Network, string>> = { bsc: 'BEP20', ethereum: 'ERC20', tron: 'TRC20' };

/** `BNB Smart Chain (BEP20)`; `name` is what the payment calls it, for a chain that is not known. */
export function networkName(network: Network, name: string): string {
  const standard = standards[network];
  const known = knownChain(network)?.name ?? name;
  return standard === undefined ? known : `${known} (${standard})`;
}

/** `coin` is the symbol of the chain's own coin, for `native`. */
export function tokenName(currency: Currency, coin: string, chain: string): TokenName {
  switch (currency) {
    case 'usdt':
      return { symbol: 'USDT', issuer: 'Tether', mark: '₮', look: 'usdt' };
    case 'usdc':
      return { symbol: 'USDC', issuer: 'Circle', mark: '$', look: 'usdc' };
    case 'busd':
      return { symbol: 'BUSD', issuer: 'Binance USD', mark: 'B', look: 'busd' };
    default: {
      const symbol = (currency === 'native' ? coin : currency).toUpperCase();
      return { symbol, issuer: chain, mark: symbol.slice(0, 1), look: 'coin' };
    }
  }
}
