import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { NodeFault } from '../../src/nodes/fault.ts';
import { createRangeControl, type RangeControl } from '../../src/nodes/log-range.ts';

test('a range that the node names is taken at once and never exceeded', () => {
  const range = createRangeControl(null);
  const limits: NodeFault = { kind: 'too-wide', blocks: 50 };
  expect(range.refused(range.width(), limits)).toBe(true);
  expect(range.width()).toBe(50);
  for (let i = 0; i < 400; i++) range.served(range.width(), 0);
  expect(range.width()).toBe(50);
});

test('a range that the node does not name is found by halving, and approached again from below', () => {
  const range = createRangeControl(null);
  const { refusals, asked } = readOn(range, 1_400_000, (blocks) => blocks <= 3500);
  expect(range.width()).toBeGreaterThan(3300);
  expect(Math.max(...asked.slice(20))).toBeLessThanOrEqual(3500);
  expect(refusals).toBeLessThanOrEqual(5);
});

test('nothing is narrower than one block', () => {
  const range = createRangeControl(null);
  for (let i = 0; range.refused(range.width(), { kind: 'too-much' }); i++) expect(i).toBeLessThan(15);
  expect(range.width()).toBe(1);
});

test('a node that refuses even one block was overloaded: it says nothing about wider queries', () => {
  const range = createRangeControl(null);
  for (let i = 0; range.refused(range.width(), { kind: 'too-much' }); i++) expect(i).toBeLessThan(15);
  for (let i = 0; i < 20; i++) range.served(range.width(), 0);
  expect(range.width()).toBe(10_000);
});

test('what fails without a word about the range is asked for half as much, and for more again only after a while', () => {
  const range = createRangeControl(null);
  const late: NodeFault = { kind: 'unavailable', retryAfterMs: null, late: true };
  const { asked, refusals } = readOn(range, 100_000, (blocks) => blocks <= 60, 0, late);
  expect(asked.slice(0, 3)).toEqual([200, 100, 50]);
  expect(asked.slice(2, 18)).toEqual(Array(16).fill(50));
  // Each failure may be a time-out of ten seconds.
  expect(refusals).toBeLessThanOrEqual(asked.length / 100);
  const after = readOn(range, 2_000_000, () => true, 0, late);
  expect(after.refusals).toBe(0);
  expect(range.width()).toBe(10_000);
});

test('a limit that is gone is found to be gone', () => {
  const range = createRangeControl(null);
  range.refused(range.width(), { kind: 'too-wide', blocks: 10 });
  for (let i = 0; i < 600; i++) range.served(range.width(), 0);
  expect(range.width()).toBe(10_000);
});

test('the configured limit is never exceeded', () => {
  const range = createRangeControl(1000);
  for (let i = 0; i < 2000; i++) range.served(range.width(), 0);
  expect(range.width()).toBe(1000);
  expect(createRangeControl(5).width()).toBe(5);
});

test('full blocks are read in pieces of about ten thousand logs', () => {
  const range = createRangeControl(null);
  for (let i = 0; i < 20; i++) range.served(range.width(), range.width() * 70);
  expect(range.width() * 70).toBeGreaterThan(9_000);
  expect(range.width() * 70).toBeLessThanOrEqual(10_000);
});

test('short queries near the head teach nothing about long ones', () => {
  const range = createRangeControl(null);
  const before = range.width();
  for (let i = 0; i < 100; i++) range.served(3, 0);
  expect(range.width()).toBe(before);
});

test('E2: whatever a node allows, a long way is read with few calls more than needed and few refusals', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20_000 }), (limit) => {
      const range = createRangeControl(null);
      const { refusals, asked } = readOn(range, limit * 200, (blocks) => blocks <= limit);
      const needed = (limit * 200) / Math.min(limit, 10_000);
      expect(refusals).toBeLessThanOrEqual(14);
      expect(asked.length).toBeLessThanOrEqual(needed * 1.1 + 60);
    }),
  );
});

test('E2: however full the blocks are, a tenth more calls than the range and ten thousand logs at a time need', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 20_000 }),
      fc.integer({ min: 0, max: 5_000 }),
      (limit, perBlock) => {
        const range = createRangeControl(null);
        const blocks = 20_000;
        const { asked, refusals } = readOn(range, blocks, (wide) => wide <= limit, perBlock);
        const widest = Math.min(limit, 10_000);
        // A block is read whole, however many logs it holds.
        const fit = perBlock === 0 ? widest : Math.max(1, Math.floor(10_000 / perBlock));
        const needed = blocks / Math.min(widest, fit);
        // A refusal is forgotten after 500 answers, and found again.
        expect(refusals).toBeLessThanOrEqual(14 + asked.length / 250);
        expect(asked.length).toBeLessThanOrEqual(needed * 1.1 + 2 * Math.log2(10_000) + 1);
      },
    ),
  );
});

/** Reads `blocks` blocks from a node that serves what `allows`, so many logs for each. */
function readOn(
  range: RangeControl,
  blocks: number,
  allows: (blocks: number) => boolean,
  logsPerBlock = 0,
  fault: NodeFault = { kind: 'too-wide', blocks: null },
) {
  const asked: number[] = [];
  let refusals = 0;
  for (let left = blocks; left > 0; ) {
    const width = Math.min(range.width(), left);
    asked.push(width);
    if (allows(width)) {
      range.served(width, width * logsPerBlock);
      left -= width;
    } else {
      refusals += 1;
      expect(range.refused(width, fault)).toBe(true);
    }
  }
  return { asked, refusals };
}
