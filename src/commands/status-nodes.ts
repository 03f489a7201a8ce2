import type { NodeStatus } from '../core/node.ts';
import { counted } from '../core/plural.ts';
import type { presentChain } from '../present/chains.ts';
import { print, printTable } from './output.ts';

/*
 * The nodes as `status` prints them.
 */

type Chain = Pick<ReturnType<typeof presentChain>, 'network' | 'nodes' | 'slowed'>;

/** As the daemon found them. */
export function showNodes(chains: readonly Chain[]): void {
  const nodes = chains.flatMap((chain) => chain.nodes.map((node) => ({ network: chain.network, ...node })));
  if (nodes.length === 0) return;
  printTable(
    ['NODES OF', 'HOST', 'HEAD', 'LAG', 'P50 / P95', 'FAILED', 'ANSWERED', 'CALLS TODAY', 'STATE'],
    nodes.map((node) => [
      node.network,
      node.host,
      shown(node.head),
      shown(node.lag),
      latencyOf(node.last_hour),
      failuresOf(node.last_hour),
      node.answered_at ?? 'never',
      callsToday(node.today),
      nodeState(node),
    ]),
  );
  for (const { network, slowed } of chains)
    if (slowed !== null)
      print(
        `${network} is read every ${counted(slowed.every_seconds, 'second')}, so that the quota of ${slowed.host} lasts until midnight (UTC)`,
      );
  print('');
}

type LastHour = Chain['nodes'][number]['last_hour'];

function latencyOf({ p50_ms: p50, p95_ms: p95 }: LastHour): string {
  return p50 === null ? '–' : `${p50} / ${p95} ms`;
}

/** Most failures first. */
function failuresOf({ failures }: LastHour): string {
  const some = Object.entries(failures).filter(([, count]) => count > 0);
  if (some.length === 0) return '–';
  const parts = some.toSorted(([, a], [, b]) => b - a).map(([name, count]) => `${count} ${name}`);
  return parts.join(', ').replaceAll('_', ' ');
}

function callsToday({
  calls,
  calls_allowed: allowed,
}: {
  calls: number;
  calls_allowed: number | null;
}): string {
  return allowed === null ? String(calls) : `${calls} of ${allowed}`;
}

function nodeState({
  state,
  lacks,
  last_error: error,
}: Pick<NodeStatus, 'state' | 'lacks'> & { last_error: string | null }): string {
  if (state === 'limited') return `serves no ${lacks.join(', ')}`;
  return state === 'ready' || error === null ? state : `${state}: ${error}`;
}

export function shown(height: number | null | undefined): string {
  return height === null || height === undefined ? '–' : String(height);
}
