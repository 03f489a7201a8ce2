import type { KnownCoin, KnownToken } from '../assets.ts';
import type { ChainFamily, Finality, KnownNetwork, Network } from '../networks.ts';

/** Less than some cents, less than a dollar or two, or more. */
export type FeeClass = 'low' | 'medium' | 'high';

/** What the program knows of a chain, so that the configuration need not say it. */
export type KnownChain = {
  network: KnownNetwork;
  /** The name people read, and the `chain` of a webhook. */
  name: string;
  /**
   * What wallets write before an address (`bnb:0x…`, EIP-3770), as https://github.com/ethereum-lists/chains lists it;
   * null where that is not done.
   */
  shortName: string | null;
  family: ChainFamily;
  chainId: number;
  requiredConfirmations: number;
  finality: Finality;
  pollSeconds: number;
  /** A head that has not risen for so long is worth a question to another node: twenty blocks and more. */
  stallSeconds: number;
  /** Finality that has not advanced for so long has stalled. */
  finalityStallSeconds: number;
  /** What the network usually takes from who sends a token: a payer chooses by it. */
  feeClass: FeeClass;
  /** Its pages are `<explorer>/tx/<hash>` and `<explorer>/address/<address>` on EVM chains. */
  explorer: string;
  native: { coin: KnownCoin; decimals: number };
  /** The contracts that are meant by a token's name. Decimals are checked against the chain at every start. */
  tokens: Partial<Record<KnownToken, { address: string; decimals: number; enabled: boolean }>>;
};

const evm = { family: 'evm', finality: 'depth', stallSeconds: 30, feeClass: 'low' } as const;

/** Rollups call a block final once Ethereum has finalized what they wrote there, which takes up to hours (Linea). */
const rollup = { ...evm, native: ether(), finalityStallSeconds: 12 * 60 * 60 } as const;

