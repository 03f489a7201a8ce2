import type { Clock } from '../clock.ts';
import { RpcError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { NodeError, type NodeFault } from './node-error.ts';
import type { EndpointStatus } from './source.ts';

/** Whatever speaks to one node. */
type Node = { latencyMs(): number | null; close(): Promise<void> };

export type EndpointsOptions<N extends Node> = {
  /** In order of preference. `host` may be logged. */
  nodes: readonly { host: string; node: N }[];
  /**
   * Makes sure that a node is of the right chain, before its first use and whenever it has been out of use.
   *
   * @throws NodeError `wrong-chain` when it is not.
   */
  identify: (node: N, signal: AbortSignal) => Promise<void>;
  clock: Clock;
  log: Logger;
};

/** The nodes of one chain: asks the preferred one, and the next when it fails. */
export type Endpoints<N> = {
  /**
   * Runs one unit of work against one node, and from its beginning against the next when that node fails.
   * What is resting is not asked; what contradicted itself only if nobody else can be.
   *
   * @param except nodes that are not asked. A second opinion does not change who is asked first.
   * @throws NoNodeError when no node did it; `signal`'s reason when that aborts.
   */
  ask<T>(
    work: (node: N, seen: Seen) => Promise<T>,
    signal: AbortSignal,
    except?: (node: N) => boolean,
  ): Promise<T>;
  /** Treats what a node said earlier as a fault after all. */
  accuse(node: N, error: NodeError): void;
  status(): EndpointStatus[];
  close(): Promise<void>;
};

/** Told by the work what a node showed of itself. */
export type Seen = (what: { head?: number; finalized?: number | null }) => void;

/** No node did what was asked. `retryAt` (Unix ms) is when one may be asked again. */
export class NoNodeError extends RpcError {
  readonly retryAt: number;

  constructor(reason: string, retryAt: number) {
    super('no_node', reason);
    this.retryAt = retryAt;
  }
}

type Endpoint<N> = {
  host: string;
  node: N;
  /** Place in the order of preference. */
  rank: number;
  identified: boolean;
  failures: number;
  restingUntil: number;
  /** Until then it is asked only if nobody else can be. */
  distrustedUntil: number;
  head: number | null;
  finalized: number | null;
  lastError: string | null;
  /** Units of work since the start, and those of them that failed. */
  asked: number;
  failed: number;
};

const secondMs = 1000;
const minuteMs = 60 * secondMs;

/** The first rest after a failure, and the longest; it doubles in between. */
const firstRestMs = secondMs;
const longestRestMs = minuteMs;

/** A node that is merely behind catches up soon. */
const behindRestMs = secondMs / 2;
const longestBehindRestMs = 30 * secondMs;

/** What a node never serves is worth a new try now and then: it may have been reconfigured, or misunderstood. */
const unsupportedRestMs = 5 * secondMs;
const longestUnsupportedRestMs = 10 * minuteMs;

/** A node that asks for more than this is asked again after this. */
const longestRetryAfterMs = 60 * minuteMs;

const firstDistrustMs = 5 * minuteMs;
const longestDistrustMs = 60 * minuteMs;

export function createEndpoints<N extends Node>(options: EndpointsOptions<N>): Endpoints<N> {
  const { identify, clock, log } = options;
  const endpoints = options.nodes.map(
    ({ host, node }, rank): Endpoint<N> => ({
      host,
      node,
      rank,
      identified: false,
      failures: 0,
      restingUntil: Number.NEGATIVE_INFINITY,
      distrustedUntil: Number.NEGATIVE_INFINITY,
      head: null,
      finalized: null,
      lastError: null,
      asked: 0,
      failed: 0,
    }),
  );
  let current = endpoints[0];

  async function ask<T>(
    work: (node: N, seen: Seen) => Promise<T>,
    signal: AbortSignal,
    except?: (node: N) => boolean,
  ): Promise<T> {
    for (const endpoint of candidates()) {
      if (except?.(endpoint.node)) continue;
      signal.throwIfAborted();
      // It may have begun to rest while this unit of work was busy with others.
      if (endpoint.restingUntil > clock()) continue;
      endpoint.asked += 1;
      try {
        if (!endpoint.identified) await identify(endpoint.node, signal);
        endpoint.identified = true;
        const result = await work(endpoint.node, (what) => see(endpoint, what));
        succeed(endpoint, except !== undefined);
        return result;
      } catch (error) {
        signal.throwIfAborted();
        fail(endpoint, error);
      }
    }
    signal.throwIfAborted();
    const reasons = endpoints.map(({ host, lastError }) => `${host}: ${lastError ?? 'not asked'}`);
    const retryAt = Math.min(...endpoints.map(({ restingUntil }) => restingUntil));
    throw new NoNodeError(reasons.join('; '), Math.max(retryAt, clock()));
  }

  /** Trusted ones by preference, then the others by preference. */
  function candidates(): Endpoint<N>[] {
    const now = clock();
    const awake = endpoints.filter(({ restingUntil }) => restingUntil <= now);
    return awake.toSorted(
      (a, b) => Number(a.distrustedUntil > now) - Number(b.distrustedUntil > now) || a.rank - b.rank,
    );
  }

  function succeed(endpoint: Endpoint<N>, aside: boolean): void {
    if (endpoint !== current && !aside) {
      const reason = current?.lastError ?? 'the preferred node can be asked again';
      const fields = { from: current?.host, to: endpoint.host, reason };
      const back = current !== undefined && endpoint.rank < current.rank;
      if (back)
        log.info({ ...fields, reason: 'the preferred node can be asked again' }, 'rpc endpoint switched');
      else log.warn(fields, 'rpc endpoint switched');
      current = endpoint;
    } else if (endpoint.failures > 0) {
      log.info({ host: endpoint.host, failures: endpoint.failures }, 'rpc endpoint recovered');
    }
    endpoint.failures = 0;
    endpoint.lastError = null;
  }

  function fail(endpoint: Endpoint<N>, error: unknown): void {
    // Anything else than a NodeError is a bug of ours: not the node's fault, and not to be hidden.
    if (!(error instanceof NodeError)) throw error;
    const now = clock();
    const { fault } = error;
    endpoint.failed += 1;
    endpoint.lastError = error.message;
    endpoint.restingUntil = now + restMs(fault, endpoint.failures);
    if (fault.kind === 'contradiction') {
      endpoint.distrustedUntil = now + doubled(firstDistrustMs, endpoint.failures, longestDistrustMs);
    }
    // A node that comes back after a rest may be another machine behind the same name.
    endpoint.identified = false;
    endpoint.failures += 1;
    const fields = { host: endpoint.host, reason: error.message, rest_ms: endpoint.restingUntil - now };
    // Once when it begins; its repetitions are the daily life of a node that is away.
    if (endpoint.failures === 1) log.warn(fields, 'rpc endpoint failed');
    else log.debug({ ...fields, failures: endpoint.failures }, 'rpc endpoint failed');
  }

  return {
    ask,
    accuse: (node, error) => {
      const endpoint = endpoints.find((candidate) => candidate.node === node);
      if (endpoint !== undefined) fail(endpoint, error);
    },
    status: () =>
      endpoints.map(({ host, node, rank, head, finalized, restingUntil, lastError, asked, failed }) => ({
        host,
        preferred: rank === 0,
        head,
        finalized,
        latencyMs: node.latencyMs(),
        restingUntil: restingUntil > clock() ? restingUntil : null,
        lastError,
        asked,
        failed,
      })),
    close: async () => {
      await Promise.all(endpoints.map(({ node }) => node.close()));
    },
  };
}

function see<N>(endpoint: Endpoint<N>, { head, finalized }: Parameters<Seen>[0]): void {
  if (head !== undefined) endpoint.head = head;
  if (finalized !== undefined) endpoint.finalized = finalized;
}

/** How long a node is left alone after a fault that follows `failures` others in a row. */
function restMs(fault: NodeFault, failures: number): number {
  switch (fault.kind) {
    case 'unavailable':
      if (fault.retryAfterMs !== null && fault.retryAfterMs > 0)
        return Math.min(fault.retryAfterMs, longestRetryAfterMs);
      return doubled(firstRestMs, failures, longestRestMs);
    case 'behind':
      return doubled(behindRestMs, failures, longestBehindRestMs);
    case 'unsupported':
    case 'wrong-chain':
    case 'filter-too-long':
      return doubled(unsupportedRestMs, failures, longestUnsupportedRestMs);
    case 'contradiction':
    case 'too-wide':
    case 'too-much':
    case 'reverted':
      return doubled(firstRestMs, failures, longestRestMs);
    default:
      return fault satisfies never;
  }
}

function doubled(first: number, times: number, most: number): number {
  return Math.min(most, first * 2 ** Math.min(times, 30));
}
