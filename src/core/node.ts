/** What not every node offers: logs of many blocks, the finalized block, receipts and traces of transactions. */
export type Capability = 'logs' | 'finalized' | 'receipts' | 'traces';

/** How a node stands: `limited` is asked only for what it serves, `distrusted` only if nobody else can be asked. */
export type NodeState = 'ready' | 'limited' | 'distrusted' | 'backoff' | 'wrong chain';

/**
 * How a node failed, as it is counted: no answer in time; too many requests; down or unreachable; does not serve what was
 * asked; has not got there yet; says what cannot be true.
 */
export const nodeFailures = ['timeout', 'rate_limited', 'unavailable', 'refused', 'behind', 'wrong'] as const;
export type NodeFailure = (typeof nodeFailures)[number];

/**
 * What one node says, each asked by itself. It is silent when it is down, behind, backing off, or does not serve what was
 * asked: that is no word for or against anything. `late`: the others had settled the question before it answered, which is
 * not even a word about that node.
 */
export type NodeAnswer<T> =
  | { host: string; kind: 'answered'; value: T }
  | { host: string; kind: 'silent'; reason: string; late?: true };

/** Whether the answers so far settle a question, whatever is said by as many nodes as have not answered yet. */
export type Enough<T> = (answers: readonly NodeAnswer<T>[], missing: number) => boolean;

/** What is known of how much a node takes at once. */
export type NodeLimits = {
  blocksPerQuery: number;
  callsPerRequest: number;
  /** Whether it takes lists of recipients. */
  recipientFilter: boolean;
};

/** What one node of a chain looks like. Host names only: URLs carry keys. */
export type NodeStatus = {
  host: string;
  /** Whether it is asked first. */
  preferred: boolean;
  state: NodeState;
  head: number | null;
  finalized: number | null;
  /** Blocks below the highest head that any node had shown, when it was last asked. */
  lag: number | null;
  /** Unix ms when it last answered. */
  answeredAt: number | null;
  /** What it refused to serve. */
  lacks: Capability[];
  limits: NodeLimits | null;
  latencyMs: number | null;
  /** Unix ms until which it is not asked; null when it may be. */
  backoffUntil: number | null;
  lastError: string | null;
  /** Units of work since the start, mostly one request each, and those of them that failed. */
  asked: number;
  failed: number;
};
