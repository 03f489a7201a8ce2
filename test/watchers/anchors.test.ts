import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { surplusAnchors } from '../../src/watchers/anchors.ts';

/** The anchors that are left after reading `blocks` one by one from `start`, thinned every `every` blocks. */
function readOn(start: number, blocks: number, every: number): { kept: number[]; cursor: number } {
  let kept = [start];
  for (let height = start + 1; height <= start + blocks; height++) {
    kept.push(height);
    if (height % every === 0) kept = without(kept, surplusAnchors(kept, height));
  }
  return { kept, cursor: start + blocks };
}

function without(heights: number[], surplus: number[]): number[] {
  const gone = new Set(surplus);
  return heights.filter((height) => !gone.has(height));
}

describe('anchors', () => {
  test('are all kept within 128 blocks of the cursor', () => {
    const { kept, cursor } = readOn(1_000_000, 5_000, 64);
    for (let depth = 0; depth <= 128; depth++) expect(kept).toContain(cursor - depth);
  });

  test('stay few, however long a chain is read', () => {
    expect(readOn(0, 20_000, 64).kept.length).toBeLessThan(128 + 64 + 9 * 9);
  });

  test('always hold one above each depth that is not much deeper: at most a quarter more', () => {
    const { kept, cursor } = readOn(500, 20_000, 64);
    for (const depth of [129, 200, 300, 500, 1_000, 3_000, 9_000, 15_000]) {
      const forkPoint = kept.filter((height) => height <= cursor - depth).at(-1) ?? 0;
      expect((cursor - forkPoint) / depth).toBeLessThanOrEqual(1.25);
    }
  });

  test('reach down to the first block that was read', () => {
    expect(readOn(500, 20_000, 64).kept[0]).toBe(500);
  });

  test('that one thinning leaves are all left by the next at the same cursor', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.nat(1_000_000), { maxLength: 300 }),
        fc.nat(1_000_000),
        (heights, extra) => {
          const cursor = Math.max(0, ...heights) + extra;
          const kept = without(heights, surplusAnchors(heights, cursor));
          expect(surplusAnchors(kept, cursor)).toEqual([]);
        },
      ),
    );
  });

  test('are dropped in the same way whatever the order they come in', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(100_000), { maxLength: 200 }), (heights) => {
        const sorted = heights.toSorted((a, b) => a - b);
        expect(surplusAnchors(heights, 100_000)).toEqual(surplusAnchors(sorted, 100_000));
      }),
    );
  });

  test('are never dropped at the cursor, nor where there is but one', () => {
    expect(surplusAnchors([7], 7)).toEqual([]);
    expect(surplusAnchors([7], 7_000_000)).toEqual([]);
    expect(surplusAnchors([], 7)).toEqual([]);
  });
});
