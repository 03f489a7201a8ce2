import type { Clock } from '../clock.ts';
import type { Sleep } from '../loop.ts';

/** Spaces requests so that no node gets more than it allows. */
export type RequestRate = {
  /** Returns when the next request may be sent; rejects with `signal`'s reason when that aborts first. */
  take(signal: AbortSignal): Promise<void>;
};

export type RequestRateOptions = {
  /** Null: no limit. */
  perSecond: number | null;
  clock: Clock;
  sleep: Sleep;
};

/** A token bucket that holds one second's worth: short bursts pass at once, the average never exceeds the limit. */
export function createRequestRate({ perSecond, clock, sleep }: RequestRateOptions): RequestRate {
  if (perSecond === null) return { take: async (signal) => signal.throwIfAborted() };
  const intervalMs = 1000 / perSecond;
  const burst = Math.max(1, perSecond);
  /** When the bucket would be full again if nothing more were taken. */
  let fullAt = Number.NEGATIVE_INFINITY;
  let takenAt = Number.NEGATIVE_INFINITY;
  return {
    async take(signal) {
      signal.throwIfAborted();
      const now = clock();
      // A clock that was set back must not make anybody wait for as long.
      if (now < takenAt) fullAt -= takenAt - now;
      takenAt = now;
      // Whoever comes first takes the next token, even before it has waited for it.
      fullAt = Math.max(fullAt, now) + intervalMs;
      const waitMs = fullAt - now - burst * intervalMs;
      if (waitMs > 0) await sleep(waitMs, signal);
      signal.throwIfAborted();
    },
  };
}
