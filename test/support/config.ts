import type { ChainConfig, Config, FiatRatesConfig } from '../../src/config.ts';
import { parseAddress } from '../../src/core/address.ts';
import { type Asset, type KnownToken, knownCoins } from '../../src/core/assets.ts';
import { knownChains } from '../../src/core/chains/known.ts';
import type { KnownNetwork, Network } from '../../src/core/networks.ts';

/** A chain as the defaults configure it, paid with the canonical tokens and the native coin. Its node does not exist. */
export function testChain(network: Network, changes: Partial<ChainConfig> = {}): ChainConfig {
  const known = knownChains[network as KnownNetwork];
  const native = { ...known.native, rate: knownCoins[known.native.coin] };
  const assets = knownTokens(network).filter(({ currency }) => known.tokens[currency as KnownToken]?.enabled);
  assets.push({ network, currency: 'native', token: 'native', ...native });
  return {
    network,
    name: known.name,
    family: known.family,
    livemode: true,
    enabled: true,
    rpc: [
      {
        url: 'http://127.0.0.1:1/',
        headers: {},
        requestsPerSecond: null,
        requestsPerDay: null,
        maxLogRange: null,
        wsUrl: null,
        solidityUrl: null,
      },
    ],
    chainId: known.chainId,
    requiredConfirmations: known.requiredConfirmations,
    finality: known.finality,
    confirmationTiers: [],
    pollSeconds: known.pollSeconds,
    idlePollSeconds: 15,
    recheckSeconds: 60,
    secondNodeWaitSeconds: 60,
    assets,
    feeClass: known.feeClass,
    startBlock: 'latest',
    internalTransfers: false,
    native,
    stallSeconds: known.stallSeconds,
    finalityStallSeconds: known.finalityStallSeconds,
    ...changes,
  };
}

/** Every token that the program knows on a chain. */
export function knownTokens(network: Network): Asset[] {
  const { family, tokens } = knownChains[network as KnownNetwork];
  return Object.entries(tokens).map(([name, { address, decimals }]): Asset => {
    const parsed = parseAddress(family, address);
    if ('error' in parsed) throw new Error(`${network} ${name}: ${parsed.error}`);
    const coin = name as KnownToken;
    return { network, currency: coin, coin, rate: knownCoins[coin], token: parsed.key, decimals };
  });
}

/** The admin token of {@link testConfig}. */
export const testAdminToken = 'test-admin-token-0123456789abcdef';

/** Nobody is asked. */
export const testFiatRates: FiatRatesConfig = {
  sources: ['fixed'],
  openexchangeratesAppId: null,
  maxAgeSeconds: 172_800,
  ecbUrl: null,
  openexchangeratesUrl: null,
  fixed: {},
};

/** The defaults, with BSC and Ethereum on. */
export function testConfig(changes: Partial<Config> = {}): Config {
  return {
    sandbox: false,
    publicUrl: 'https://pay.example.com',
    listen: { host: '127.0.0.1', port: 0 },
    database: 'sqlite::memory:',
    databaseDirect: null,
    dataFolder: '/nonexistent',
    adminToken: testAdminToken,
    alerts: { to: [], mute: [] },
    payments: {
      lifetimeSeconds: 1800,
      quarantineSeconds: 1800,
      quarantine: 'soft',
      toleranceBps: 0,
      dustUsdCents: 5,
      late: 'flag',
      requote: true,
      watchRetiredDays: 30,
      derivedLimit: 1000,
    },
    rates: { sources: ['fixed'], maxAgeSeconds: 60, pegBandBps: 50, fixed: {}, fiat: testFiatRates },
    chains: { bsc: testChain('bsc'), ethereum: testChain('ethereum') },
    webhooks: {
      headerPrefix: 'X-PayHook',
      allowHosts: [],
      secretKey: null,
      retentionDays: 90,
      replayOnRecovery: true,
      eventRetentionDays: 90,
    },
    providers: {},
    api: { requestsPerSecond: 100 },
    checkout: {
      embedOrigins: [],
      paymentUris: true,
      redirectSeconds: null,
      maxStreams: 100,
      requestsPerSecond: 100_000,
      trustedProxies: ['127.0.0.0/8', '::1'],
    },
    dashboard: true,
    log: { level: 'info', format: 'auto' },
    origins: new Map(),
    ...changes,
  };
}
