import { duration, usd } from './parts.tsx';

/** What the numbers of a plot are. */
export type Unit = 'count' | 'ms' | 'seconds' | 'cents';

export function shownIn(unit: Unit, value: number): string {
  switch (unit) {
    case 'count':
      return String(value);
    case 'ms':
      return `${Math.round(value)} ms`;
    case 'seconds':
      return duration(Math.round(value));
    case 'cents':
      return usd(Math.round(value));
    default:
      return unit satisfies never;
  }
}

const tens = Array.from({ length: 12 }, (_, power) => [1, 2, 5].map((digit) => digit * 10 ** power)).flat();
const minute = 60;
const hour = 60 * minute;
const day = 24 * hour;

/** How far apart the marks of an axis may be. */
export function stepsOf(unit: Unit): readonly number[] {
  if (unit === 'cents') return tens.map((step) => step * 100);
  if (unit !== 'seconds') return tens;
  const minutes = [1, 2, 5, 10, 15, 30].map((n) => n * minute);
  const hours = [1, 2, 3, 6, 12].map((n) => n * hour);
  return [1, 2, 5, 10, 20, 30, ...minutes, ...hours, ...tens.map((n) => n * day)];
}
