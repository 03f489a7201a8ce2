import { doubled } from '../core/backoff.ts';
import type { NodeFault } from './fault.ts';

/*
 * For how long a node is not asked, by what it did.
 */

const secondMs = 1000;
const minuteMs = 60 * secondMs;

/** The first backoff after a failure, and the longest; it doubles in between. */
const firstBackoffMs = secondMs;
const longestBackoffMs = minuteMs;

/** A node that is merely behind catches up soon. */
const behindBackoffMs = secondMs / 2;
const longestBehindBackoffMs = 30 * secondMs;

/** A node that refuses whatever it is asked may have been reconfigured, or misunderstood. */
const unsupportedBackoffMs = 5 * secondMs;
const longestUnsupportedBackoffMs = 10 * minuteMs;

/** A node that asks for more than this is asked again after this. */
const longestRetryAfterMs = 60 * minuteMs;

/** While no other node can be asked, the one that comes back is noticed after this at the latest. */
export const longestAloneMs = 15 * secondMs;

/** What a node never serves is worth a new try now and then, for the same reasons. */
const firstLackMs = secondMs;
const longestLackMs = 10 * minuteMs;

const firstDistrustMs = 5 * minuteMs;
const longestDistrustMs = 60 * minuteMs;

/** How long a node is not asked anything after a fault that follows `failures` others in a row. */
export function backoffMs(fault: Exclude<NodeFault, { kind: 'lacks' }>, failures: number): number {
  switch (fault.kind) {
    case 'unavailable':
      if (fault.retryAfterMs !== null && fault.retryAfterMs > 0)
        return Math.min(fault.retryAfterMs, longestRetryAfterMs);
      return doubled(firstBackoffMs, failures, longestBackoffMs);
    case 'behind':
      return doubled(behindBackoffMs, failures, longestBehindBackoffMs);
    case 'unsupported':
    case 'wrong-chain':
    case 'filter-too-long':
      return doubled(unsupportedBackoffMs, failures, longestUnsupportedBackoffMs);
    case 'contradiction':
    case 'too-wide':
    case 'too-much':
    case 'reverted':
      return doubled(firstBackoffMs, failures, longestBackoffMs);
    default:
      return fault satisfies never;
  }
}

/** How long a node is believed not to serve something, having said so `times` times before. */
export function lackMs(times: number): number {
  return doubled(firstLackMs, times, longestLackMs);
}

/** How long a node that contradicted itself is asked only if nobody else can be. */
export function distrustMs(failures: number): number {
  return doubled(firstDistrustMs, failures, longestDistrustMs);
}
