import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decideFinalBlock } from '../../../src/watchers/agreement/final-block.ts';

describe('a final block that a node has replaced', () => {
  test.each([
    [
      'is replaced where one node is configured',
      { configured: 1, ours: 0, other: 1, waited: false },
      'replaced',
    ],
    ['stands while one node has it', { configured: 3, ours: 1, other: 2, waited: true }, 'stands'],
    [
      'is replaced when two have the same other one',
      { configured: 3, ours: 0, other: 2, waited: false },
      'replaced',
    ],
    [
      'is replaced by the word of one when all others were silent for the wait',
      { configured: 2, ours: 0, other: 1, waited: true },
      'replaced alone',
    ],
    ['waits until then', { configured: 2, ours: 0, other: 1, waited: false }, 'wait'],
    ['waits while nobody says anything', { configured: 2, ours: 0, other: 0, waited: true }, 'wait'],
  ] as const)('%s', (_, facts, verdict) => {
    expect(decideFinalBlock(facts)).toBe(verdict);
  });

  test('is never replaced by one liar beside a node that answers', () => {
    const facts = fc.record({
      configured: fc.integer({ min: 2, max: 5 }),
      ours: fc.integer({ min: 1, max: 4 }),
      other: fc.constantFrom(0, 1),
      waited: fc.boolean(),
    });
    fc.assert(fc.property(facts, (given) => decideFinalBlock(given) === 'stands'));
  });
});
