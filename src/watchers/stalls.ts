import { type Clock, steadyClock } from '../clock.ts';
import type { Network } from '../core/networks.ts';
import type { Logger } from '../log.ts';
import { finalityStalledMs } from './finality-alarm.ts';
import type { Span } from './source.ts';

/** A head that has not risen for so long, ms, is worth a question to another node: twenty blocks and more, five of Ethereum. */
const questionMs: Record<Network, number> = { bsc: 15_000, ethereum: 60_000, tron: 60_000 };

/** After so long, ms, and as often, it is said. */
const reportMs = 60_000;

/** How far a chain has got, by the word of one node. */
export type Shown = Pick<Span, 'head' | 'finalizedHeight'>;

export type Standstill = {
  /** Told of each poll: whether another node should be asked how far the chain has got. */
  suspects(shown: Shown): boolean;
  /** Nobody shows more. */
  confirm(shown: Shown): void;
};

/**
 * Notices that what a node shows does not rise any more. Nothing it says is wrong, and so it goes on being asked: only
 * another node can tell whether the chain stands still or the node.
 */
export function createStandstill(deps: { network: Network; clock: Clock; log: Logger }): Standstill {
  const { network, log } = deps;
  const clock = steadyClock(deps.clock);
  const last = { head: -1, finalized: -1 };
  const risenAt = { head: 0, finalized: 0 };
  let questionedAt = Number.NEGATIVE_INFINITY;
  let reportedAt: number | null = null;

  function note(what: 'head' | 'finalized', height: number): void {
    if (height > last[what]) risenAt[what] = clock();
    // Not the highest ever: a head that was made up is forgotten like that of a branch that was given up.
    last[what] = height;
  }

  function suspects({ head, finalizedHeight }: Shown): boolean {
    const now = clock();
    note('head', head.height);
    if (finalizedHeight !== null) note('finalized', finalizedHeight);
    if (risenAt.head === now && reportedAt !== null) {
      log.info({ head: head.height }, 'chain goes on');
      reportedAt = null;
    }
    const stoodMs = now - risenAt.head;
    const unfinalized = finalizedHeight !== null && now - risenAt.finalized >= finalityStalledMs[network];
    const stands = stoodMs >= questionMs[network];
    if (!stands && !unfinalized) return false;
    // A chain that stands still for good is no reason to ask others as often as the first.
    const pauseMs = stands && stoodMs < 2 * reportMs ? questionMs[network] : reportMs;
    if (now - questionedAt < pauseMs) return false;
    questionedAt = now;
    return true;
  }

  function confirm({ head }: Shown): void {
    const now = clock();
    const stoodMs = now - risenAt.head;
    if (stoodMs < reportMs || (reportedAt !== null && now - reportedAt < reportMs)) return;
    reportedAt = now;
    log.warn({ head: head.height, seconds: Math.floor(stoodMs / 1000) }, 'chain stands still');
  }

  return { suspects, confirm };
}
