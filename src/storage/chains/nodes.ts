import type { Network } from '../../core/networks.ts';
import type { Capability, NodeState, NodeStatus } from '../../core/node.ts';
import type { Db, Schema, Trx } from '../schema.ts';

/** A node as the process that reads its chain found it, and when (Unix ms). */
export type NotedNode = NodeStatus & { network: Network; notedAt: number };

/** Writes down how a chain's nodes look, in the order of preference, instead of what was noted before. */
export async function replaceNodes(
  trx: Trx,
  network: Network,
  nodes: readonly NodeStatus[],
  at: number,
): Promise<void> {
  await trx.deleteFrom('chain_nodes').where('network', '=', network).execute();
  if (nodes.length === 0) return;
  await trx
    .insertInto('chain_nodes')
    .values(nodes.map((node, rank) => toRow(network, node, rank, at)))
    .execute();
}

/** Each chain's in the order of preference. */
export async function listNodes(db: Db): Promise<NotedNode[]> {
  const rows = await db
    .selectFrom('chain_nodes')
    .select([
      'network',
      'rank',
      'host',
      'state',
      'head',
      'finalized',
      'lag',
      'answered_at',
      'lacks',
      'blocks_per_query',
      'calls_per_request',
      'recipient_filter',
      'latency_ms',
      'backoff_until',
      'last_error',
      'asked',
      'failed',
      'noted_at',
    ])
    .orderBy('network')
    .orderBy('rank')
    .execute();
  return rows.map(toNode);
}

function toRow(network: Network, node: NodeStatus, rank: number, at: number): Schema['chain_nodes'] {
  const { limits } = node;
  return {
    network,
    rank,
    host: node.host,
    state: node.state,
    head: node.head,
    finalized: node.finalized,
    lag: node.lag,
    answered_at: node.answeredAt,
    lacks: node.lacks.join(' '),
    blocks_per_query: limits?.blocksPerQuery ?? null,
    calls_per_request: limits?.callsPerRequest ?? null,
    recipient_filter: limits === null ? null : Number(limits.recipientFilter),
    latency_ms: node.latencyMs === null ? null : Math.round(node.latencyMs),
    backoff_until: node.backoffUntil,
    last_error: node.lastError,
    asked: node.asked,
    failed: node.failed,
    noted_at: at,
  };
}

function toNode(row: Schema['chain_nodes']): NotedNode {
  const { blocks_per_query: blocksPerQuery, calls_per_request: callsPerRequest } = row;
  const known = blocksPerQuery !== null && callsPerRequest !== null;
  return {
    network: row.network as Network,
    host: row.host,
    preferred: row.rank === 0,
    state: row.state as NodeState,
    head: row.head,
    finalized: row.finalized,
    lag: row.lag,
    answeredAt: row.answered_at,
    lacks: row.lacks === '' ? [] : (row.lacks.split(' ') as Capability[]),
    limits: known ? { blocksPerQuery, callsPerRequest, recipientFilter: row.recipient_filter === 1 } : null,
    latencyMs: row.latency_ms,
    backoffUntil: row.backoff_until,
    lastError: row.last_error,
    asked: row.asked,
    failed: row.failed,
    notedAt: row.noted_at,
  };
}
