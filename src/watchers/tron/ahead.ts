import type { ProvenBlock } from './validate.ts';

/** Blocks that are asked for while those before them are written down. */
export type Ahead = {
  /** Asks for the blocks from this height on. Whatever was asked before is forgotten. */
  ask(from: number, read: (signal: AbortSignal) => Promise<ProvenBlock[]>): void;
  /** The blocks from this height on, if they were asked for a moment ago; null if not. */
  take(from: number): Promise<ProvenBlock[]> | null;
  forget(): void;
};

/** What was asked longer ago than this is asked anew, ms. */
const freshMs = 10_000;

export function createAhead(): Ahead {
  let asked: { from: number; at: number; blocks: Promise<ProvenBlock[]>; stop: AbortController } | null =
    null;

  function forget(): void {
    asked?.stop.abort();
    asked = null;
  }

  return {
    ask(from, read) {
      forget();
      const stop = new AbortController();
      const blocks = read(stop.signal);
      // Whoever takes them is told; nobody may.
      blocks.catch(() => {});
      asked = { from, at: performance.now(), blocks, stop };
    },
    take(from) {
      const known = asked;
      if (known === null || known.from !== from || performance.now() - known.at > freshMs) {
        forget();
        return null;
      }
      asked = null;
      return known.blocks;
    },
    forget,
  };
}
