import { type Clock, steadyClock } from '../clock.ts';
import type { ChainConfig } from '../config.ts';
import type { Network } from '../core/networks.ts';
import type { Logger } from '../log.ts';
import type { ChainState } from '../storage/chains/chains.ts';

/**
 * Finality that has not advanced for so long, ms, has stalled. BSC's trails by seconds; Ethereum's advances once an
 * epoch, every 6.4 minutes.
 */
export const finalityStalledMs: Record<Network, number> = {
  bsc: 60_000,
  ethereum: 20 * 60_000,
  tron: 5 * 60_000,
};

/** How often it is said while it lasts, ms. */
const repeatMs = 60_000;

export type FinalityAlarm = {
  /** Told of the chain after each reading. */
  note(state: ChainState): void;
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

  function note({ finalizedHeight, head }: ChainState): void {
    if (chain.finality !== 'finalized' || finalizedHeight === null) return;
    const now = clock();
    if (last === null || finalizedHeight > last.finalized) {
      if (saidAt !== null) log.info({ finalized: finalizedHeight, head: head.height }, 'finality resumed');
      last = { finalized: finalizedHeight, head: head.height, at: now };
      saidAt = null;
      return;
    }
    // A chain that makes no blocks finalizes none.
    if (head.height <= last.head || now - last.at < finalityStalledMs[chain.network]) return;
    if (saidAt !== null && now - saidAt < repeatMs) return;
    saidAt = now;
    const stalledSeconds = Math.floor((now - last.at) / 1000);
    log.warn(
      { finalized: finalizedHeight, head: head.height, stalled_seconds: stalledSeconds },
      'finality stalled',
    );
  }

  return { note };
}
