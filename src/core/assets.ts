import type { Network } from './networks.ts';

/** What an app names in a request. `native` is the chain's own coin. */
export type Currency = 'usdt' | 'usdc' | 'busd' | 'native';

/** What a price source quotes. */
export type Coin = 'usdt' | 'usdc' | 'busd' | 'bnb' | 'eth' | 'trx';

/** Something that can be paid with on one chain. */
export type Asset = {
  network: Network;
  currency: Currency;
  coin: Coin;
  /** Contract address as the operator or this file wrote it; null for the native coin. */
  token: string | null;
  /** Decimals of the chain's base unit. */
  decimals: number;
};

export const currencies: readonly Currency[] = ['usdt', 'usdc', 'busd', 'native'];
export const coins: readonly Coin[] = ['usdt', 'usdc', 'busd', 'bnb', 'eth', 'trx'];

const stablecoins: ReadonlySet<Coin> = new Set(['usdt', 'usdc', 'busd']);

/** Pegged to one US dollar by its issuer. */
export function isStablecoin(coin: Coin): boolean {
  return stablecoins.has(coin);
}

/** Decimals of a quote: 6 for stablecoins whatever the token's own decimals, 8 for native coins. */
export function quoteDecimals(asset: Pick<Asset, 'currency'>): number {
  return asset.currency === 'native' ? 8 : 6;
}

/** `USDT`, `BNB`: how webhooks name what was paid. */
export function assetSymbol(asset: Pick<Asset, 'coin'>): string {
  return asset.coin.toUpperCase();
}

export const nativeCoin: Record<Network, { coin: Coin; decimals: number }> = {
  bsc: { coin: 'bnb', decimals: 18 },
  ethereum: { coin: 'eth', decimals: 18 },
  tron: { coin: 'trx', decimals: 6 },
};

type TokenInfo = { address: string; decimals: number; enabled: boolean };

/** The issuers' contracts. Decimals are checked against the chain at every start, never trusted. */
export const canonicalTokens: Record<Network, Partial<Record<Exclude<Currency, 'native'>, TokenInfo>>> = {
  ethereum: {
    usdt: { address: '0xdAC17F958D2ee523a2206206994597C13D831ec7', decimals: 6, enabled: true },
    usdc: { address: '0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48', decimals: 6, enabled: true },
    busd: { address: '0x4Fabb145d64652a948d72533023f6E7A623C7C53', decimals: 18, enabled: true },
  },
  bsc: {
    usdt: { address: '0x55d398326f99059fF775485246999027B3197955', decimals: 18, enabled: true },
    usdc: { address: '0x8AC76a51cc950d9822D68b83fE1Ad97B32Cd580d', decimals: 18, enabled: true },
    busd: { address: '0xe9e7CEA3DedcA5984780Bafc599bD69ADd087D56', decimals: 18, enabled: true },
  },
  tron: {
    usdt: { address: 'TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t', decimals: 6, enabled: true },
    usdc: { address: 'TEkxiTehnzSmSe2XqrBj4w32RUN966rdz8', decimals: 6, enabled: false },
  },
};
