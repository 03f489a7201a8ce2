import type { Clock } from '../clock.ts';
import type { Capability, Enough, NodeAnswer, NodeFailure, NodeStatus } from '../core/node.ts';
import { DepositdError, RpcError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { backoffMs, distrustMs, lackMs, longestAloneMs } from './backoff.ts';
import { failureOf, NodeError, unavailable } from './fault.ts';
import {
  availableAt,
  type Endpoint,
  moveBack,
  type Node,
  newEndpoint,
  reasonOf,
  statusOf,
} from './health.ts';

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
  /** Told of each failure, for measurements. */
  failed?: (host: string, failure: NodeFailure) => void;
};

export type AskOptions<N> = {
  /** Who is known to lack one of these is not asked. */
  needs?: readonly Capability[];
  /** Who is not asked either. */
  except?: (node: N) => boolean;
  /** A look beside the reading of the chain, whoever answers it. */
  aside?: boolean;
};

export type AskEachOptions<T> = {
  /** Who is known to lack one of these is silent. */
  needs?: readonly Capability[] | undefined;
  /** When the others need not be waited for. */
  enough?: Enough<T> | undefined;
};

/** The nodes of one chain: asks the preferred one, and the next when it fails. */
export type Endpoints<N> = {
  /**
   * Runs one unit of work against one node, and from its beginning against the next when that node fails.
   * Who backs off is not asked; what contradicted itself only if nobody else can be.
   *
   * @throws NoNodeError when no node did it; `signal`'s reason when that aborts.
   */
  ask<T>(work: (node: N, seen: Seen) => Promise<T>, signal: AbortSignal, options?: AskOptions<N>): Promise<T>;
  /**
   * Runs the same work against every node at once, each by itself: one answer for each host name. Who backs off or lacks
   * what is needed is not asked, so that a dead node costs one time-out and not one for each question; where the others
   * are enough, none. What becomes of a node that was not waited for is noted all the same.
   */
  askEach<T>(
    work: (node: N, seen: Seen) => Promise<T>,
    signal: AbortSignal,
    options?: AskEachOptions<T>,
  ): Promise<NodeAnswer<T>[]>;
  /** Treats what a node showed earlier as a fault after all. */
  fault(node: N, error: NodeError): void;
  /** What a node said earlier was untrue: for some time it is asked only if nobody else can be. It still has its vote. */
  distrust(host: string, reason: string): void;
  status(): NodeStatus[];
  close(): Promise<void>;
};

/** Told by the work what a node showed of itself. */
export type Seen = (what: { head?: number; finalized?: number | null; serves?: Capability }) => void;

/** No node did what was asked. `retryAt` (Unix ms) is when one may be asked again. */
export class NoNodeError extends RpcError {
  readonly retryAt: number;

  constructor(reason: string, retryAt: number) {
    super('no_node', reason);
    this.retryAt = retryAt;
  }
}

/** A node that is behind so often in a row stays behind. */
const lastingBehind = 3;

