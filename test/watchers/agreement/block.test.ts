import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type BlockFacts, decideBlock } from '../../../src/watchers/agreement/block.ts';

/*
 * The table of agreement/block.ts, row by row. What the watcher makes of it is in block-agreement.test.ts.
 */

function facts(
  configured: number,
  ours: number,
  other: number,
  otherPast: number,
  waited: boolean,
): BlockFacts {
  return { configured, ours, other, otherPast, waited };
}

test.each<[string, BlockFacts, ReturnType<typeof decideBlock>]>([
  ['one node alone decides', facts(1, 0, 1, 0, false), 'revert'],
  ['one node alone decides, even if it has our block again', facts(1, 1, 0, 0, false), 'revert'],
  ['one against one: ours stays', facts(2, 1, 1, 1, false), 'keep'],
  ['one against one: ours stays, however long that lasts', facts(2, 1, 1, 1, true), 'keep'],
  ['only ours is left', facts(3, 1, 0, 0, true), 'keep'],
  ['two against two: ours stays', facts(4, 2, 2, 2, true), 'keep'],
  ['two against one: ours goes', facts(3, 1, 2, 0, false), 'revert'],
  ['two, and nobody has ours', facts(2, 0, 2, 0, false), 'revert'],
  ['one, and the others are silent, not for long', facts(2, 0, 1, 1, false), 'wait'],
  ['nobody can say, not for long', facts(3, 0, 0, 0, false), 'wait'],
  ['one that is past our cursor, after the wait', facts(2, 0, 1, 1, true), 'revert alone'],
  ['one that is not past our cursor, after the wait', facts(2, 0, 1, 0, true), 'wait'],
  ['nobody can say, after the wait', facts(3, 0, 0, 0, true), 'wait'],
])('%s', (_, given, verdict) => {
  expect(decideBlock(given)).toBe(verdict);
});

test('one node of several never takes back what was confirmed while another can be asked', () => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 4 }), fc.boolean(), fc.boolean(), (configured, past, waited) => {
      // One lies, at least one honest node has our block.
      const verdict = decideBlock(facts(configured, configured - 1, 1, Number(past), waited));
      expect(verdict).toBe('keep');
    }),
  );
});

test('one node that lies keeps nothing that two others know is gone', () => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 4 }), fc.boolean(), (other, waited) => {
      expect(decideBlock(facts(other + 1, 1, other, other, waited))).toBe('revert');
    }),
  );
});
