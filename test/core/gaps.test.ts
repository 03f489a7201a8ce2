import fc from 'fast-check';
import { expect, test } from 'vitest';
import { gapWarning, reportGaps } from '../../src/core/gaps.ts';

const at = (text: string) =>
  [...text].flatMap((mark, index) => (mark === '.' ? [] : [{ index, used: mark === 'x' }]));

test.each([
  ['nothing derived', '', { derived: 0, used: 0, skipped: 0, longestGap: 0 }],
  ['all used', 'xxx', { derived: 3, used: 3, skipped: 0, longestGap: 0 }],
  ['a gap before the first use', '--x', { derived: 3, used: 1, skipped: 0, longestGap: 2 }],
  ['a gap between', 'x---x-x', { derived: 7, used: 3, skipped: 0, longestGap: 3 }],
  ['a gap at the end', 'x-x----', { derived: 7, used: 2, skipped: 0, longestGap: 4 }],
  [
    'an index passed over is nothing a wallet finds',
    'x.-x',
    { derived: 3, used: 2, skipped: 1, longestGap: 2 },
  ],
  ['never used', '----', { derived: 4, used: 0, skipped: 0, longestGap: 4 }],
])('%s', (_, text, expected) => {
  expect(reportGaps(at(text), text.length)).toEqual(expected);
});

test('a wallet that looks one further than the longest gap finds every used address', () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[x.-]{0,80}$/), (text) => {
      const { longestGap } = reportGaps(at(text), text.length);
      let unused = 0;
      let found = 0;
      for (let index = 0; index < text.length && unused < longestGap + 1; index++) {
        unused = text[index] === 'x' ? 0 : unused + 1;
        found += text[index] === 'x' ? 1 : 0;
      }
      expect(found).toBe([...text].filter((mark) => mark === 'x').length);
    }),
  );
});

test('the owner is warned once wallets with the usual limit would miss money', () => {
  expect(gapWarning(reportGaps(at(`x${'-'.repeat(19)}`), 20))).toBeNull();
  expect(gapWarning(reportGaps(at(`x${'-'.repeat(20)}`), 21))).toContain('further than 20');
});
