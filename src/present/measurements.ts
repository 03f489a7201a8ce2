import { countOf, percentile, sumHistograms } from '../core/histogram.ts';
import type { NodeMeasurement } from '../core/measurement.ts';
import { type NodeFailure, nodeFailures } from '../core/node.ts';
import type { PoolMeasurement } from '../storage/pool/measurements.ts';
import type { EndpointMeasurement } from '../storage/webhooks/measurements.ts';
import { isoTime } from './values.ts';

/*
 * The JSON of what was measured: series of points, each for one or several intervals.
 */

/** How a node did in all these intervals together. */
export function presentNodeMeasurements(rows: readonly NodeMeasurement[]) {
  const latency = sumHistograms(rows.map((row) => row.latency));
  const failures = nodeFailures.map((failure): [NodeFailure, number] => [
    failure,
    rows.reduce((sum, row) => sum + (row.failures[failure] ?? 0), 0),
  ]);
  return {
    answers: countOf(latency),
    p50_ms: percentile(latency, 0.5),
    p95_ms: percentile(latency, 0.95),
    failures: Object.fromEntries(failures) as Record<NodeFailure, number>,
  };
}

export function presentNodeSeries(rows: readonly NodeMeasurement[], stepMs: number) {
  return [...Map.groupBy(rows, ({ host }) => host)].map(([host, own]) => ({
    host,
    points: steps(own, stepMs, presentNodeMeasurements),
  }));
}

export function presentPoolSeries(rows: readonly PoolMeasurement[], stepMs: number) {
  return [...Map.groupBy(rows, ({ network, currency }) => `${network} ${currency ?? ''}`).values()].flatMap(
    ([first, ...more]) =>
      first === undefined
        ? []
        : [
            {
              network: first.network,
              currency: first.currency,
              points: steps([first, ...more], stepMs, (own) => {
                const worst = own.reduce((one, other) => (other.free < one.free ? other : one));
                const { free, held, quarantined, retired } = worst;
                return { free, held, quarantined, retired };
              }),
            },
          ],
  );
}

export function presentEndpointSeries(
  endpoints: readonly { id: string; url: string }[],
  rows: readonly EndpointMeasurement[],
) {
  const byEndpoint = Map.groupBy(rows, ({ endpointId }) => endpointId);
  return endpoints.map(({ id, url }) => ({
    endpoint_id: id,
    url,
    points: (byEndpoint.get(id) ?? []).map(({ at, succeeded, failed, oldestPendingMs }) => ({
      at: isoTime(at),
      succeeded,
      failed,
      oldest_pending_seconds: Math.round(oldestPendingMs / 1000),
    })),
  }));
}

/** Of each time (Unix ms) how long payments took, ms. */
export function presentPaymentTimes(parts: readonly { at: number; times: readonly number[] }[]) {
  return parts.flatMap(({ at, times }) => {
    const sorted = times.toSorted((a, b) => a - b);
    const secondsOf = (share: number) =>
      Math.max(0, Math.round((sorted[Math.ceil(share * sorted.length) - 1] ?? 0) / 1000));
    if (sorted.length === 0) return [];
    return [
      { at: isoTime(at), payments: sorted.length, p50_seconds: secondsOf(0.5), p95_seconds: secondsOf(0.95) },
    ];
  });
}

/** What is given in order of time, joined where it falls into one step. */
function steps<Row extends { at: number }, Point extends object>(
  rows: readonly Row[],
  stepMs: number,
  join: (rows: readonly Row[]) => Point,
) {
  const parts = Map.groupBy(rows, ({ at }) => Math.floor(at / stepMs) * stepMs);
  return [...parts].map(([at, own]) => ({ at: isoTime(at), ...join(own) }));
}
