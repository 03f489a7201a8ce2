declare const networkBrand: unique symbol;

/** The chains of `core/chains/known.ts`, which the configuration need not describe. */
export type KnownNetwork =
  | 'bsc'
  | 'ethereum'
  | 'tron'
  | 'polygon'
  | 'base'
  | 'arbitrum'
  | 'optimism'
  | 'avalanche'
  | 'linea'
  | 'gnosis';

/** What a chain is called in the configuration, the API and the database. Made only by {@link parseNetwork}. */
export type Network = KnownNetwork | (string & { readonly [networkBrand]: true });

/** Chains of one family share an address format; the same key controls an address on all of them. */
export type ChainFamily = 'evm' | 'tron';

export const chainFamilies: readonly ChainFamily[] = ['evm', 'tron'];

/** `finalized`: a block counts once the chain's own finality covers it. `depth`: the confirmations alone decide. */
export type Finality = 'finalized' | 'depth';

/** How chains are named. */
export const networkPattern = /^[a-z][a-z0-9-]{1,30}$/;

/** Null when the text cannot name a chain. */
export function parseNetwork(text: string): Network | null {
  return networkPattern.test(text) ? (text as Network) : null;
}
