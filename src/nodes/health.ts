import type { Capability, NodeLimits, NodeState, NodeStatus } from '../core/node.ts';

/** Whatever speaks to one node. */
export type Node = { latencyMs(): number | null; limits(): NodeLimits | null; close(): Promise<void> };

/** One node as endpoints.ts knows it. */
export type Endpoint<N> = {
  host: string;
  node: N;
  /** Place in the order of preference. */
  rank: number;
  identified: boolean;
  wrongChain: boolean;
  failures: number;
  /** Whether the log tells that it fails. */
  reported: boolean;
  backoffUntil: number;
  /** Whether it has asked for that itself. */
  askedToWait: boolean;
  /** Until then it is asked only if nobody else can be. */
  distrustedUntil: number;
  lacks: Map<Capability, Lack>;
  head: number | null;
  finalized: number | null;
  lag: number | null;
  answeredAt: number | null;
  lastError: string | null;
  /** Units of work since the start, and those of them that failed. */
  asked: number;
  failed: number;
};

/** What a node refuses: until when it is not asked for it, how often it refused, and in which words. */
export type Lack = { until: number; times: number; reason: string };

export function newEndpoint<N>(host: string, node: N, rank: number): Endpoint<N> {
  return {
    host,
    node,
    rank,
    identified: false,
    wrongChain: false,
    failures: 0,
    reported: false,
    backoffUntil: Number.NEGATIVE_INFINITY,
    askedToWait: false,
    distrustedUntil: Number.NEGATIVE_INFINITY,
    lacks: new Map(),
    head: null,
    finalized: null,
    lag: null,
    answeredAt: null,
    lastError: null,
    asked: 0,
    failed: 0,
  };
}

/** Moves what lasts until some time, for a clock that was set back by `ms`: it would last longer by as much. */
export function moveBack<N>(endpoint: Endpoint<N>, ms: number): void {
  endpoint.backoffUntil -= ms;
  endpoint.distrustedUntil -= ms;
  for (const lack of endpoint.lacks.values()) lack.until -= ms;
}

/** When this node may be asked for something that needs these. */
export function availableAt<N>({ backoffUntil, lacks }: Endpoint<N>, needs: readonly Capability[]): number {
  return Math.max(backoffUntil, ...needs.map((need) => lacks.get(need)?.until ?? Number.NEGATIVE_INFINITY));
}

/** Why this node did not do something that needs these. */
export function reasonOf<N>({ lacks, lastError }: Endpoint<N>, needs: readonly Capability[]): string {
  const lack = needs.map((need) => lacks.get(need)).find((found) => found !== undefined);
  return lastError ?? lack?.reason ?? 'not asked';
}

export function statusOf<N extends Node>(endpoint: Endpoint<N>, now: number): NodeStatus {
  const { node, backoffUntil } = endpoint;
  return {
    host: endpoint.host,
    preferred: endpoint.rank === 0,
    state: stateOf(endpoint, now),
    head: endpoint.head,
    finalized: endpoint.finalized,
    lag: endpoint.lag,
    answeredAt: endpoint.answeredAt,
    lacks: [...endpoint.lacks.keys()],
    limits: node.limits(),
    latencyMs: node.latencyMs(),
    backoffUntil: backoffUntil > now ? backoffUntil : null,
    lastError: endpoint.lastError,
    asked: endpoint.asked,
    failed: endpoint.failed,
  };
}

function stateOf<N>(
  { wrongChain, backoffUntil, distrustedUntil, lacks }: Endpoint<N>,
  now: number,
): NodeState {
  if (wrongChain) return 'wrong chain';
  if (backoffUntil > now) return 'backoff';
  if (distrustedUntil > now) return 'distrusted';
  return lacks.size > 0 ? 'limited' : 'ready';
}
