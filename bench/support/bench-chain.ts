import { parseConfig } from '../../src/config/load.ts';
import type { ChainConfig } from '../../src/config.ts';

/** BSC as the defaults configure it, paid in tether alone, over these nodes. */
export function benchChain(urls: readonly string[], changes: Partial<ChainConfig> = {}): ChainConfig {
  const config = parseConfig(
    JSON.stringify({
      publicUrl: 'https://pay.example.com',
      adminToken: 'not-used-by-the-benchmark-0123456789',
      chains: { bsc: { rpc: urls, tokens: { usdc: false, busd: false } } },
      rates: { sources: ['fixed'], fixed: { usdt: '1' } },
    }),
    '/',
    {},
  );
  return { ...(config.chains.bsc as ChainConfig), ...changes };
}

/** TRON in the same way. */
export function benchTron(urls: readonly string[], changes: Partial<ChainConfig> = {}): ChainConfig {
  const config = parseConfig(
    JSON.stringify({
      publicUrl: 'https://pay.example.com',
      adminToken: 'not-used-by-the-benchmark-0123456789',
      chains: { tron: { rpc: urls } },
      rates: { sources: ['fixed'], fixed: { usdt: '1', trx: '0.25' } },
    }),
    '/',
    {},
  );
  return { ...(config.chains.tron as ChainConfig), ...changes };
}