export const knownChains: Readonly<Record<KnownNetwork, KnownChain>> = {
  // A block every 0.45 s, and one validator makes 16 in a row: the finalized tag trails by about a second.
  bsc: {
    ...evm,
    network: 'bsc',
    name: 'BNB Smart Chain',
    shortName: 'bnb',
    chainId: 56,
    requiredConfirmations: 15,
    finality: 'finalized',
    pollSeconds: 1,
    stallSeconds: 15,
    finalityStallSeconds: 60,
    explorer: 'https://bscscan.com',
    native: { coin: 'bnb', decimals: 18 },
    tokens: {
      usdt: { address: '0x55d398326f99059fF775485246999027B3197955', decimals: 18, enabled: true },
      usdc: { address: '0x8AC76a51cc950d9822D68b83fE1Ad97B32Cd580d', decimals: 18, enabled: true },
      busd: { address: '0xe9e7CEA3DedcA5984780Bafc599bD69ADd087D56', decimals: 18, enabled: true },
    },
  },
  // Finality advances once an epoch, every 6.4 minutes.
  ethereum: {
    ...evm,
    network: 'ethereum',
    name: 'Ethereum',
    shortName: 'eth',
    chainId: 1,
    requiredConfirmations: 12,
    pollSeconds: 3,
    stallSeconds: 60,
    finalityStallSeconds: 20 * 60,
    feeClass: 'high',
    explorer: 'https://etherscan.io',
    native: ether(),
    tokens: {
      usdt: { address: '0xdAC17F958D2ee523a2206206994597C13D831ec7', decimals: 6, enabled: true },
      usdc: { address: '0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48', decimals: 6, enabled: true },
      busd: { address: '0x4Fabb145d64652a948d72533023f6E7A623C7C53', decimals: 18, enabled: true },
    },
  },
  tron: {
    network: 'tron',
    name: 'TRON',
    shortName: null,
    family: 'tron',
    chainId: 728126428,
    requiredConfirmations: 20,
    finality: 'finalized',
    pollSeconds: 1.5,
    stallSeconds: 60,
    finalityStallSeconds: 5 * 60,
    feeClass: 'high',
    explorer: 'https://tronscan.org',
    native: { coin: 'trx', decimals: 6 },
    tokens: {
      usdt: { address: 'TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t', decimals: 6, enabled: true },
      usdc: { address: 'TEkxiTehnzSmSe2XqrBj4w32RUN966rdz8', decimals: 6, enabled: false },
    },
  },
  // Milestones (PIP-11) finalize within seconds; without them reorgs of more than a hundred blocks have happened.
  polygon: {
    ...evm,
    network: 'polygon',
    name: 'Polygon',
    shortName: 'pol',
    chainId: 137,
    requiredConfirmations: 20,
    finality: 'finalized',
    pollSeconds: 2,
    stallSeconds: 60,
    finalityStallSeconds: 5 * 60,
    explorer: 'https://polygonscan.com',
    native: { coin: 'pol', decimals: 18 },
    tokens: {
      usdt: { address: '0xc2132D05D31c914a87C6611C10748AEb04B58e8F', decimals: 6, enabled: true },
      usdc: { address: '0x3c499c542cEF5E3811e1192ce70d8cC03d5c3359', decimals: 6, enabled: true },
    },
  },
  base: {
    ...rollup,
    network: 'base',
    name: 'Base',
    shortName: 'base',
    chainId: 8453,
    requiredConfirmations: 15,
    pollSeconds: 2,
    explorer: 'https://basescan.org',
    tokens: {
      // Bridged: Tether does not issue on Base.
      usdt: { address: '0xfde4C96c8593536E31F229EA8f37b2ADa2699bb2', decimals: 6, enabled: true },
      usdc: { address: '0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913', decimals: 6, enabled: true },
    },
  },
  arbitrum: {
    ...rollup,
    network: 'arbitrum',
    name: 'Arbitrum One',
    shortName: 'arb1',
    chainId: 42161,
    // Of a quarter of a second each.
    requiredConfirmations: 60,
    pollSeconds: 1,
    explorer: 'https://arbiscan.io',
    tokens: {
      usdt: { address: '0xFd086bC7CD5C481DCC9C85ebE478A1C0b69FCbb9', decimals: 6, enabled: true },
      usdc: { address: '0xaf88d065e77c8cC2239327C5EDb3A432268e5831', decimals: 6, enabled: true },
    },
  },
  optimism: {
    ...rollup,
    network: 'optimism',
    name: 'OP Mainnet',
    shortName: 'oeth',
    chainId: 10,
    requiredConfirmations: 15,
    pollSeconds: 2,
    explorer: 'https://optimistic.etherscan.io',
    tokens: {
      usdt: { address: '0x94b008aA00579c1307B0EF2c499aD98a8ce58e58', decimals: 6, enabled: true },
      usdc: { address: '0x0b2C639c533813f4Aa9D7837CAf62653d097Ff85', decimals: 6, enabled: true },
    },
  },
  // What a node shows has been accepted for good: its finalized block is its head.
  avalanche: {
    ...evm,
    network: 'avalanche',
    name: 'Avalanche C-Chain',
    shortName: 'avax',
    chainId: 43114,
    requiredConfirmations: 3,
    finality: 'finalized',
    pollSeconds: 2,
    finalityStallSeconds: 60,
    explorer: 'https://snowtrace.io',
    native: { coin: 'avax', decimals: 18 },
    tokens: {
      usdt: { address: '0x9702230A8Ea53601f5cD2dc00fDBc13d4dF4A8c7', decimals: 6, enabled: true },
      usdc: { address: '0xB97EF9Ef8734C71904D8002F8b6Bc66Dd9c48a6E', decimals: 6, enabled: true },
    },
  },
  linea: {
    ...rollup,
    network: 'linea',
    name: 'Linea',
    shortName: 'linea',
    chainId: 59144,
    requiredConfirmations: 15,
    pollSeconds: 2,
    explorer: 'https://lineascan.build',
    tokens: {
      usdt: { address: '0xA219439258ca9da29E9Cc4cE5596924745e12B93', decimals: 6, enabled: true },
      usdc: { address: '0x176211869cA2b568f2A7D4EE941E073a821EE1ff', decimals: 6, enabled: true },
    },
  },
  // Ethereum's consensus with a block every 5 s: finality advances once in 80 s.
  gnosis: {
    ...evm,
    network: 'gnosis',
    name: 'Gnosis Chain',
    shortName: 'gno',
    chainId: 100,
    requiredConfirmations: 20,
    pollSeconds: 3,
    stallSeconds: 120,
    finalityStallSeconds: 10 * 60,
    explorer: 'https://gnosisscan.io',
    native: { coin: 'xdai', decimals: 18 },
    // Both bridged, USDC by Circle's standard for it.
    tokens: {
      usdt: { address: '0x4ECaBa5870353805a9F068101A40E0f32ed605C6', decimals: 6, enabled: true },
      usdc: { address: '0x2a22f9c3b484c3629090FeED35F17Ff8F88f76F0', decimals: 6, enabled: true },
    },
  },
};

/** Null for a chain that only the configuration describes. */
export function knownChain(network: Network): KnownChain | null {
  return Object.hasOwn(knownChains, network) ? knownChains[network as KnownNetwork] : null;
}

function ether(): KnownChain['native'] {
  return { coin: 'eth', decimals: 18 };
}
