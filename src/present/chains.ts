import type { ChainConfig } from '../config.ts';
import type { NodeMeasurement } from '../core/measurement.ts';
import type { NodeLimits, NodeStatus } from '../core/node.ts';
import type { ChainState } from '../storage/chains/chains.ts';
import type { Coverage } from '../storage/chains/recheck-marks.ts';
import type { NodeUsage, SlowedChain } from '../storage/chains/usage.ts';
import { presentNodeMeasurements } from './measurements.ts';
import { isoTime, timeOrNull } from './values.ts';

/*
 * The JSON of a chain and of its nodes.
 */

/** What is known of a chain; `reason` says why no payment can be created on it, null: one can. */
export type ChainFound = {
  state: ChainState | null;
  coverage: Coverage | null;
  reason: string | null;
  nodes: readonly NodeStatus[];
  /** What they were asked today. */
  usage: readonly NodeUsage[];
  slowed: SlowedChain | null;
  /** How they answered in the last hour. */
  measured: readonly NodeMeasurement[];
};

export function presentChain(
  chain: ChainConfig,
  { state, coverage, reason, nodes, usage, slowed, measured }: ChainFound,
) {
  return {
    network: chain.network,
    chain: chain.name,
    available: reason === null,
    reason,
    confirmations: chain.requiredConfirmations,
    confirmation_tiers: presentTiers(chain),
    cursor: state === null ? null : presentCursor(state.cursor),
    coverage: coverage === null ? null : presentCoverage(coverage),
    head: state?.head.height ?? null,
    finalized: state?.finalizedHeight ?? null,
    read_at: timeOrNull(state?.readAt ?? null),
    nodes: nodes.map((node) => ({
      ...presentNode(node),
      last_hour: presentNodeMeasurements(measured.filter(({ host }) => host === node.host)),
      today: presentToday(
        chain,
        node.host,
        usage.filter((row) => row.network === chain.network && row.host === node.host),
      ),
    })),
    slowed: slowed === null ? null : { host: slowed.host, every_seconds: Math.round(slowed.everyMs / 1000) },
  };
}

export function presentTiers({ confirmationTiers }: ChainConfig) {
  return confirmationTiers.map(({ upToUsdCents, confirmations }) => ({
    up_to_usd_cents: upToUsdCents,
    confirmations,
  }));
}

function presentCursor({ height, hash, time }: ChainState['cursor']) {
  return { height, hash, time: isoTime(time * 1000) };
}

function presentCoverage({ from, completeTo, recheckedTo, gaps, ranges }: Coverage) {
  return { from, complete_to: completeTo, rechecked_to: recheckedTo, gaps, ranges };
}

/** Host names only: URLs carry keys. */
function presentNode(node: NodeStatus) {
  return {
    host: node.host,
    preferred: node.preferred,
    state: node.state,
    head: node.head,
    finalized: node.finalized,
    lag: node.lag,
    answered_at: timeOrNull(node.answeredAt),
    lacks: node.lacks,
    limits: node.limits === null ? null : presentLimits(node.limits),
    latency_ms: node.latencyMs === null ? null : Math.round(node.latencyMs),
    backoff_until: timeOrNull(node.backoffUntil),
    last_error: node.lastError,
  };
}

/** Since midnight (UTC). */
function presentToday({ rpc }: ChainConfig, host: string, usage: readonly NodeUsage[]) {
  const sum = (of: (row: NodeUsage) => number) => usage.reduce((all, row) => all + of(row), 0);
  return {
    calls: sum(({ calls }) => calls),
    bytes: sum(({ bytes }) => bytes),
    calls_allowed: rpc.find(({ url }) => new URL(url).host === host)?.requestsPerDay ?? null,
    methods: usage.map(({ method, calls, bytes }) => ({ method, calls, bytes })),
  };
}

function presentLimits({ blocksPerQuery, callsPerRequest, recipientFilter }: NodeLimits) {
  return {
    blocks_per_query: blocksPerQuery,
    calls_per_request: callsPerRequest,
    recipient_filter: recipientFilter,
  };
}
