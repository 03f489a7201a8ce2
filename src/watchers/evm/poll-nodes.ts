import type { Clock } from '../../clock.ts';
import type { BlockRef } from '../../core/chain.ts';
import type { Logger } from '../../log.ts';
import { type AskOptions, type Endpoints, NoNodeError, type Seen } from '../../nodes/failover.ts';
import { behind } from '../../nodes/fault.ts';
import type { PollOutcome, PollRequest, Span } from '../source.ts';
import { createStandstill } from '../stalls.ts';
import type { AskFresh, Fresh } from './inclusion.ts';
import type { ContractPayments } from './internal-transfers.ts';
import type { EvmNode } from './node.ts';
import type { ReadContext } from './plan.ts';
import { needsOf, type ReadOutcome, readSpan } from './poll.ts';
import { createTempo } from './tempo.ts';

type PollDeps = {
  endpoints: Endpoints<EvmNode>;
  context: ReadContext;
  contractPayments: ContractPayments;
  askFresh: AskFresh;
  clock: Clock;
  log: Logger;
};

type Polled = { node: EvmNode; outcome: ReadOutcome };

/** Reading on from the cursor: one node is polled, and another where that one stands still or stands alone. */
export function createPoll(
  deps: PollDeps,
): (request: PollRequest, finalizedHeight: number) => Promise<PollOutcome> {
  const { endpoints, context, contractPayments, askFresh, clock, log } = deps;
  const tempo = createTempo();
  const standstill = createStandstill({ chain: context.chain, clock, log });

  async function poll(request: PollRequest, finalizedHeight: number): Promise<PollOutcome> {
    try {
      const first = await pollWhoGoesOn(request);
      const final = request.cursor.height <= finalizedHeight;
      const doubtful = first.outcome.kind === 'reorg' && final;
      return await contractPayments.addTo(
        doubtful ? await secondOpinion(request, first) : first.outcome,
        request,
      );
    } catch (error) {
      if (request.signal.aborted) return { kind: 'failed', reason: 'stopped', retryAt: clock() };
      if (!(error instanceof NoNodeError)) throw error;
      return { kind: 'failed', reason: error.message, retryAt: error.retryAt };
    }
  }

  async function pollFrom(request: PollRequest, options: AskOptions<EvmNode> = {}): Promise<Polled> {
    const expected = tempo.expected(request.head, clock());
    const read = async (node: EvmNode, seen: Seen) => ({
      node,
      outcome: await readSpan(node, { ...request, expected }, context, seen),
    });
    const polled = await endpoints.ask(read, request.signal, {
      needs: needsOf(request, context),
      ...options,
    });
    if (polled.outcome.kind === 'span') noteTempo(polled.outcome.span, request.head, expected);
    return polled;
  }

  function noteTempo({ head, to }: Span, before: BlockRef, expected: number): void {
    // In a catch-up the head is not asked for.
    if (to.height < before.height) return;
    if (head.height < expected) tempo.missed();
    else if (head.height > expected) tempo.exceeded();
    tempo.note(head, clock());
  }

  /** A node that has come to a halt answers, and nothing it says is wrong: another one shows that the chain goes on. */
  async function pollWhoGoesOn(request: PollRequest): Promise<Polled> {
    const first = await pollFrom(request);
    const { node, outcome } = first;
    if (outcome.kind !== 'span' || !standstill.suspects(outcome.span)) return first;
    const further = await findFurther(node, outcome.span, request.signal);
    if (further === null) {
      standstill.confirm(outcome.span);
      return first;
    }
    endpoints.fault(node, behind(further.reason));
    node.prefetch.forget();
    try {
      return await pollFrom(request, { except: (other) => other !== further.node, aside: false });
    } catch (error) {
      if (!(error instanceof NoNodeError)) throw error;
      return first;
    }
  }

  /** One of the others that is further than this node; null when none of them shows more. */
  async function findFurther(
    standing: EvmNode,
    { head, finalizedHeight }: Span,
    signal: AbortSignal,
  ): Promise<{ node: EvmNode; reason: string } | null> {
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
  async function askAnother(
    asked: Set<EvmNode>,
    signal: AbortSignal,
  ): Promise<(Fresh & { node: EvmNode }) | null> {
    const look = async (node: EvmNode, seen: Seen) => {
      asked.add(node);
      return { node, ...(await askFresh(node, [], seen, signal)) };
    };
    try {
      return await endpoints.ask(look, signal, { except: (node) => asked.has(node) });
    } catch (error) {
      if (!(error instanceof NoNodeError)) throw error;
      return null;
    }
  }

  /** A final block that is gone stops the chain: one node's word is not enough where there are others. */
  async function secondOpinion(request: PollRequest, first: Polled): Promise<ReadOutcome> {
    try {
      const { outcome } = await pollFrom(request, { except: (node) => node === first.node });
      if (outcome.kind === 'reorg') return outcome;
      const { height } = request.cursor;
      endpoints.distrust(first.node, `it has another block at ${height}, which is final elsewhere`);
      return outcome;
    } catch (error) {
      if (!(error instanceof NoNodeError)) throw error;
      return first.outcome;
    }
  }

  return poll;
}
