import { describe, expect, test } from 'vitest';
import { createPrefetch, type ReadRange } from '../../../src/watchers/tron/prefetch.ts';
import type { ProvenBlock } from '../../../src/watchers/tron/validate.ts';

type Asked = Parameters<ReadRange>[0] & { answer(): void; fail(): void };

const heights = (asked: readonly Asked[]) => asked.map(({ from, count }) => [from, from + count - 1]);

/** Answers when told to. */
function slowNode() {
  const asked: Asked[] = [];
  const read: ReadRange = (range) => {
    const { promise, resolve, reject } = Promise.withResolvers<ProvenBlock[]>();
    asked.push({ ...range, answer: () => resolve([]), fail: () => reject(new Error('it broke')) });
    return promise;
  };
  return { asked, read };
}

describe('blocks that are asked for before they are wanted', () => {
  test('are two ranges at most, whole ones, and none beyond where they may go', () => {
    const { asked, read } = slowNode();
    createPrefetch().ask({ from: 11, upTo: 29, count: 10 }, read);
    createPrefetch().ask({ from: 11, upTo: 99, count: 10 }, read);
    expect(heights(asked)).toEqual([
      [11, 20],
      [11, 20],
      [21, 30],
    ]);
  });

  test('are asked for once, taken once, and followed by the next', async () => {
    const { asked, read } = slowNode();
    const prefetch = createPrefetch();
    prefetch.ask({ from: 11, upTo: 99, count: 10 }, read);
    const taken = prefetch.take(11);
    asked[0]?.answer();
    expect(await taken).toEqual([]);
    prefetch.ask({ from: 21, upTo: 99, count: 10 }, read);
    expect(heights(asked)).toEqual([
      [11, 20],
      [21, 30],
      [31, 40],
    ]);
    expect(asked.every(({ signal }) => !signal.aborted)).toBe(true);
    expect(prefetch.take(11)).toBeNull();
  });

  test('are given up where others are wanted, or asked for', () => {
    const { asked, read } = slowNode();
    const prefetch = createPrefetch();
    prefetch.ask({ from: 11, upTo: 99, count: 10 }, read);
    // Fewer came before them than were asked for.
    expect(prefetch.take(8)).toBeNull();
    prefetch.ask({ from: 11, upTo: 99, count: 10 }, read);
    prefetch.ask({ from: 15, upTo: 99, count: 10 }, read);
    expect(heights(asked.filter(({ signal }) => !signal.aborted))).toEqual([
      [15, 24],
      [25, 34],
    ]);
  });

  test('wait with their infos until the range before has its own, whether it gets them or not', async () => {
    for (const how of ['answer', 'fail'] as const) {
      const { asked, read } = slowNode();
      const prefetch = createPrefetch();
      prefetch.ask({ from: 11, upTo: 99, count: 10 }, read);
      let turn = false;
      void asked[1]?.turn.then(() => {
        turn = true;
      });
      await asked[0]?.turn;
      expect(turn).toBe(false);
      // It fails for whoever wants it, and for nobody else.
      const taken = prefetch.take(11)?.catch((error: Error) => error.message);
      asked[0]?.[how]();
      expect(await taken).toEqual(how === 'fail' ? 'it broke' : []);
      await asked[1]?.turn;
      expect(turn).toBe(true);
    }
  });
});
