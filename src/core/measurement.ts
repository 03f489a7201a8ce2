import { type Histogram, sumHistograms } from './histogram.ts';
import { type NodeFailure, nodeFailures } from './node.ts';

/*
 * What is measured again and again and kept for a while, so that an operator sees how it went: one row for each subject and
 * interval.
 */

/** Intervals begin at multiples of this, Unix ms. */
export const measurementMs = 10 * 60_000;

/** How long they are kept. */
export const measurementDays = 30;

export function intervalOf(unixMs: number): number {
  return Math.floor(unixMs / measurementMs) * measurementMs;
}

/** How one node did in one interval. */
export type NodeMeasurement = {
  host: string;
  /** When the interval began, Unix ms. */
  at: number;
  /** How long its answers took. What was not answered in time is a failure. */
  latency: Histogram;
  failures: Partial<Record<NodeFailure, number>>;
};

/** Two measurements of one node as one, of the earlier time. */
export function joinMeasurements(one: NodeMeasurement, other: NodeMeasurement): NodeMeasurement {
  const failures = { ...one.failures };
  for (const failure of nodeFailures) {
    const count = (one.failures[failure] ?? 0) + (other.failures[failure] ?? 0);
    if (count > 0) failures[failure] = count;
  }
  return {
    host: one.host,
    at: Math.min(one.at, other.at),
    latency: sumHistograms([one.latency, other.latency]),
    failures,
  };
}
