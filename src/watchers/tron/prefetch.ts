import type { ProvenBlock } from './validate.ts';

/** Blocks that are asked for while those before them are written down. */
export type Prefetch = {
  /** Asks for the blocks from this height on, if they are not under way. Whatever else was asked before is forgotten. */
  ask(from: number, read: (signal: AbortSignal) => Promise<ProvenBlock[]>): void;
  /** The blocks from this height on, if they were asked for and are fresh; null if not. */
  take(from: number): Promise<ProvenBlock[]> | null;
  forget(): void;
};

type Asked = {
  from: number;
  blocks: Promise<ProvenBlock[]>;
  /** When the answer came; null before. */
  answeredAt: number | null;
  stop: AbortController;
};

/** What came longer ago than this is asked anew, ms. */
const freshMs = 10_000;

export function createPrefetch(): Prefetch {
  let asked: Asked | null = null;

  function forget(): void {
    asked?.stop.abort();
    asked = null;
  }

  return {
    ask(from, read) {
      if (asked?.from === from) return;
      forget();
      const stop = new AbortController();
      const current: Asked = { from, blocks: read(stop.signal), answeredAt: null, stop };
      const answered = () => {
        current.answeredAt = performance.now();
      };
      // Whoever takes them is told of an error; nobody may.
      current.blocks.then(answered, answered);
      asked = current;
    },
    take(from) {
      const known = asked;
      const ageMs = performance.now() - (known?.answeredAt ?? Number.POSITIVE_INFINITY);
      if (known === null || known.from !== from || ageMs > freshMs) {
        forget();
        return null;
      }
      asked = null;
      return known.blocks;
    },
    forget,
  };
}
