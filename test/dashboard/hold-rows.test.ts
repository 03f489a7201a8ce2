import fc from 'fast-check';
import { expect, test } from 'vitest';
import { holdRows } from '../../dashboard/src/hold-rows.ts';

const keyOf = (row: number) => row;
const hold = (shown: number[], newer: number[], hasMore = false) =>
  holdRows(shown, newer, { keyOf, hasMore });

test('new rows wait, those that are gone go, and what a full page pushes off its end stays', () => {
  expect(hold([], [3, 2, 1])).toEqual({ rows: [3, 2, 1], arrived: 0, more: false });
  expect(hold([2, 1], [4, 3, 2, 1])).toEqual({ rows: [2, 1], arrived: 2, more: false });
  expect(hold([3, 2, 1], [4, 3, 1])).toEqual({ rows: [3, 1], arrived: 1, more: false });
  // The page holds three.
  expect(hold([3, 2, 1], [4, 3, 2], true)).toEqual({ rows: [3, 2, 1], arrived: 1, more: false });
  expect(hold([3, 2, 1], [6, 5, 4], true)).toEqual({ rows: [3, 2, 1], arrived: 3, more: true });
  expect(hold([3, 2, 1], [6, 5, 4])).toEqual({ rows: [6, 5, 4], arrived: 0, more: false });
  // An older one moves up where one has gone.
  expect(hold([4, 3, 2], [4, 2, 1], true)).toEqual({ rows: [4, 2, 1], arrived: 0, more: false });
});

test('whatever comes and goes, no row is shown twice, rows keep their order, and none is there that has no place', () => {
  const ids = fc
    .uniqueArray(fc.nat({ max: 30 }), { maxLength: 20 })
    .map((all) => all.toSorted((a, b) => b - a));
  fc.assert(
    fc.property(ids, ids, fc.nat({ max: 12 }), (shown, all, limit) => {
      const newer = all.slice(0, limit);
      const hasMore = all.length > limit;
      const { rows, arrived } = hold(shown, newer, hasMore);
      expect(rows).toEqual([...new Set(rows)].toSorted((a, b) => b - a));
      // What is there and newer than the last that is shown is shown, or told.
      const last = rows.at(-1) ?? Number.POSITIVE_INFINITY;
      const untold = newer.filter((row) => row > last && !rows.includes(row));
      expect(arrived).toBeGreaterThanOrEqual(untold.length);
      if (!hasMore) for (const row of rows) expect(all).toContain(row);
    }),
  );
});
