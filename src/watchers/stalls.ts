import { type Clock, steadyClock } from '../clock.ts';
import type { ChainConfig } from '../config.ts';
import type { Logger } from '../log.ts';
import type { ChainState } from '../storage/chains/chains.ts';
import type { Span } from './source.ts';

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
export function createStandstill(deps: {
  chain: Pick<ChainConfig, 'stallSeconds' | 'finalityStallSeconds'>;
  clock: Clock;
  log: Logger;
}): Standstill {
  const { chain, log } = deps;
  const questionMs = chain.stallSeconds * 1000;
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
      log.info({ head: head.height }, 'chain recovered');
      reportedAt = null;
    }
    const stoodMs = now - risenAt.head;
    const unfinalized =
      finalizedHeight !== null && now - risenAt.finalized >= chain.finalityStallSeconds * 1000;
    const stands = stoodMs >= questionMs;
    if (!stands && !unfinalized) return false;
    // A chain that stands still for good is no reason to ask others as often as the first.
    const pauseMs = stands && stoodMs < 2 * reportMs ? questionMs : reportMs;
    if (now - questionedAt < pauseMs) return false;
    questionedAt = now;
    return true;
  }

  function confirm({ head }: Shown): void {
    const now = clock();
    const stoodMs = now - risenAt.head;
    if (stoodMs < reportMs || (reportedAt !== null && now - reportedAt < reportMs)) return;
    reportedAt = now;
    log.warn({ head: head.height, seconds: Math.floor(stoodMs / 1000) }, 'chain stalled');
  }

  return { suspects, confirm };
}

export type FinalityAlarm = {
  /** Told of the chain after each reading. */
  note(shown: Pick<ChainState, 'head' | 'finalizedHeight'>): void;
};

/**
 * Says so when a chain goes on and finalizes nothing any more: its payments wait, and only its validators can change
 * that. Of a chain that is confirmed by depth nothing waits.
 */
export function createFinalityAlarm(deps: { chain: ChainConfig; clock: Clock; log: Logger }): FinalityAlarm {
  const { chain, log } = deps;
  const clock = steadyClock(deps.clock);
  let last: { finalized: number; head: number; at: number } | null = null;
  let saidAt: number | null = null;

  function note({ finalizedHeight, head }: Pick<ChainState, 'head' | 'finalizedHeight'>): void {
    if (chain.finality !== 'finalized' || finalizedHeight === null) return;
    const now = clock();
    if (last === null || finalizedHeight > last.finalized) {
      if (saidAt !== null) log.info({ finalized: finalizedHeight, head: head.height }, 'finality resumed');
      last = { finalized: finalizedHeight, head: head.height, at: now };
      saidAt = null;
      return;
    }
    // A chain that makes no blocks finalizes none.
    if (head.height <= last.head || now - last.at < chain.finalityStallSeconds * 1000) return;
    if (saidAt !== null && now - saidAt < reportMs) return;
    saidAt = now;
    const stalledSeconds = Math.floor((now - last.at) / 1000);
    log.warn(
      { finalized: finalizedHeight, head: head.height, stalled_seconds: stalledSeconds },
      'finality stalled',
    );
  }

  return { note };
}

/** Reading blocks older than this, ms, while newer ones wait is being behind. */
const lagMs = 60_000;

export type LagAlarm = {
  /** Told of the chain after each reading. */
  note(state: Pick<ChainState, 'head' | 'cursor'>): void;
};

/** Says once a minute, as long as it lasts, that reading is behind the chain. */
export function createLagAlarm({ clock, log }: { clock: Clock; log: Logger }): LagAlarm {
  const steady = steadyClock(clock);
  let saidAt = Number.NEGATIVE_INFINITY;

  function note({ cursor, head }: Pick<ChainState, 'head' | 'cursor'>): void {
    const behindMs = clock() - cursor.time * 1000;
    if (head.height === cursor.height || behindMs < lagMs || steady() - saidAt < reportMs) return;
    saidAt = steady();
    const behindSeconds = Math.floor(behindMs / 1000);
    log.warn({ height: cursor.height, head: head.height, behind_seconds: behindSeconds }, 'chain behind');
  }

  return { note };
}
