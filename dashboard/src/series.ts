import { route } from './route.ts';

/*
 * What the API has measured, as times and values of a plot.
 */

export type Point = { at: string };

/** For how long the plots of a page look back. */
export const ranges = [
  { name: '24 hours', days: 1 },
  { name: '7 days', days: 7 },
  { name: '30 days', days: 30 },
] as const;

const roundMs = 10 * 60_000;
const dayMs = 86_400_000;

export type Span = { since: number; until: number };

/** Up to now, which changes with what is measured. */
export function spanOfPage(): Span {
  const days = Number(route.value.query.get('range') ?? 1);
  const length = (ranges.find((range) => range.days === days) ?? ranges[0]).days;
  const until = Math.ceil(Date.now() / roundMs) * roundMs;
  return { since: until - length * dayMs, until };
}

export function askSpan({ since, until }: Span): string {
  return `since=${new Date(since).toISOString()}&until=${new Date(until).toISOString()}`;
}

/** Every time of a span, Unix seconds: what was not measured is a gap. */
export function timesOf({ since, until }: Span, stepSeconds: number): number[] {
  const stepMs = stepSeconds * 1000;
  const times: number[] = [];
  for (let at = Math.floor(since / stepMs) * stepMs; at < until; at += stepMs) times.push(at / 1000);
  return times;
}

export function valuesOf<P extends Point>(
  times: readonly number[],
  points: readonly P[],
  value: (point: P) => number | null,
): (number | null)[] {
  const found = new Map(points.map((point) => [Date.parse(point.at) / 1000, value(point)]));
  return times.map((time) => found.get(time) ?? null);
}
