import { Counter, Gauge, type Registry } from '@prometheus-io/client';
import type { Clock } from '../clock.ts';
import type { Config } from '../config.ts';
import type { Network } from '../core/networks.ts';
import type { NodeStatus } from '../core/node.ts';

export type NodesOf = (network: Network) => readonly NodeStatus[];

/** The nodes as this process finds them. */
export function createNodeMetrics(
  registry: Registry,
  { config, clock, nodesOf }: { config: Pick<Config, 'chains'>; clock: Clock; nodesOf: NodesOf },
): void {
  const configured = Object.values(config.chains).map(({ network }) => network);

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
