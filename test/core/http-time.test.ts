import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseHttpDate, parseRetryAfter } from '../../src/core/http-time.ts';

const now = Date.UTC(2026, 10, 20, 12, 0, 0);

describe('a Retry-After header', () => {
  test.each([
    ['120', 120_000],
    [' 5 ', 5_000],
    ['0', 0],
    ['0.5', 500],
    ['1.5', 1_500],
    ['2026', 2_026_000],
    ['Fri, 20 Nov 2026 12:00:30 GMT', 30_000],
    ['Fri, 20 Nov 2026 11:00:00 GMT', 0],
    ['Thu, 19 Nov 2026 00:00:00 GMT', 0],
    [undefined, null],
    ['', null],
    ['soon', null],
    ['-5', null],
    ['9999999999999', null],
    ['Fri, 99 Xyz 2026 12:00:30 GMT', null],
    ['2026-11-20T12:00:30Z', null],
  ])('%j means %j ms', (value, ms) => {
    expect(parseRetryAfter(value, now)).toBe(ms);
  });

  test('is nothing or a whole number of ms, never negative, whatever it says', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.double().map(String), fc.date().map(String)), (value) => {
        const ms = parseRetryAfter(value, now);
        expect(ms === null || (Number.isSafeInteger(ms) && ms >= 0)).toBe(true);
      }),
    );
  });
});

test('an HTTP date is read to the second and written as HTTP writes it', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 253_402_300_799 }), (seconds) => {
      expect(parseHttpDate(new Date(seconds * 1000).toUTCString())).toBe(seconds * 1000);
    }),
  );
  expect(parseHttpDate('20 Nov 2026')).toBeNull();
});
