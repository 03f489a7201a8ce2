/** Blocks of one chain by their heights, both ends included. */
export type HeightRange = { from: number; to: number };

/** What lies between ranges that are in order and do not overlap, and was in none of them. */
export function gapsIn(ranges: readonly HeightRange[]): HeightRange[] {
  return ranges.slice(1).flatMap(({ from }, i) => {
    const previous = ranges[i]?.to ?? from;
    return from > previous + 1 ? [{ from: previous + 1, to: from - 1 }] : [];
  });
}

/** The same blocks in as few ranges as can be; those given are in order and do not overlap. */
export function joined(ranges: readonly HeightRange[]): HeightRange[] {
  const whole: HeightRange[] = [];
  for (const { from, to } of ranges) {
    const last = whole.at(-1);
    if (last?.to === from - 1) last.to = to;
    else whole.push({ from, to });
  }
  return whole;
}

/** The parts of a range that none of the others covers; those are in order and do not overlap. */
export function uncovered({ from, to }: HeightRange, ranges: readonly HeightRange[]): HeightRange[] {
  const near = ranges.filter((range) => range.to >= from && range.from <= to);
  const ends = [{ from, to: from - 1 }, ...near, { from: to + 1, to }];
  return gapsIn(ends);
}
