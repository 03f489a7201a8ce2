import { endpointEventBody } from '../present/event-body.ts';
import { recordAudit } from '../storage/operators/audit.ts';
import type { Trx } from '../storage/schema.ts';
import { type Delivery, type DeliveryState, getDelivery } from '../storage/webhooks/deliveries.ts';
import { type Endpoint, getEndpoint } from '../storage/webhooks/endpoints.ts';
import { insertEvent } from '../storage/webhooks/events.ts';
import {
  enqueueDelivery,
  enqueueMissed,
  enqueueReplays,
  getDeliveryEvent,
  type ReplayRange,
} from '../storage/webhooks/replays.ts';
import type { Act } from './audit.ts';

/*
 * What operators have sent: the test event, and again what was sent or should have been. For the API and the commands
 * alike; each runs in the caller's transaction and wakes nobody: the notifier looks twice a second.
 */

/** Most deliveries that one range replays. */
const mostReplays = 10_000;

/** Between two replays of a range: 50 a second, so that a receiver that was down is not knocked over again. */
export const replayGapMs = 20;

export type Sent =
  | { kind: 'queued'; delivery: Delivery }
  | { kind: 'not-found' }
  /** It is disabled: what is queued for it would be cancelled. */
  | { kind: 'endpoint-disabled' };

/** Sends `webhook.test` to one endpoint, whether it subscribes to it or not, and to no other. */
export async function sendTestEvent(
  trx: Trx,
  { endpointId, at, livemode = true }: { endpointId: string; at: number; livemode?: boolean },
): Promise<Sent> {
  const endpoint = await getEndpoint(trx, endpointId);
  if (endpoint === null) return { kind: 'not-found' };
  if (!endpoint.active) return { kind: 'endpoint-disabled' };
  const eventSequence = await insertEvent(trx, {
    merchantId: endpoint.merchantId,
    type: 'webhook.test',
    paymentId: null,
    body: endpointEventBody('webhook.test', endpoint, { livemode, at }),
    at,
  });
  const id = await enqueueDelivery(trx, {
    endpointId,
    merchantId: endpoint.merchantId,
    eventSequence,
    eventType: 'webhook.test',
    replayOf: null,
    at,
  });
  return queued(trx, id);
}

/** What an operator has sent again to one endpoint: all that was not delivered, or what came to one state. */
export type ReplayWish = {
  endpointId: string;
  since: number;
  until?: number | undefined;
  status?: 'failed' | 'cancelled' | 'delivered' | 'missed' | undefined;
  /** Nobody knows what was sent longer ago, ms. */
  retentionMs: number;
};

/** {@link replayDelivery}, with its entry in the audit log. */
export async function operatorReplaysOne(trx: Trx, deliveryId: number, { at, actor }: Act): Promise<Sent> {
  const sent = await replayDelivery(trx, { deliveryId, at });
  if (sent.kind !== 'queued') return sent;
  const detail = { delivery: sent.delivery.id, endpoint_id: sent.delivery.endpointId };
  await recordAudit(trx, { at, actor, action: 'delivery.replayed', subject: String(deliveryId), detail });
  return sent;
}

/** {@link replayRange} or {@link replayMissed}, with its entry in the audit log. */
export async function operatorReplays(trx: Trx, wish: ReplayWish, { at, actor }: Act): Promise<Replayed> {
  const { endpointId, since, until, status, retentionMs } = wish;
  const span = { endpointId, since, ...(until === undefined ? {} : { until }), at };
  const replayed =
    status === 'missed'
      ? await replayMissed(trx, { ...span, retentionMs })
      : await replayRange(trx, { ...span, ...(status === undefined ? {} : { states: [status] }) });
  if (replayed.kind !== 'queued') return replayed;
  const detail = {
    since: new Date(since).toISOString(),
    until: until === undefined ? null : new Date(until).toISOString(),
    status: status ?? 'undelivered',
    count: replayed.count,
  };
  await recordAudit(trx, { at, actor, action: 'deliveries.replayed', subject: endpointId, detail });
  return replayed;
}

/** Sends the event of a delivery again, as a delivery of its own with the usual attempts. */
export async function replayDelivery(
  trx: Trx,
  { deliveryId, at }: { deliveryId: number; at: number },
): Promise<Sent> {
  const event = await getDeliveryEvent(trx, deliveryId);
  if (event === null) return { kind: 'not-found' };
  const endpoint = await getEndpoint(trx, event.endpointId);
  if (endpoint === null || !endpoint.active) return { kind: 'endpoint-disabled' };
  return queued(trx, await enqueueDelivery(trx, { ...event, replayOf: deliveryId, at }));
}

export type ReplaySpan = {
  endpointId: string;
  /** Unix ms, inclusive. */
  since: number;
  /** Unix ms, exclusive; by default now. */
  until?: number;
  at: number;
  limit?: number;
};

/** `more`: the limit cut, asking again goes on. */
export type Replayed = { kind: 'queued'; count: number; more: boolean } | Exclude<Sent, { kind: 'queued' }>;

/**
 * Sends again, oldest first, what was created for an endpoint in a span of time and came to `states`: by default
 * everything that was not delivered, given up or kept while the endpoint was off. What has been replayed already
 * is passed over, so that asking twice sends nothing twice.
 */
export async function replayRange(
  trx: Trx,
  span: ReplaySpan & { states?: readonly Extract<DeliveryState, 'failed' | 'cancelled' | 'delivered'>[] },
): Promise<Replayed> {
  const { states = ['failed', 'cancelled'] } = span;
  return replay(trx, span, (range) => enqueueReplays(trx, { ...range, states }));
}

/**
 * Sends, oldest first, the events of a span of time that never became a delivery to an endpoint: it was added
 * later, or in place of one that was removed, or did not subscribe to their type then. Nobody knows what was sent
 * longer than `retentionMs` ago, so it looks back no further.
 */
export async function replayMissed(trx: Trx, span: ReplaySpan & { retentionMs: number }): Promise<Replayed> {
  return replay(trx, span, (range, { merchantId, events: types }) => {
    const since = Math.max(range.since, range.at - span.retentionMs);
    return enqueueMissed(trx, { ...range, since, merchantId, types });
  });
}

async function replay(
  trx: Trx,
  span: ReplaySpan,
  enqueue: (range: ReplayRange, endpoint: Endpoint) => Promise<number>,
): Promise<Replayed> {
  const { endpointId, since, at, until = at + 1, limit = mostReplays } = span;
  const endpoint = await getEndpoint(trx, endpointId);
  if (endpoint === null) return { kind: 'not-found' };
  if (!endpoint.active) return { kind: 'endpoint-disabled' };
  const count = await enqueue({ endpointId, since, until, limit, gapMs: replayGapMs, at }, endpoint);
  return { kind: 'queued', count, more: count === limit };
}

async function queued(trx: Trx, id: number): Promise<Sent> {
  const delivery = await getDelivery(trx, id);
  return delivery === null ? { kind: 'not-found' } : { kind: 'queued', delivery };
}
