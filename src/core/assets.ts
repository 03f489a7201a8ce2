import type { AddressKey } from './address.ts';
import type { Network } from './networks.ts';

declare const currencyBrand: unique symbol;
declare const coinBrand: unique symbol;

/** Tokens that the program knows. */
export type KnownToken = 'usdt' | 'usdc' | 'busd';

/** What an app names in a request: `native` for the chain's own coin, or a token of the configuration. */
export type Currency = 'native' | KnownToken | (string & { readonly [currencyBrand]: true });

/** Coins whose price the program knows where to ask for. */
export type KnownCoin = KnownToken | 'bnb' | 'eth' | 'trx' | 'pol' | 'avax' | 'xdai';

/** What has a price: the symbol of a coin or a token's name, in lower case. */
export type Coin = KnownCoin | (string & { readonly [coinBrand]: true });

/** Something that can be paid with on one chain. */
export type Asset = {
  network: Network;
  currency: Currency;
  coin: Coin;
  rate: CoinRate;
  /** Key of the token's contract, or `native`. */
  token: AddressKey | 'native';
  /** Decimals of the chain's base unit. */
  decimals: number;
};

export type RateSource = 'binance' | 'coinbase' | 'kraken' | 'coingecko';

/** Where the price of a coin comes from. */
export type CoinRate = {
  /** The currency of which its issuer promises one unit for each; null for a coin without such a promise. */
  peg: 'usd' | 'eur' | null;
  /** What the price sources call it. Where none has it, what it is pegged to is its price. */
  symbols: Partial<Record<RateSource, string>>;
};

/**
 * Binance trades against Tether and no longer lists BUSD; Coinbase takes USDC for dollars, so that it has no market of
 * it. xDAI is DAI on its own chain, issued and redeemed one for one.
 */
export const knownCoins: Readonly<Record<KnownCoin, CoinRate>> = {
  usdt: { peg: 'usd', symbols: { coinbase: 'USDT-USD', kraken: 'USDTUSD', coingecko: 'tether' } },
  usdc: { peg: 'usd', symbols: { binance: 'USDCUSDT', kraken: 'USDCUSD', coingecko: 'usd-coin' } },
  busd: { peg: 'usd', symbols: { coingecko: 'binance-usd' } },
  bnb: coin('BNB', 'binancecoin'),
  eth: coin('ETH', 'ethereum'),
  trx: { peg: null, symbols: { binance: 'TRXUSDT', kraken: 'TRXUSD', coingecko: 'tron' } },
  pol: coin('POL', 'polygon-ecosystem-token'),
  avax: coin('AVAX', 'avalanche-2'),
  xdai: { peg: 'usd', symbols: { coinbase: 'DAI-USD', kraken: 'DAIUSD', coingecko: 'xdai' } },
};

/** Listed everywhere under one symbol. */
function coin(symbol: string, coingecko: string): CoinRate {
  const symbols = { binance: `${symbol}USDT`, coinbase: `${symbol}-USD`, kraken: `${symbol}USD`, coingecko };
  return { peg: null, symbols };
}

/** Null when the text cannot name a token. */
export function parseCurrency(text: string): Currency | null {
  return namePattern.test(text) ? (text as Currency) : null;
}

/** Null when the text cannot name a coin. */
export function parseCoin(text: string): Coin | null {
  return namePattern.test(text) ? (text as Coin) : null;
}

const namePattern = /^[a-z0-9][a-z0-9._-]{0,19}$/;

/**
 * Decimals that are shown at least: 6 for tokens whatever their own, 8 for native coins, or as many as the coin has where
 * those are fewer.
 */
export function quoteDecimals(asset: Pick<Asset, 'currency' | 'decimals'>): number {
  return asset.currency === 'native' ? Math.min(8, asset.decimals) : 6;
}

/** `USDT`, `BNB`: how webhooks name what was paid. */
export function assetSymbol(asset: Pick<Asset, 'coin'>): string {
  return asset.coin.toUpperCase();
}
