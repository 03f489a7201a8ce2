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
  /** Price sources that did not answer. */
  silent_sources: { name: string; fault: string }[];
  /** Each chain has a node that serves it, and each coin a price. */
  usable: boolean;
  /** Chains that no node serves and coins without a price, in a phrase; null: there is none. */
  lacking: string | null;
};

/** How long a node or a price source may take, ms. */
const patienceMs = 10_000;

/** Asks each node for itself whether it is of its chain and shows its tokens, and the price sources for every coin. */
export async function checkOnline(config: Config, clock: Clock): Promise<OnlineReport> {
  const chains = Object.values(config.chains);
  const asked = chains.flatMap((chain) => chain.rpc.map((endpoint) => ({ ...chain, rpc: [endpoint] })));
  const [nodes, { prices, silentSources }] = await Promise.all([
    Promise.all(asked.map((chain) => askNode(config, chain, clock))),
    askPrices(config, clock),
  ]);
  const unserved = chains.filter(
    ({ network }) => !nodes.some((node) => node.network === network && node.fault === null),
  );
  const unpriced = prices.filter(({ usd }) => usd === null);
  const lacks = [
    ...unserved.map(({ network }) => `no node serves ${network}`),
    ...(unpriced.length === 0 ? [] : [`there is no price of ${unpriced.map(({ coin }) => coin).join(', ')}`]),
  ];
  return {
    nodes,
    prices,
    silent_sources: silentSources,
    usable: lacks.length === 0,
    lacking: lacks.length === 0 ? null : lacks.join('; '),
  };
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
    // It stands beside its host.
    const alone = fault.startsWith(`${host}: `) ? fault.slice(host.length + 2) : fault;
    return { network, host, height: null, fault: alone };
  } finally {
    await source.close();
  }
}

/** Asks the price sources for every coin. */
export async function askPrices(
  config: Config,
  clock: Clock,
): Promise<{ prices: OnlineReport['prices']; silentSources: OnlineReport['silent_sources'] }> {
  const log = createLogger({ level: 'silent', write: () => {} });
  const rates = createRates({ config: config.rates, coins: coinsOf(config.chains), clock, log });
  try {
    await rates.refresh(AbortSignal.timeout(patienceMs));
    const { coins, sources } = rates.status();
    return {
      prices: coins.map(({ coin, quote, reason }) => ({
        coin,
        usd: quote === null ? null : formatRate(quote.usdPerCoin),
        sources: quote?.sources ?? [],
        fault: reason,
      })),
      silentSources: sources.flatMap(({ name, lastError }) =>
        lastError === null ? [] : [{ name, fault: lastError }],
      ),
    };
  } finally {
    await rates.close();
  }
}
