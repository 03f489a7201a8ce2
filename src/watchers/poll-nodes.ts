import type { Clock } from '../clock.ts';
import type { ChainConfig } from '../config.ts';
import type { Capability } from '../core/node.ts';
import type { Logger } from '../log.ts';
import { type AskOptions, type Endpoints, NoNodeError, type Seen } from '../nodes/failover.ts';
import { behind } from '../nodes/fault.ts';
import type { Node } from '../nodes/health.ts';
import type { NodeHead, PollOutcome, PollRequest, Span } from './source.ts';
import { createStandstill } from './stalls.ts';

/** What a node has to be for this: it may have been asked ahead. */
type Readable = Node & { host: string; forgetAhead(): void };

export type PollDeps<N, T> = {
  endpoints: Endpoints<N>;
  chain: ChainConfig;
  /** What a node must serve for this. */
  needs: (request: PollRequest) => Capability[];
  /** Reads on from the cursor with one node. */
  read: (node: N, request: PollRequest, seen: Seen) => Promise<T>;
  /** How far a node that is not behind has got. */
  look: (node: N, seen: Seen, signal: AbortSignal) => Promise<NodeHead>;
  clock: Clock;
  log: Logger;
};

type Polled<N, T> = { node: N; outcome: T };

export type Failed = Extract<PollOutcome, { kind: 'failed' }>;

/** Reading on from the cursor: one node is polled, and another where that one stands still or stands alone. */
export function createPoll<N extends Readable, T extends PollOutcome>(
  deps: PollDeps<N, T>,
): (request: PollRequest, finalizedHeight: number) => Promise<T | Failed> {
  const { endpoints, clock } = deps;
  const standstill = createStandstill(deps);

  async function poll(request: PollRequest, finalizedHeight: number): Promise<T | Failed> {
    try {
      const first = await pollWhoGoesOn(request);
      const final = request.cursor.height <= finalizedHeight;
      const doubtful = first.outcome.kind === 'reorg' && final;
      return doubtful ? await secondOpinion(request, first) : first.outcome;
    } catch (error) {
      return failedBy(error, request.signal, clock);
    }
  }

  async function pollFrom(request: PollRequest, options: AskOptions<N> = {}): Promise<Polled<N, T>> {
    const read = async (node: N, seen: Seen) => ({ node, outcome: await deps.read(node, request, seen) });
    return endpoints.ask(read, request.signal, { needs: deps.needs(request), ...options });
  }

  /** A node that has come to a halt answers, and nothing it says is wrong: another one shows that the chain goes on. */
  async function pollWhoGoesOn(request: PollRequest): Promise<Polled<N, T>> {
    const first = await pollFrom(request);
    const { node, outcome } = first;
    if (outcome.kind !== 'span' || !standstill.suspects(outcome.span)) return first;
    const further = await findFurther(node, outcome.span, request.signal);
    if (further === null) {
      standstill.confirm(outcome.span);
      return first;
    }
    endpoints.fault(node, behind(further.reason));
    node.forgetAhead();
    try {
      return await pollFrom(request, { except: (other) => other !== further.node, aside: false });
    } catch (error) {
      if (!(error instanceof NoNodeError)) throw error;
      return first;
    }
  }

  /** One of the others that is further than this node; null when none of them shows more. */
  async function findFurther(
    standing: N,
    { head, finalizedHeight }: Span,
    signal: AbortSignal,
  ): Promise<{ node: N; reason: string } | null> {
    const asked = new Set([standing]);
    for (;;) {
      const shown = await askAnother(asked, signal);
      if (shown === null) return null;
      const { node, latest, finalized } = shown;
      if (latest.height > head.height)
        return { node, reason: `its latest block stays ${head.height}, others have ${latest.height}` };
      if (finalizedHeight !== null && finalized !== null && finalized.height > finalizedHeight)
        return {
          node,
          reason: `its finalized block stays ${finalizedHeight}, others have ${finalized.height}`,
        };
    }
  }

  /** How far a node has got that is none of these, and joins them; null when there is no such node. */
  async function askAnother(asked: Set<N>, signal: AbortSignal): Promise<(NodeHead & { node: N }) | null> {
    const look = async (node: N, seen: Seen) => {
      asked.add(node);
      return { node, ...(await deps.look(node, seen, signal)) };
    };
    try {
      return await endpoints.ask(look, signal, { except: (node) => asked.has(node) });
    } catch (error) {
      if (!(error instanceof NoNodeError)) throw error;
      return null;
    }
  }

  /** A final block that is gone stops the chain: one node's word is not enough where there are others. */
  async function secondOpinion(request: PollRequest, first: Polled<N, T>): Promise<T> {
    try {
      const { outcome } = await pollFrom(request, { except: (node) => node === first.node });
      if (outcome.kind === 'reorg') return outcome;
      const { height } = request.cursor;
      endpoints.distrust(first.node.host, `it has another block at ${height}, which is final elsewhere`);
      return outcome;
    } catch (error) {
      if (!(error instanceof NoNodeError)) throw error;
      return first.outcome;
    }
  }

  return poll;
}

/** @throws whatever is not for want of a node. */
export function failedBy(error: unknown, signal: AbortSignal, clock: Clock): Failed {
  if (signal.aborted) return { kind: 'failed', reason: 'stopped', retryAt: clock() };
  if (!(error instanceof NoNodeError)) throw error;
  return { kind: 'failed', reason: error.message, retryAt: error.retryAt };
}
