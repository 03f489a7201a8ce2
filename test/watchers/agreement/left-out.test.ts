import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  decideLeftOut,
  type LeftOutFacts,
  type LeftOutVote,
} from '../../../src/watchers/agreement/left-out.ts';

/*
 * The table of agreement/left-out.ts, row by row.
 */

function verdictOf(facts: Partial<LeftOutFacts>): string {
  const nothing: LeftOutFacts = { third: [], earlier: [], reader: 'denies', confirmed: false, waited: false };
  const verdict = decideLeftOut({ ...nothing, ...facts });
  return verdict.kind === 'disputed' && verdict.byThird ? 'disputed by a third' : verdict.kind;
}

const confirmed = true;
const waited = true;

test.each<[string, Partial<LeftOutFacts>, string]>([
  ['a third node has it', { third: ['has'], earlier: ['denies'] }, 'disputed by a third'],
  ['a third node has it, another denies it', { third: ['denies', 'has'] }, 'disputed by a third'],
  ['the reader has it after all', { third: ['denies'], reader: 'has' }, 'disputed'],
  ['a third node denies it', { third: ['denies'], earlier: ['has'], confirmed }, 'vanished'],
  ['an earlier reader has it', { third: ['silent'], earlier: ['has'], waited }, 'disputed'],
  ['one of the earlier readers has it', { earlier: ['denies', 'has'] }, 'disputed'],
  ['an earlier reader denies it', { third: ['silent'], earlier: ['denies'], confirmed }, 'vanished'],
  [
    'an earlier reader denies it, and the reader cannot say',
    { earlier: ['denies'], reader: 'silent' },
    'vanished',
  ],
  ['there is only the reader', {}, 'vanished'],
  ['there is only the reader, and it is confirmed', { confirmed }, 'vanished'],
  ['all others are silent for long', { third: ['silent'], earlier: ['silent'], waited }, 'vanished'],
  [
    'all others are silent for long, and it is confirmed',
    { earlier: ['silent'], waited, confirmed },
    'undecided',
  ],
  ['all others are silent, not for long', { third: ['silent'] }, 'undecided'],
  ['nobody can say', { earlier: ['silent'], reader: 'silent', waited }, 'undecided'],
  ['there is only the reader, and it cannot say', { reader: 'silent' }, 'undecided'],
])('%s', (_, facts, verdict) => {
  expect(verdictOf(facts)).toBe(verdict);
});

test('one node that lies takes nothing back that the others have, and upholds nothing that two deny', () => {
  const who = fc.constantFrom('third', 'earlier', 'reader');
  const anyVote = fc.constantFrom<LeftOutVote>('has', 'denies', 'silent');
  fc.assert(
    fc.property(who, anyVote, fc.boolean(), fc.boolean(), (liar, lie, mute, isConfirmed) => {
      const vote = (name: string, truth: LeftOutVote): LeftOutVote => {
        if (name === liar) return lie;
        return mute && name === 'earlier' ? 'silent' : truth;
      };
      const votes = (truth: LeftOutVote) => ({
        third: [vote('third', truth)],
        earlier: [vote('earlier', truth)],
        reader: vote('reader', truth),
        confirmed: isConfirmed,
      });
      // It is there: then the reader that leaves it out is the one that lies.
      if (liar === 'reader') expect(verdictOf(votes('has'))).toMatch(/^disputed/);
      // It is not: then whoever reported it was the earlier reader.
      if (liar === 'earlier') expect(verdictOf(votes('denies'))).toBe('vanished');
    }),
  );
});
