import type { Clock } from '../clock.ts';
import { intervalOf } from '../core/measurement.ts';
import { inTransaction } from '../storage/database.ts';
import type { Db } from '../storage/schema.ts';
import {
  addEndpointMeasurements,
  type EndpointMeasurement,
  oldestPendingAt,
} from '../storage/webhooks/measurements.ts';
import { findDueEndpoints } from '../storage/webhooks/queue.ts';
import type { Conclusion } from './attempt.ts';

/** How many attempts succeeded and failed, by endpoint. */
export function countAttempts(conclusions: readonly Conclusion[], now: number): EndpointMeasurement[] {
  const measured = new Map<string, EndpointMeasurement>();
  for (const { endpointId, record, verdict } of conclusions) {
    // That we were interrupted says nothing about the endpoint.
    if (record.error === 'interrupted') continue;
    const none = { endpointId, at: intervalOf(now), succeeded: 0, failed: 0, oldestPendingMs: 0 };
    const counts = measured.get(endpointId) ?? none;
    counts[verdict.kind === 'delivered' ? 'succeeded' : 'failed'] += 1;
    measured.set(endpointId, counts);
  }
  return [...measured.values()];
}

/** Between two looks, ms. */
export const measureWaitingEveryMs = 60_000;

/** Each costs a look into its queue. */
const mostEndpoints = 1_000;

/** Notes how old the oldest delivery is that each endpoint has not got. Several processes note the same. */
export async function measureWaiting({ db, clock }: { db: Db; clock: Clock }): Promise<void> {
  const now = clock();
  // Also what waits for its next attempt.
  const waiting = await findDueEndpoints(db, Number.MAX_SAFE_INTEGER);
  const rows: EndpointMeasurement[] = [];
  for (const { endpointId } of waiting.slice(0, mostEndpoints)) {
    const since = await oldestPendingAt(db, endpointId);
    if (since === null || since >= now) continue;
    rows.push({ endpointId, at: intervalOf(now), succeeded: 0, failed: 0, oldestPendingMs: now - since });
  }
  await inTransaction(db, (trx) => addEndpointMeasurements(trx, rows));
}
