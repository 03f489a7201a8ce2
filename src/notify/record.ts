import type { Logger } from '../log.ts';
import { endpointEventBody } from '../present/event-body.ts';
import { timeOrNull } from '../present/values.ts';
import type { Trx } from '../storage/schema.ts';
import { type Delivery, getDeliveries } from '../storage/webhooks/deliveries.ts';
import {
  disableEndpoint,
  disableFailingEndpoints,
  type Endpoint,
  getEndpoint,
  recordEndpointHealth,
  recordLastSigner,
} from '../storage/webhooks/endpoints.ts';
import { appendEvent } from '../storage/webhooks/events.ts';
import { recordAttempts } from '../storage/webhooks/queue.ts';
import { awaitRecovery, beginRecovery } from '../storage/webhooks/recovery.ts';
import type { Conclusion } from './attempt.ts';
import type { GiveUpReason } from './schedule.ts';

/** What operators must hear of, once it is committed. */
export type Recorded = {
  givenUp: { delivery: Delivery; reason: GiveUpReason; detail: string; host: string }[];
  disabled: Endpoint[];
};

/** An endpoint without one success for so long is disabled with the next delivery it makes us give up. */
const failingLimitMs = 5 * 24 * 60 * 60 * 1000;

/** Writes ended attempts, what they say about their endpoints, and the events that follow. */
export async function recordConclusions(
  trx: Trx,
  conclusions: readonly Conclusion[],
  { now, livemode }: { now: number; livemode: boolean },
): Promise<Recorded> {
  if (conclusions.length === 0) return { givenUp: [], disabled: [] };
  const changed = await recordAttempts(
    trx,
    conclusions.map(({ record }) => record),
  );
  for (const { endpointId, accepted } of conclusions) {
    if (accepted !== null) await recordLastSigner(trx, endpointId, accepted);
  }
  const disabled = await judgeEndpoints(trx, conclusions, changed, now);
  for (const endpoint of disabled) {
    await appendEvent(trx, {
      merchantId: endpoint.merchantId,
      type: 'webhook.disabled',
      paymentId: null,
      body: endpointEventBody('webhook.disabled', endpoint, { livemode, at: now }),
      at: now,
    });
  }
  return { givenUp: await describeGivenUp(trx, conclusions, changed), disabled };
}

async function judgeEndpoints(
  trx: Trx,
  conclusions: readonly Conclusion[],
  changed: ReadonlySet<Conclusion['record']>,
  now: number,
): Promise<Endpoint[]> {
  const succeeded = new Set<string>();
  const failed = new Set<string>();
  const gone = new Set<string>();
  const givenUp = new Set<string>();
  /** Those that accepted something after whatever was given up. */
  const accepting = new Set<string>();
  for (const { endpointId, record, verdict } of conclusions) {
    if (verdict.kind === 'delivered') {
      succeeded.add(endpointId);
      accepting.add(endpointId);
    }
    // That we were interrupted says nothing about the endpoint.
    else if (record.error !== 'interrupted') failed.add(endpointId);
    if (verdict.kind === 'give-up' && changed.has(record)) {
      (verdict.disableEndpoint ? gone : givenUp).add(endpointId);
      accepting.delete(endpointId);
    }
  }
  for (const id of succeeded) failed.delete(id);
  await recordEndpointHealth(trx, { succeeded: [...succeeded].sort(), failed: [...failed].sort(), at: now });

  await awaitRecovery(trx, [...gone, ...givenUp].sort());
  await beginRecovery(trx, [...accepting].sort());

  const disabled = await disableFailingEndpoints(trx, [...givenUp].sort(), now - failingLimitMs);
  for (const id of gone) {
    if (!(await disableEndpoint(trx, id, 'gone'))) continue;
    const endpoint = await getEndpoint(trx, id);
    if (endpoint !== null) disabled.push(endpoint);
  }
  return disabled;
}

async function describeGivenUp(
  trx: Trx,
  conclusions: readonly Conclusion[],
  changed: ReadonlySet<Conclusion['record']>,
): Promise<Recorded['givenUp']> {
  const givenUp = new Map<number, { reason: GiveUpReason; detail: string }>();
  for (const { record, verdict } of conclusions) {
    if (verdict.kind === 'give-up' && changed.has(record)) {
      givenUp.set(record.deliveryId, { reason: verdict.reason, detail: record.detail });
    }
  }
  const deliveries = await getDeliveries(trx, [...givenUp.keys()]);
  return deliveries.map(({ delivery, url }) => ({
    delivery,
    host: new URL(url).host,
    reason: givenUp.get(delivery.id)?.reason ?? 'exhausted',
    detail: givenUp.get(delivery.id)?.detail ?? '',
  }));
}

export function reportRecorded(log: Logger, { givenUp, disabled }: Recorded): void {
  for (const { delivery, reason, detail, host } of givenUp) {
    log.warn(
      {
        merchant_id: delivery.merchantId,
        endpoint_id: delivery.endpointId,
        host,
        delivery_id: delivery.id,
        event_type: delivery.eventType,
        event_id: delivery.eventId,
        payment_number: delivery.paymentNumber,
        reason,
        attempts: delivery.attempts,
        status: delivery.lastStatus,
        error: delivery.lastError,
        detail,
      },
      'webhook given up',
    );
  }
  for (const endpoint of disabled) {
    log.warn(
      {
        merchant_id: endpoint.merchantId,
        endpoint_id: endpoint.id,
        host: new URL(endpoint.url).host,
        reason: endpoint.disabledReason,
        failing_since: timeOrNull(endpoint.failingSince),
      },
      'webhook endpoint disabled',
    );
  }
}
