import type { ProvenBlock } from './validate.ts';

/** Blocks that are asked for while those before them are written down. */
export type Prefetch = {
  /** Asks for the ranges of `count` blocks that follow from this height on and end at `upTo`; what is under way stays. */
  ask(wanted: { from: number; upTo: number; count: number }, read: ReadRange): void;
  /** The blocks from this height on, if they were asked for and are fresh; null if not. */
  take(from: number): Promise<ProvenBlock[]> | null;
  forget(): void;
};

/** Reads a range. The infos of its blocks are not asked for before `turn`, when the range before has its own. */
export type ReadRange = (range: {
  from: number;
  count: number;
  turn: Promise<void>;
  signal: AbortSignal;
}) => Promise<ProvenBlock[]>;

type Range = {
  from: number;
  count: number;
  blocks: Promise<ProvenBlock[]>;
  /** When the answer came; null before. */
  answeredAt: number | null;
  stop: AbortController;
};

/** While the infos of one range are on their way, so are the blocks of the next. */
const mostRanges = 2;

/** What came longer ago than this is asked anew, ms. */
const freshMs = 10_000;

export function createPrefetch(): Prefetch {
  /** In their order, without a gap. */
  let ranges: Range[] = [];
  /** The last one that was asked for, whoever has taken it. */
  let latest = Promise.resolve();

  function forget(): void {
    for (const { stop } of ranges) stop.abort();
    ranges = [];
  }

  function start(from: number, count: number, read: ReadRange): void {
    const stop = new AbortController();
    const blocks = read({ from, count, turn: latest, signal: stop.signal });
    const answered = () => {
      range.answeredAt = performance.now();
    };
    const range: Range = { from, count, blocks, answeredAt: null, stop };
    // Whoever takes them is told of an error; nobody may.
    latest = blocks.then(answered, answered);
    ranges.push(range);
  }

  return {
    ask({ from, upTo, count }, read) {
      if (ranges[0] !== undefined && ranges[0].from !== from) forget();
      const last = ranges.at(-1);
      let next = last === undefined ? from : last.from + last.count;
      for (; ranges.length < mostRanges && next + count - 1 <= upTo; next += count) start(next, count, read);
    },
    take(from) {
      const [range] = ranges;
      const ageMs = performance.now() - (range?.answeredAt ?? Number.POSITIVE_INFINITY);
      if (range === undefined || range.from !== from || ageMs > freshMs) {
        forget();
        return null;
      }
      ranges.shift();
      return range.blocks;
    },
    forget,
  };
}
