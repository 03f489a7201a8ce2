import { type Clock, steadyClock } from '../clock.ts';
import { clockSkew, skewLimits } from '../core/chain-time.ts';
import type { Logger } from '../log.ts';
import type { ChainState } from '../storage/chains/chains.ts';

/** How often it is said while it lasts, ms. */
const repeatMs = 60_000;

export type SkewAlarm = {
  /** Told of the chain after each reading, with the time in which its state tells when heads were shown. */
  note(state: ChainState, now: number): void;
};

/** Says so when our clock is far from the chain's time. Signatures, expiries and certificates all rest on that clock. */
export function createSkewAlarm(deps: { clock: Clock; log: Logger }): SkewAlarm {
  const { clock, log } = deps;
  const steady = steadyClock(clock);
  let saidAt: number | null = null;

  function note({ time }: ChainState, now: number): void {
    const skewMs = clockSkew(time, { now, clock: clock() });
    if (skewMs === null || Math.abs(skewMs) <= skewLimits.warnMs) {
      if (saidAt !== null && skewMs !== null) {
        saidAt = null;
        log.info({ seconds: Math.round(skewMs / 1000) }, 'clock skew ended');
      }
      return;
    }
    if (saidAt !== null && steady() - saidAt < repeatMs) return;
    saidAt = steady();
    log.warn({ seconds: Math.round(skewMs / 1000) }, 'clock skew');
  }

  return { note };
}
