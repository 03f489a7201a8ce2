import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  blockSecondsOf,
  decideHead,
  isHeightExplained,
  isNear,
} from '../../../src/watchers/agreement/head.ts';
import { testBlock } from '../../support/payments.ts';

describe('a head that needs a second node', () => {
  test.each([
    [
      'is used where one node is configured',
      { configured: 1, near: 0, far: 0, caughtUp: false, waited: false },
      'use',
    ],
    [
      'is used when another node is near it',
      { configured: 3, near: 1, far: 1, caughtUp: false, waited: false },
      'use',
    ],
    [
      'is rejected when no other node is near it',
      { configured: 2, near: 0, far: 1, caughtUp: false, waited: true },
      'reject',
    ],
    [
      'waits for the next reading when the node itself is near them by now',
      { configured: 2, near: 0, far: 1, caughtUp: true, waited: true },
      'wait',
    ],
    [
      'is used alone when all others were silent for the wait',
      { configured: 2, near: 0, far: 0, caughtUp: false, waited: true },
      'use alone',
    ],
    ['waits until then', { configured: 2, near: 0, far: 0, caughtUp: false, waited: false }, 'wait'],
  ] as const)('%s', (_, facts, verdict) => {
    expect(decideHead(facts)).toBe(verdict);
  });

  test('is never used against all who answer', () => {
    const facts = fc.record({
      configured: fc.integer({ min: 2, max: 5 }),
      near: fc.constant(0),
      far: fc.integer({ min: 1, max: 4 }),
      caughtUp: fc.boolean(),
      waited: fc.boolean(),
    });
    fc.assert(fc.property(facts, (given) => decideHead(given) === (given.caughtUp ? 'wait' : 'reject')));
  });
});

describe('what explains a head', () => {
  const head = testBlock(1_000);

  test.each([
    [0, 20, true],
    [0, 21, false],
    [60_000, 20 + 20, true],
    [60_000, 20 + 21, false],
    [-5_000, 21, false],
  ])('after %i ms of blocks every six seconds: %i blocks higher is %s', (elapsedMs, jump, explained) => {
    const expectation = { head, elapsedMs, blockSeconds: 6 };
    expect(isHeightExplained(testBlock(1_000 + jump), expectation)).toBe(explained);
  });

  test('the block time is measured by the blocks that we know', () => {
    expect(blockSecondsOf([testBlock(1_000), testBlock(990), testBlock(500)])).toBe(6);
    expect(blockSecondsOf([testBlock(1_000), testBlock(500, { time: testBlock(1_000).time })])).toBe(0.1);
    expect(blockSecondsOf([testBlock(1_000)])).toBe(0.1);
    expect(blockSecondsOf([])).toBe(0.1);
  });

  test('another node is near it by height and by time', () => {
    expect(isNear(head, testBlock(998))).toBe(true);
    expect(isNear(head, testBlock(979))).toBe(false);
    expect(isNear(head, testBlock(979, { time: head.time }))).toBe(false);
    expect(isNear(head, testBlock(1_000, { time: head.time - 16 }))).toBe(false);
    expect(isNear(head, testBlock(1_000, { time: head.time + 16 }))).toBe(false);
  });
});
