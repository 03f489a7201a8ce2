import { dayMs } from '../core/day.ts';
import type { Db } from '../storage/schema.ts';
import { countKept, countRejected } from '../storage/webhooks/counts.ts';
import type { Delivery, DeliveryAttempt } from '../storage/webhooks/deliveries.ts';
import type { Endpoint } from '../storage/webhooks/endpoints.ts';
import { oldestPendingAt, sumAttempts } from '../storage/webhooks/measurements.ts';
import { isoTime, timeOrNull } from './values.ts';

/*
 * The JSON of webhook endpoints and deliveries, for the operator's API and the commands alike.
 */

/** An endpoint with what must be looked up about it at `now` (Unix ms). Never with its secret, and of its headers the names. */
export async function presentEndpoint(db: Db, endpoint: Endpoint, now: number) {
  const { id, rotatedAt } = endpoint;
  const kept = await countKept(db, id);
  const lastDay = await sumAttempts(db, id, now - dayMs);
  return {
    id,
    url: endpoint.url,
    events: [...endpoint.events],
    description: endpoint.description,
    headers: Object.fromEntries(endpoint.headerNames.map((name) => [name, '[hidden]'])),
    active: endpoint.active,
    disabled_reason: endpoint.disabledReason,
    failing_since: timeOrNull(endpoint.failingSince),
    rotated_at: timeOrNull(rotatedAt),
    previous_secret_until: timeOrNull(endpoint.previousSecretUntil),
    rejected_since_rotation: rotatedAt === null ? null : await countRejected(db, id, rotatedAt),
    kept: kept.count,
    kept_since: timeOrNull(kept.since),
    last_day: lastDay,
    oldest_pending_at: timeOrNull(await oldestPendingAt(db, id)),
    created_at: isoTime(endpoint.createdAt),
  };
}

export function presentDelivery(delivery: Delivery) {
  return {
    id: delivery.id,
    endpoint_id: delivery.endpointId,
    merchant_id: delivery.merchantId,
    event_id: delivery.eventId,
    event: delivery.eventType,
    payment_number: delivery.paymentNumber,
    status: delivery.state,
    attempts: delivery.attempts,
    next_attempt_at: timeOrNull(delivery.nextAttemptAt),
    replay_of: delivery.replayOf,
    last_status: delivery.lastStatus,
    last_error: delivery.lastError,
    created_at: isoTime(delivery.createdAt),
    finished_at: timeOrNull(delivery.finishedAt),
  };
}

export function presentAttempt(attempt: DeliveryAttempt) {
  return {
    attempt: attempt.attempt,
    started_at: isoTime(attempt.startedAt),
    duration_ms: attempt.durationMs,
    status: attempt.status,
    error: attempt.error,
    detail: attempt.detail,
    response: attempt.response,
  };
}
