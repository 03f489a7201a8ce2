/*
 * How long many answers took, in a list that never grows: how many fell into each bucket. Two of them can be added, which
 * percentiles cannot. The bounds grow by the square root of two from 1 ms to 33 s, so that a percentile is right to some
 * 20 %, however long answers take.
 */

/** Of each bucket how many were in it. The last one has no end. */
export type Histogram = readonly number[];

/** Upper bounds, ms. */
const bounds = Array.from({ length: 31 }, (_, i) => 2 ** (i / 2));

export const emptyHistogram: Histogram = Array.from({ length: bounds.length + 1 }, () => 0);

export function withValue(histogram: Histogram, ms: number): Histogram {
  const at = bounds.findIndex((bound) => ms <= bound);
  return histogram.with(at === -1 ? bounds.length : at, (histogram.at(at) ?? 0) + 1);
}

export function sumHistograms(histograms: readonly Histogram[]): Histogram {
  const sum = [...emptyHistogram];
  for (const histogram of histograms)
    for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] ?? 0) + (histogram[i] ?? 0);
  return sum;
}

export function countOf(histogram: Histogram): number {
  return histogram.reduce((sum, count) => sum + count, 0);
}

/** What `share` (0 to 1) of the values did not exceed, ms, as if those of a bucket lay evenly in it; null without values. */
export function percentile(histogram: Histogram, share: number): number | null {
  const rank = share * countOf(histogram);
  let below = 0;
  for (const [i, count] of histogram.entries()) {
    if (count === 0 || below + count < rank) {
      below += count;
      continue;
    }
    const from = bounds[i - 1] ?? 0;
    // Of what is beyond the last bound only that is known.
    const to = bounds[i] ?? from;
    return Math.round(from + ((to - from) * (rank - below)) / count);
  }
  return null;
}
