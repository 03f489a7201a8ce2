/** The chains depositd knows. Adding one means adding a row here and, for a new family, a chain source. */
export type Network = 'bsc' | 'ethereum' | 'tron';

/** Chains of one family share an address format; the same key controls an address on all of them. */
export type ChainFamily = 'evm' | 'tron';

/** `finalized`: a block counts once the chain's own finality covers it. `depth`: the confirmations alone decide. */
export type Finality = 'finalized' | 'depth';

export type NetworkInfo = {
  network: Network;
  /** The name people read, and the `chain` of a webhook. */
  chain: string;
  family: ChainFamily;
  chainId: number;
  /** What wallets write before an address of this chain (`bnb:0x…`, EIP-3770); null where that is not done. */
  shortName: string | null;
  requiredConfirmations: number;
  finality: Finality;
  pollSeconds: number;
};

export const networks: Record<Network, NetworkInfo> = {
  bsc: {
    network: 'bsc',
    chain: 'BNB Smart Chain',
    family: 'evm',
    chainId: 56,
    shortName: 'bnb',
    requiredConfirmations: 15,
    finality: 'finalized',
    pollSeconds: 1,
  },
  ethereum: {
    network: 'ethereum',
    chain: 'Ethereum',
    family: 'evm',
    chainId: 1,
    shortName: 'eth',
    requiredConfirmations: 12,
    finality: 'depth',
    pollSeconds: 3,
  },
  tron: {
    network: 'tron',
    chain: 'TRON',
    family: 'tron',
    chainId: 728126428,
    shortName: null,
    requiredConfirmations: 20,
    finality: 'finalized',
    pollSeconds: 1.5,
  },
};

export const networkNames = Object.keys(networks) as Network[];
