import type { BlockRef } from './chain.ts';
import { counted } from './plural.ts';

/*
 * A chain's own time: that of a head, and what has passed since that head was first shown to us. Only differences of a
 * clock of ours enter it, so that a clock that is wrong changes nothing.
 */

/** The head by which a chain's time is told. */
export type TimeReference = {
  head: BlockRef;
  /** When it was first shown, Unix ms: by the database's time, or a clock of this process that nobody sets. */
  shownAt: number;
  /** Since when we have watched new blocks appear, in the same time; null while this head may be older than it looks. */
  watchedSince: number | null;
};

/** A head that a node shows now. */
export type ShownHead = {
  head: BlockRef;
  at: number;
  /**
   * `first`: since we began to watch, and nobody knows for how long it has stood there. `standing`: no block has appeared
   * since. `appeared`: it was made while we watched.
   */
  news: 'first' | 'standing' | 'appeared';
};

/** After this long, ms, a reference gives way to whatever heads there are: clocks do not run alike for ever. */
const referenceMs = 10 * 60_000;

/** Money mined this long before the lock, ms, still counts: what tells the time is not exact. */
export const lockSlackMs = 5_000;

/** Unix ms in the chain's own time. */
export function chainTimeAt({ head, shownAt }: TimeReference, now: number): number {
  return head.time * 1000 + Math.max(0, now - shownAt);
}

/**
 * Which head tells the time from now on: the one by which it is latest. A head that reaches us late, as from a node that
 * trails, would set the time back.
 */
export function nextReference(known: TimeReference | null, { head, at, news }: ShownHead): TimeReference {
  // What was noted before, by another process perhaps, may be of a clock that was set since.
  if (known === null || news === 'first') return { head, shownAt: at, watchedSince: null };
  const watchedSince = news === 'appeared' ? (known.watchedSince ?? at) : null;
  const later = head.time * 1000 >= chainTimeAt(known, at);
  if (later || at - known.shownAt > referenceMs) return { head, shownAt: at, watchedSince };
  return { ...known, watchedSince };
}

/** The chain's time is known well enough to judge a clock by it after this long of watching blocks appear, ms. */
const judgedAfterMs = 60_000;

/** A clock that is off by more, ms, is wrong; by so much more, no payment is made by it. */
export const skewLimits = { warnMs: 30_000, refuseMs: 120_000 } as const;

/** How far `clock` is ahead of the chain's time at `now`, ms; null while that is not known. */
export function clockSkew(
  reference: TimeReference,
  { now, clock }: { now: number; clock: number },
): number | null {
  const { watchedSince } = reference;
  if (watchedSince === null || now - watchedSince < judgedAfterMs) return null;
  return clock - chainTimeAt(reference, now);
}

/** Said of a clock that is wrong; null when it is not, or nobody knows. */
export function describeSkew(skewMs: number | null, limitMs: number): string | null {
  if (skewMs === null || Math.abs(skewMs) <= limitMs) return null;
  const seconds = Math.round(Math.abs(skewMs) / 1000);
  return `our clock is ${counted(seconds, 'second')} ${skewMs > 0 ? 'ahead of' : 'behind'} the chain's time`;
}
