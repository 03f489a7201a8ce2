import type { BlockRef } from '../../core/chain.ts';

/**
 * How fast a chain makes blocks, by when their heads were seen: it says which block must
 * exist by now, so that its logs can be asked for in the request that proves it.
 */
export type Tempo = {
  /** Notes the head that a node showed now (Unix ms). */
  note(head: BlockRef, at: number): void;
  /** The height that the chain must have reached; that of `head` where nothing is known, or this is not the head seen last. */
  expected(head: BlockRef, now: number): number;
  /** Notes that a block was not there yet. */
  missed(): void;
  /** Notes that there were more blocks than expected. */
  exceeded(): void;
};

/** Heads seen, from which the time of a block is measured. */
const mostSightings = 128;

/** Of which so many of the last say where the chain is: over more of them an error in the time of a block adds up. */
const lookBack = 32;

/** Blocks, and sightings, from which their time is known well enough. */
const enoughBlocks = 8;

/** Timers and clocks are as exact as that, ms. */
const slackMs = 20;

/**
 * A chain that was not seen to move for so many blocks' time, and for so long, ms, may stand still: at rest it is seen
 * once a minute. Of blocks that came in a burst the time says less the faster they came.
 */
const mostExpected = 50;
const longestPauseMs = 90_000;
const mostAtRest = 250;

/** What is held back, in blocks, grows by this after each block that was not there, and shrinks after one that was not expected. */
const heldBackStep = 0.02;

export function createTempo(): Tempo {
  let sightings: { height: number; at: number }[] = [];
  let heldBack = 0;

  /** How long the last sighting says something of now, ms. */
  const longest = (ms: number) => Math.max(mostExpected * ms, Math.min(mostAtRest * ms, longestPauseMs));

  /** Ms, by the line that fits the sightings best: each is late by up to a block. Null where it is not known. */
  function blockMs(): number | null {
    const [first] = sightings;
    const last = sightings.at(-1);
    if (first === undefined || last === undefined || last.height - first.height < enoughBlocks) return null;
    const count = sightings.length;
    if (count < enoughBlocks) return null;
    const meanHeight = sightings.reduce((sum, { height }) => sum + height - first.height, 0) / count;
    const meanAt = sightings.reduce((sum, { at }) => sum + at - first.at, 0) / count;
    let together = 0;
    let spread = 0;
    for (const { height, at } of sightings) {
      const offset = at - first.at - meanAt;
      together += offset * (height - first.height - meanHeight);
      spread += offset * offset;
    }
    return together > 0 && spread > 0 ? spread / together : null;
  }

  return {
    note({ height }, at) {
      const last = sightings.at(-1);
      if (last !== undefined && height === last.height) return;
      const ms = blockMs() ?? Number.POSITIVE_INFINITY;
      // A lower head is of a node that is behind, or of another branch; what was before a long pause, or a clock that was
      // set back, says nothing of now.
      if (last !== undefined && (height < last.height || at < last.at || at - last.at > longest(ms)))
        sightings = [];
      sightings.push({ height, at });
      if (sightings.length > mostSightings) sightings.shift();
    },

    expected(head, now) {
      const last = sightings.at(-1);
      const ms = blockMs();
      if (last === undefined || ms === null || last.height !== head.height || now < last.at)
        return head.height;
      if (now - last.at > longest(ms)) return head.height;
      const heights = sightings
        .slice(-lookBack)
        .map(({ height, at }) => Math.floor(height + (now - at + slackMs) / ms - heldBack));
      return Math.max(head.height, ...heights);
    },

    missed() {
      heldBack = Math.min(1, heldBack + heldBackStep);
    },

    exceeded() {
      heldBack = Math.max(0, heldBack - heldBackStep);
    },
  };
}