export function createEndpoints<N extends Node>(options: EndpointsOptions<N>): Endpoints<N> {
  const { identify, clock, log, failed = () => {} } = options;
  const endpoints = options.nodes.map(({ host, node }, rank) => newEndpoint(host, node, rank));
  /** The one that the chain is read from. */
  let current = endpoints[0];
  let askedAt = Number.NEGATIVE_INFINITY;
  const closing = new AbortController();
  /** Questions that were settled before everybody had answered. */
  const late = new Set<Promise<void>>();

  async function ask<T>(
    work: (node: N, seen: Seen) => Promise<T>,
    signal: AbortSignal,
    { needs = [], except, aside = except !== undefined }: AskOptions<N> = {},
  ): Promise<T> {
    for (const endpoint of candidates()) {
      if (except?.(endpoint.node)) continue;
      const result = await attempt(endpoint, work, signal, { needs, aside });
      if (result !== null) return result.value;
    }
    signal.throwIfAborted();
    const reasons = endpoints.map((endpoint) => `${endpoint.host}: ${reasonOf(endpoint, needs)}`);
    const retryAt = Math.min(...endpoints.map((endpoint) => availableAt(endpoint, needs)));
    throw new NoNodeError(reasons.join('; '), Math.max(retryAt, clock()));
  }

  async function askEach<T>(
    work: (node: N, seen: Seen) => Promise<T>,
    signal: AbortSignal,
    { needs = [], enough = () => false }: AskEachOptions<T> = {},
  ): Promise<NodeAnswer<T>[]> {
    const inOrder = candidates();
    const whileOpen = AbortSignal.any([signal, closing.signal]);
    const askHost = async (host: string): Promise<NodeAnswer<T>> => {
      // Two URLs of one provider are one voice.
      for (const endpoint of inOrder.filter((candidate) => candidate.host === host)) {
        const result = await attempt(endpoint, work, whileOpen, { needs, aside: true });
        if (result !== null) return { host, kind: 'answered', value: result.value };
      }
      const reasons = endpoints.flatMap((one) => (one.host === host ? [reasonOf(one, needs)] : []));
      return { host, kind: 'silent', reason: reasons.join('; ') };
    };
    const answers = new Map<string, NodeAnswer<T>>();
    const settled = Promise.withResolvers<void>();
    const hosts = [...new Set(endpoints.map(({ host }) => host))];
    const all = Promise.all(
      hosts.map(async (host) => {
        answers.set(host, await askHost(host));
        if (enough([...answers.values()], hosts.length - answers.size)) settled.resolve();
      }),
    );
    await Promise.race([all, settled.promise]);
    if (answers.size < hosts.length) finishLate(all, whileOpen);
    signal.throwIfAborted();
    return hosts.map(
      (host) => answers.get(host) ?? { host, kind: 'silent', reason: 'not waited for', late: true },
    );
  }

  /** Nobody waits for it: that it ends with the nodes is all that matters, and that no mistake of ours is hidden. */
  function finishLate(asking: Promise<unknown>, signal: AbortSignal): void {
    const ended = asking
      .then(
        () => {},
        (error: unknown) => {
          if (!signal.aborted) log.error({ err: error }, 'late answer failed');
        },
      )
      .finally(() => late.delete(ended));
    late.add(ended);
  }

  /** One unit of work against one node; null when it could not be asked, or failed. */
  async function attempt<T>(
    endpoint: Endpoint<N>,
    work: (node: N, seen: Seen) => Promise<T>,
    signal: AbortSignal,
    { needs, aside }: { needs: readonly Capability[]; aside: boolean },
  ): Promise<{ value: T } | null> {
    signal.throwIfAborted();
    // It may have begun to back off while this unit of work was busy with others.
    if (availableAt(endpoint, needs) > clock()) return null;
    endpoint.asked += 1;
    try {
      if (!endpoint.identified) await identify(endpoint.node, signal);
      endpoint.identified = true;
      const value = await work(endpoint.node, (what) => see(endpoint, what));
      succeed(endpoint, aside);
      return { value };
    } catch (error) {
      signal.throwIfAborted();
      fail(endpoint, error);
      hurryIfNobodyIsLeft(needs);
      return null;
    }
  }

  /** Trusted ones by preference, then the others by preference. */
  function candidates(): Endpoint<N>[] {
    const now = clock();
    if (now < askedAt) for (const endpoint of endpoints) moveBack(endpoint, askedAt - now);
    askedAt = now;
    const askable = endpoints.filter(({ backoffUntil }) => backoffUntil <= now);
    return askable.toSorted(
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
    } else if (endpoint.reported) {
      log.info({ host: endpoint.host, failures: endpoint.failures }, 'rpc endpoint recovered');
    }
    endpoint.failures = 0;
    endpoint.reported = false;
    if (endpoint.distrustedUntil <= clock()) endpoint.lastError = null;
    endpoint.wrongChain = false;
    endpoint.answeredAt = clock();
  }

  function see(endpoint: Endpoint<N>, { head, finalized, serves }: Parameters<Seen>[0]): void {
    if (finalized !== undefined) endpoint.finalized = finalized;
    if (finalized != null) regain(endpoint, 'finalized');
    if (serves !== undefined) regain(endpoint, serves);
    if (head !== undefined) {
      endpoint.head = head;
      endpoint.lag = Math.max(...endpoints.map((other) => other.head ?? 0)) - head;
      endpoint.answeredAt = clock();
    }
  }

  function regain({ host, lacks }: Endpoint<N>, serves: Capability): void {
    if (lacks.delete(serves)) log.info({ host, serves }, 'rpc endpoint recovered');
  }

  function fail(endpoint: Endpoint<N>, thrown: unknown): void {
    const error = thrown instanceof NodeError ? thrown : mistakeAt(endpoint, thrown);
    const now = clock();
    const { fault } = error;
    endpoint.failed += 1;
    endpoint.lastError = error.message;
    failed(endpoint.host, failureOf(fault));
    if (fault.kind === 'lacks') {
      limit(endpoint, fault.what, error.message);
      return;
    }
    endpoint.wrongChain = fault.kind === 'wrong-chain';
    endpoint.backoffUntil = now + backoffMs(fault, endpoint.failures);
    endpoint.askedToWait = fault.kind === 'unavailable' && (fault.retryAfterMs ?? 0) > 0;
    if (fault.kind === 'contradiction') {
      endpoint.distrustedUntil = now + distrustMs(endpoint.failures);
    }
    // A node that comes back may be another machine behind the same name.
    endpoint.identified = false;
    endpoint.failures += 1;
    const fields = { host: endpoint.host, reason: error.message, backoff_ms: endpoint.backoffUntil - now };
    // Once when it begins; its repetitions are the daily life of a node that is away. To be a block behind for a moment
    // is the daily life of every node.
    const worthALine = fault.kind !== 'behind' || endpoint.failures >= lastingBehind;
    if (worthALine && !endpoint.reported) {
      endpoint.reported = true;
      log.warn(fields, 'rpc endpoint failed');
    } else log.debug({ ...fields, failures: endpoint.failures }, 'rpc endpoint failed');
  }

  /**
   * Anything else than a NodeError is a mistake of ours and said to be one. But an answer that nobody thought of must not stop
   * the chain for as long as its node gives it: the others are asked.
   */
  function mistakeAt({ host }: Endpoint<N>, thrown: unknown): NodeError {
    if (thrown instanceof DepositdError) throw thrown;
    log.error({ host, err: thrown }, 'node answer not handled');
    return unavailable('its answer could not be handled', { cause: thrown });
  }

  /** It goes on answering, and its vote counts like any other: no reason to back off. */
  function distrust(endpoint: Endpoint<N>, reason: string): void {
    const known = endpoint.distrustedUntil > clock();
    endpoint.distrustedUntil = clock() + distrustMs(endpoint.failures);
    endpoint.failed += 1;
    endpoint.lastError = reason;
    failed(endpoint.host, 'wrong');
    const fields = { host: endpoint.host, reason, distrusted_ms: endpoint.distrustedUntil - clock() };
    log[known ? 'debug' : 'warn'](fields, 'rpc endpoint failed');
  }

  /** It goes on serving everything else: no reason to back off. */
  function limit(endpoint: Endpoint<N>, what: Capability, reason: string): void {
    const times = endpoint.lacks.get(what)?.times ?? 0;
    endpoint.lacks.set(what, { until: clock() + lackMs(times), times: times + 1, reason });
    const fields = { host: endpoint.host, lacks: what, reason };
    if (times === 0) log.warn(fields, 'rpc endpoint limited');
    else log.debug(fields, 'rpc endpoint limited');
  }

  /** While no node can be asked for this, none is left alone for long: whichever comes back first should be noticed. */
  function hurryIfNobodyIsLeft(needs: readonly Capability[]): void {
    const now = clock();
    if (endpoints.some((endpoint) => availableAt(endpoint, needs) <= now)) return;
    const latest = now + longestAloneMs;
    for (const endpoint of endpoints) {
      if (!endpoint.askedToWait) endpoint.backoffUntil = Math.min(endpoint.backoffUntil, latest);
      for (const need of needs) {
        const lack = endpoint.lacks.get(need);
        // Most nodes never trace anything, and the chain is read and confirmed without.
        if (lack !== undefined && need !== 'traces') lack.until = Math.min(lack.until, latest);
      }
    }
  }

  return {
    ask,
    askEach,
    fault: (node, error) => {
      for (const endpoint of endpoints) if (endpoint.node === node) fail(endpoint, error);
    },
    distrust: (host, reason) => {
      for (const endpoint of endpoints) if (endpoint.host === host) distrust(endpoint, reason);
    },
    status: () => endpoints.map((endpoint) => statusOf(endpoint, clock())),
    close: async () => {
      closing.abort();
      await Promise.all(endpoints.map(({ node }) => node.close()));
      await Promise.all(late);
    },
  };
}
