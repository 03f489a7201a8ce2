import type { Clock } from '../clock.ts';
import { secretsOf } from '../config/scrub.ts';
import type { ChainConfig, Config } from '../config.ts';
import { formatRate } from '../core/money.ts';
import type { Network } from '../core/networks.ts';
import { counted } from '../core/plural.ts';
import { reasonOf } from '../errors.ts';
import { createLogger } from '../log.ts';
import { coinsOf, createRates } from '../rates/create.ts';
import { createSource } from '../watchers/sources.ts';

export type OnlineReport = {
  nodes: { network: Network; host: string; height: number | null; fault: string | null }[];
  prices: { coin: string; usd: string | null; sources: readonly string[]; fault: string | null }[];
  /** Each chain has a node that serves it, and each coin a price. */
  usable: boolean;
};

/** How long a node or a price source may take, ms. */
const patienceMs = 10_000;

/** Asks each node for itself whether it is of its chain and shows its tokens, and the price sources for every coin. */
export async function checkOnline(config: Config, clock: Clock): Promise<OnlineReport> {
  const chains = Object.values(config.chains);
  const asked = chains.flatMap((chain) => chain.rpc.map((endpoint) => ({ ...chain, rpc: [endpoint] })));
  const [nodes, prices] = await Promise.all([
    Promise.all(asked.map((chain) => askNode(config, chain, clock))),
    askPrices(config, clock),
  ]);
  const served = chains.every(({ network }) =>
    nodes.some((node) => node.network === network && node.fault === null),
  );
  return { nodes, prices, usable: served && prices.every(({ usd }) => usd !== null) };
}

async function askNode(
  config: Config,
  chain: ChainConfig,
  clock: Clock,
): Promise<OnlineReport['nodes'][number]> {
  const log = createLogger({ level: 'silent', write: () => {}, secrets: secretsOf(config) });
  const source = createSource({ chain, clock, log });
  const { network } = chain;
  const [endpoint] = chain.rpc;
  // The rest of the URL may be a key.
  const host = endpoint === undefined ? '' : new URL(endpoint.url).host;
  const signal = AbortSignal.timeout(patienceMs);
  try {
    await source.verify(signal);
    return { network, host, height: (await source.start('latest', signal)).head.height, fault: null };
  } catch (error) {
    const fault = signal.aborted
      ? `no answer within ${counted(patienceMs / 1000, 'second')}`
      : reasonOf(error);
    return { network, host, height: null, fault };
  } finally {
    await source.close();
  }
}

async function askPrices(config: Config, clock: Clock): Promise<OnlineReport['prices']> {
  const log = createLogger({ level: 'silent', write: () => {} });
  const rates = createRates({ config: config.rates, coins: coinsOf(config.chains), clock, log });
  try {
    await rates.refresh(AbortSignal.timeout(patienceMs));
    return rates.status().coins.map(({ coin, quote, reason }) => ({
      coin,
      usd: quote === null ? null : formatRate(quote.usdPerCoin),
      sources: quote?.sources ?? [],
      fault: reason,
    }));
  } finally {
    await rates.close();
  }
}
