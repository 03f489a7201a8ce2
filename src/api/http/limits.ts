import type { Clock } from '../../clock.ts';

export type Allowance = {
  limit: number;
  /** Requests that may follow at once. */
  remaining: number;
  /** Until the full limit is there again, whole seconds. */
  resetSeconds: number;
  /** Null when this request is allowed. */
  retryAfterSeconds: number | null;
};

export type Limiter = (caller: string) => Allowance;

/** Callers remembered before those who have been silent are forgotten. */
const manyCallers = 10_000;

/** A token bucket for each caller: `perSecond` requests at once, and as many again in every second. */
export function createLimiter({ perSecond, clock }: { perSecond: number; clock: Clock }): Limiter {
  const buckets = new Map<string, { tokens: number; at: number }>();

  const refilled = (bucket: { tokens: number; at: number }, now: number) =>
    Math.min(perSecond, bucket.tokens + (Math.max(0, now - bucket.at) * perSecond) / 1000);

  function forgetSilent(now: number): void {
    for (const [caller, bucket] of buckets) if (refilled(bucket, now) >= perSecond) buckets.delete(caller);
  }

  return (caller) => {
    const now = clock();
    let bucket = buckets.get(caller);
    if (bucket === undefined) {
      if (buckets.size >= manyCallers) forgetSilent(now);
      bucket = { tokens: perSecond, at: now };
      buckets.set(caller, bucket);
    }
    bucket.tokens = refilled(bucket, now);
    bucket.at = now;
    const allowed = bucket.tokens >= 1;
    if (allowed) bucket.tokens -= 1;
    return {
      limit: perSecond,
      remaining: Math.floor(bucket.tokens),
      resetSeconds: Math.ceil((perSecond - bucket.tokens) / perSecond),
      retryAfterSeconds: allowed ? null : Math.max(1, Math.ceil((1 - bucket.tokens) / perSecond)),
    };
  };
}
