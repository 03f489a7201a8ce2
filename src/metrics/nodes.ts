import { Counter, Gauge, type Registry } from '@prometheus-io/client';
import type { Clock } from '../clock.ts';
import type { Config } from '../config.ts';
import { dayOf } from '../core/day.ts';
import type { Network } from '../core/networks.ts';
import type { NodeStatus } from '../core/node.ts';
import { listNodeUsage, listSlowedChains, type NodeUsage } from '../storage/chains/usage.ts';
import type { Db } from '../storage/schema.ts';

export type NodesOf = (network: Network) => readonly NodeStatus[];

/** The nodes as this process finds them. */
export function createNodeMetrics(
  registry: Registry,
  { db, config, clock, nodesOf }: { db: Db; config: Pick<Config, 'chains'>; clock: Clock; nodesOf: NodesOf },
): void {
  const configured = Object.values(config.chains).map(({ network }) => network);

  async function usageToday(): Promise<NodeUsage[]> {
    const usage = await whileDatabaseAnswers(listNodeUsage(db, dayOf(clock())));
    return usage.filter(({ network }) => configured.includes(network));
  }

  function eachNode(gauge: Gauge<'network' | 'host'>, read: (node: NodeStatus) => number | null): void {
    gauge.reset();
    for (const network of configured) {
      for (const node of nodesOf(network)) {
        const value = read(node);
        if (value !== null) gauge.set({ network, host: node.host }, value);
      }
    }
  }

  function define(name: string, help: string, read: (node: NodeStatus) => number | null): void {
    new Gauge({
      name,
      help,
      labelNames: ['network', 'host'] as const,
      registers: [registry],
      collect() {
        eachNode(this, read);
      },
    });
  }

  function count(name: string, help: string, read: (node: NodeStatus) => number): void {
    new Counter({
      name,
      help,
      labelNames: ['network', 'host'] as const,
      registers: [registry],
      collect() {
        this.reset();
        for (const network of configured) {
          for (const node of nodesOf(network)) this.inc({ network, host: node.host }, read(node));
        }
      },
    });
  }

  count(
    'depositd_rpc_requests_total',
    'Units of work asked of a node, mostly one request each.',
    (node) => node.asked,
  );
  count('depositd_rpc_failures_total', 'Those of them that failed.', (node) => node.failed);
  new Gauge({
    name: 'depositd_rpc_calls_today',
    help: 'Calls to a node since midnight (UTC), by all processes; each of a batch counts.',
    labelNames: ['network', 'host', 'method'] as const,
    registers: [registry],
    async collect() {
      const usage = await usageToday();
      this.reset();
      for (const { network, host, method, calls } of usage) this.set({ network, host, method }, calls);
    },
  });
  new Gauge({
    name: 'depositd_rpc_bytes_today',
    help: 'Bytes to and from a node since midnight (UTC), by all processes.',
    labelNames: ['network', 'host', 'method'] as const,
    registers: [registry],
    async collect() {
      const usage = await usageToday();
      this.reset();
      for (const { network, host, method, bytes } of usage) this.set({ network, host, method }, bytes);
    },
  });
  new Gauge({
    name: 'depositd_rpc_calls_allowed',
    help: 'Calls that the plan of a node allows in a day (requestsPerDay).',
    labelNames: ['network', 'host'] as const,
    registers: [registry],
    collect() {
      this.reset();
      for (const { network, rpc } of Object.values(config.chains))
        for (const { url, requestsPerDay } of rpc)
          if (requestsPerDay !== null) this.set({ network, host: new URL(url).host }, requestsPerDay);
    },
  });
  new Gauge({
    name: 'depositd_chain_slowed_seconds',
    help: 'How seldom a chain is read so that the quota of a node lasts until midnight (UTC); 0: at full pace.',
    labelNames: ['network'] as const,
    registers: [registry],
    async collect() {
      const slowed = await whileDatabaseAnswers(listSlowedChains(db, clock()));
      this.reset();
      for (const network of configured) {
        const own = slowed.find((one) => one.network === network);
        this.set({ network }, (own?.everyMs ?? 0) / 1000);
      }
    },
  });
  define('depositd_rpc_head_height', 'The highest block that a node has shown.', (node) => node.head);
  define(
    'depositd_rpc_lag_blocks',
    'Blocks below the highest head, when it was last asked.',
    (node) => node.lag,
  );
  define('depositd_rpc_latency_seconds', 'Time a node takes to answer, smoothed.', (node) =>
    node.latencyMs === null ? null : node.latencyMs / 1000,
  );
  define('depositd_rpc_backoff', '1 while a node is not asked because it failed.', (node) =>
    node.backoffUntil !== null && node.backoffUntil > clock() ? 1 : 0,
  );
  define('depositd_rpc_preferred', '1 for the node that is asked first.', (node) => (node.preferred ? 1 : 0));
}

/** Without it there is nothing to show; that it is away is a metric of its own. */
async function whileDatabaseAnswers<T>(rows: Promise<T[]>): Promise<T[]> {
  try {
    return await rows;
  } catch {
    return [];
  }
}
