import type { BlockHash } from '../../core/chain.ts';

/** When a node's next block can be there at the earliest: a question before that costs a call and tells nothing. */
export type Slots = {
  /** Notes the newest block, at the time (Unix ms) at which the node was first seen to have it. */
  note(block: { hash: BlockHash; timeMs: number }, at: number): void;
  /** Whether no block can follow this one yet. */
  isTooEarly(hash: BlockHash, at: number): boolean;
};

/** Producers of TRON make a block in each slot of so many ms, or none (`BLOCK_PRODUCED_INTERVAL`). */
const slotMs = 3_000;

/** Blocks in a row from which it is known how soon after its slot a block is there, and those that are remembered. */
const enough = 20;
const most = 200;

/** Clocks and timers are as exact as that, ms. */
const slackMs = 100;

export function createSlots(): Slots {
  let delays: number[] = [];
  let last: { hash: BlockHash; timeMs: number; at: number } | null = null;

  return {
    note({ hash, timeMs }, at) {
      // A chain that is faster has no slots; and a clock that was set tells other times than before.
      if (last !== null && (timeMs - last.timeMs < slotMs || at < last.at)) delays = [];
      last = { hash, timeMs, at };
      delays = [...delays, at - timeMs].slice(-most);
    },

    isTooEarly(hash, at) {
      if (last === null || last.hash !== hash || delays.length < enough || at < last.at) return false;
      return at < last.timeMs + slotMs + Math.min(...delays) - slackMs;
    },
  };
}
