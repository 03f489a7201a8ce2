import type { NodeFault } from './fault.ts';

/** How many blocks one log query to one node may span, learned from what it serves and refuses. */
export type RangeControl = {
  /** Most blocks to ask for now; at least 1. */
  width(): number;
  /** Whether about as many blocks were served before, and not refused since. */
  isServed(asked: number): boolean;
  /** Notes that `asked` blocks were too many. False when there is nothing narrower to ask for. */
  refused(asked: number, fault: NodeFault): boolean;
  /** Notes that `asked` blocks were served, with this many logs. */
  served(asked: number, logs: number): void;
};

/** The widest range worth asking for, and what most paid plans allow. */
const widest = 10_000;

const firstWidth = 200;

/** Logs in one answer beyond which more blocks at a time save nothing and cost memory. */
const enoughLogs = 10_000;

/** After so many answers a refusal is forgotten: limits depend on plans, load and how full the blocks are. */
const memory = 500;

/** The same of a failure that does not speak of the range: twice as many each time that as many blocks fail again. */
const shortMemory = 16;

/**
 * Narrows at once: to what the refusal named, else to the last width that was served, else by half. Widens
 * by doubling until the first refusal, then halfway to what was refused, until that is a sixteenth away. What fails
 * without a word about the range costs a time-out each time: then it stays narrow until that is forgotten.
 */
export function createRangeControl(maxLogRange: number | null): RangeControl {
  const cap = Math.min(widest, maxLogRange ?? widest);
  let width = Math.min(firstWidth, cap);
  let lastServed = 0;
  let refusedAt = Number.POSITIVE_INFINITY;
  let servedSince = 0;
  let patience = memory;
  /** The width at which a query failed last without saying why; null when it said so. */
  let failedAt: number | null = null;

  return {
    width: () => width,
    isServed: (asked) => asked * 2 <= lastServed * 3,

    refused(asked, fault) {
      if (asked <= 1) {
        // Then it was not the range that was too much, nor any of those refused before.
        refusedAt = Number.POSITIVE_INFINITY;
        return false;
      }
      const named =
        fault.kind === 'too-wide' && fault.blocks !== null && fault.blocks < asked ? fault.blocks : null;
      const known = lastServed > 0 && lastServed < asked ? lastServed : null;
      width = Math.max(1, named ?? known ?? Math.floor(asked / 2));
      const speaksOfRange = fault.kind === 'too-wide' || fault.kind === 'too-much';
      if (speaksOfRange) patience = memory;
      else patience = known !== null && failedAt === asked ? Math.min(memory, patience * 2) : shortMemory;
      failedAt = speaksOfRange ? null : asked;
      refusedAt = named === null ? asked : named + 1;
      // Should that be refused too, it says nothing any more.
      lastServed = 0;
      servedSince = 0;
      return true;
    },

    served(asked, logs) {
      const enough = logs === 0 ? cap : Math.max(1, Math.floor((enoughLogs / logs) * asked));
      if (asked > enough) {
        width = Math.min(width, enough);
        return;
      }
      // A query that was narrower than allowed says nothing about wider ones.
      if (asked < width) return;
      lastServed = asked;
      servedSince += 1;
      if (servedSince >= patience) refusedAt = Number.POSITIVE_INFINITY;
      const waits = failedAt !== null && asked < failedAt && refusedAt !== Number.POSITIVE_INFINITY;
      width = Math.min(waits ? asked : wider(asked, refusedAt), cap, enough);
    },
  };
}

/** Halfway to what was refused, until that is close: the last few blocks would cost more refusals than they save. */
function wider(served: number, refusedAt: number): number {
  if (refusedAt === Number.POSITIVE_INFINITY) return served * 2;
  const gap = refusedAt - served;
  return gap > served >> 4 ? served + Math.floor(gap / 2) : served;
}
