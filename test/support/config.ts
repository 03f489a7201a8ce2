import type { ChainConfig, Config } from '../../src/config.ts';
import { type Asset, type Currency, canonicalTokens, nativeCoin } from '../../src/core/assets.ts';
import { type Network, networks } from '../../src/core/networks.ts';

/** A chain as the defaults configure it, paid with the canonical tokens and the native coin. Its node does not exist. */
export function testChain(network: Network, changes: Partial<ChainConfig> = {}): ChainConfig {
  const info = networks[network];
  const tokens = Object.entries(canonicalTokens[network]).filter(([, token]) => token.enabled);
  const assets: Asset[] = tokens.map(([currency, token]) => ({
    network,
    currency: currency as Exclude<Currency, 'native'>,
    coin: currency as Exclude<Currency, 'native'>,
    token: token.address,
    decimals: token.decimals,
  }));
  assets.push({ network, currency: 'native', token: null, ...nativeCoin[network] });
  return {
    network,
    rpc: [
      { url: 'http://127.0.0.1:1/', headers: {}, requestsPerSecond: null, maxLogRange: null, wsUrl: null },
    ],
    chainId: info.chainId,
    requiredConfirmations: info.requiredConfirmations,
    finality: info.finality,
    pollSeconds: info.pollSeconds,
    idlePollSeconds: 15,
    recheckSeconds: 60,
    assets,
    startBlock: 'latest',
    ...changes,
  };
}

/** The admin token of {@link testConfig}. */
export const testAdminToken = 'test-admin-token-0123456789abcdef';

/** The defaults, with BSC and Ethereum on. */
export function testConfig(changes: Partial<Config> = {}): Config {
  return {
    publicUrl: 'https://pay.example.com',
    listen: { host: '127.0.0.1', port: 0 },
    database: 'sqlite::memory:',
    dataFolder: '/nonexistent',
    adminToken: testAdminToken,
    payments: {
      lifetimeSeconds: 1800,
      quarantineSeconds: 1800,
      quarantine: 'soft',
      toleranceBps: 0,
      late: 'flag',
      watchRetiredDays: 30,
      derivedLimit: 1000,
    },
    rates: { sources: ['fixed'], maxAgeSeconds: 60, pegBandBps: 50, fixed: {} },
    chains: { bsc: testChain('bsc'), ethereum: testChain('ethereum') },
    webhooks: {
      headerPrefix: 'X-PayHook',
      allowHosts: [],
      secretKey: null,
      retentionDays: 90,
      replayOnRecovery: true,
    },
    api: { requestsPerSecond: 100 },
    log: { level: 'info' },
    ...changes,
  };
}
