import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  countOf,
  emptyHistogram,
  type Histogram,
  percentile,
  sumHistograms,
  withValue,
} from '../../src/core/histogram.ts';

const histogramOf = (values: readonly number[]): Histogram => values.reduce(withValue, emptyHistogram);
const answersMs = fc.array(fc.double({ min: 0.01, max: 30_000, noNaN: true }), {
  minLength: 1,
  maxLength: 200,
});

test('a percentile is within one bucket of the exact one, which is a factor of the square root of two', () => {
  fc.assert(
    fc.property(answersMs, fc.constantFrom(0.5, 0.95, 1), (values, share) => {
      const exact = values.toSorted((a, b) => a - b)[Math.ceil(share * values.length) - 1] ?? 0;
      const told = percentile(histogramOf(values), share) ?? Number.NaN;
      expect(told).toBeGreaterThanOrEqual(Math.floor(exact / Math.SQRT2));
      expect(told).toBeLessThanOrEqual(Math.ceil(Math.max(1, exact * Math.SQRT2)));
    }),
  );
});

test('added histograms are that of all values, and no longer', () => {
  fc.assert(
    fc.property(answersMs, answersMs, (some, others) => {
      const sum = sumHistograms([histogramOf(some), histogramOf(others)]);
      expect(sum).toEqual(histogramOf([...some, ...others]));
      expect(sum).toHaveLength(emptyHistogram.length);
      expect(countOf(sum)).toBe(some.length + others.length);
    }),
  );
});

test('without values there is no percentile, and what takes for ever is told as the last bound', () => {
  expect(percentile(emptyHistogram, 0.5)).toBeNull();
  expect(percentile(histogramOf([Number.POSITIVE_INFINITY, 1e9]), 0.95)).toBe(32_768);
});
