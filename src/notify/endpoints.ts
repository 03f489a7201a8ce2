import { randomBytes } from 'node:crypto';
import { defaultEventTypes, type EventType, eventTypes } from '../core/events.ts';
import { endpointEventBody } from '../present/event-body.ts';
import type { Trx } from '../storage/schema.ts';
import { type Delivery, type DeliveryState, getDelivery } from '../storage/webhooks/deliveries.ts';
import {
  addEndpoint,
  type Endpoint,
  getEndpoint,
  listEndpoints,
  rotateEndpointSecret,
  type SealedHeaders,
  updateEndpoint,
} from '../storage/webhooks/endpoints.ts';
import { insertEvent } from '../storage/webhooks/events.ts';
import {
  enqueueDelivery,
  enqueueMissed,
  enqueueReplays,
  getDeliveryEvent,
  type ReplayRange,
} from '../storage/webhooks/replays.ts';
import { checkTarget } from '../target.ts';
import { findHeaderFaults, type Headers } from './headers.ts';
import { generateSecret, headersSeal, type Secrets } from './secrets.ts';

/*
 * What operators do with webhook endpoints, for the API and the commands alike. Each runs in the caller's
 * transaction, beside its entry in the audit log, and wakes nobody: the notifier looks twice a second.
 */

/** Messages by field. */
export type EndpointFaults = Partial<Record<'url' | 'events' | 'description' | 'headers', string[]>>;

export type EndpointChange = {
  url?: string;
  events?: readonly string[];
  description?: string;
  headers?: Headers;
};

/** What endpoints are checked against, and what seals their secrets. */
export type EndpointRules = { allowHosts: readonly string[]; headerPrefix: string };

/** How long the old secret goes on signing beside the new one, unless told otherwise. */
export const defaultOverlapMs = 24 * 60 * 60 * 1000;

/** Most deliveries that one range replays. */
export const mostReplays = 10_000;

/** Between two replays of a range: 50 a second, so that a receiver that was down is not knocked over again. */
export const replayGapMs = 20;

const mostDescription = 500;

/** Null when the endpoint may be as it is; only what is given is looked at. */
export function checkEndpoint(
  change: EndpointChange,
  { allowHosts, headerPrefix }: EndpointRules,
): EndpointFaults | null {
  const faults: EndpointFaults = {};
  const refusal = change.url === undefined ? null : checkTarget(change.url, allowHosts);
  if (refusal !== null) faults.url = [refusal];
  const unknown = (change.events ?? []).filter((name) => !isEventType(name));
  if (unknown.length > 0) {
    faults.events = unknown.map(
      (name) => `${JSON.stringify(name)} is no event; there are ${eventTypes.join(', ')}`,
    );
  }
  if ((change.description ?? '').length > mostDescription) {
    faults.description = [`must not be longer than ${mostDescription} characters`];
  }
  const wrongHeaders = findHeaderFaults(change.headers ?? {}, headerPrefix);
  if (wrongHeaders.length > 0) faults.headers = wrongHeaders;
  return Object.keys(faults).length === 0 ? null : faults;
}

/** The events an endpoint gets that asked for these, in our order and each once; none asked for: the default set. */
export function chosenEvents(events: readonly string[] | undefined): readonly EventType[] {
  if (events === undefined || events.length === 0) return defaultEventTypes;
  return eventTypes.filter((type) => events.includes(type));
}

/**
 * Makes an endpoint. `secret` exists in readable form only in this answer. `sameUrl` are the merchant's others with
 * this URL: their receiver gets every event once more.
 */
export async function createEndpoint(
  trx: Trx,
  { secrets, ...rules }: EndpointRules & { secrets: Secrets },
  endpoint: EndpointChange & { merchantId: string; url: string; at: number },
): Promise<
  | { kind: 'created'; endpoint: Endpoint; secret: string; sameUrl: readonly Endpoint[] }
  | { kind: 'invalid'; faults: EndpointFaults }
> {
  const faults = checkEndpoint(endpoint, rules);
  if (faults !== null) return { kind: 'invalid', faults };
  const { href } = new URL(endpoint.url);
  const others = await listEndpoints(trx, endpoint.merchantId);
  const sameUrl = others.filter((other) => new URL(other.url).href === href);
  const id = `we_${randomBytes(8).toString('hex')}`;
  const secret = generateSecret();
  const created = await addEndpoint(trx, {
    id,
    merchantId: endpoint.merchantId,
    url: endpoint.url,
    events: chosenEvents(endpoint.events),
    description: endpoint.description ?? '',
    sealedSecret: secrets.seal(secret, id),
    headers: sealHeaders(secrets, id, endpoint.headers ?? {}),
    at: endpoint.at,
  });
  return { kind: 'created', endpoint: created, secret, sameUrl };
}

/**
 * Changes what is given. What an endpoint's headers give access to is one host: they do not go to another with a
 * changed URL, but are given again with it.
 */
export async function changeEndpoint(
  trx: Trx,
  { secrets, ...rules }: EndpointRules & { secrets: Secrets },
  endpoint: Endpoint,
  change: EndpointChange,
): Promise<EndpointFaults | null> {
  const faults = checkEndpoint(change, rules);
  if (faults !== null) return faults;
  const { url, events, description, headers } = change;
  const moves = url !== undefined && new URL(url).origin !== new URL(endpoint.url).origin;
  if (moves && headers === undefined && endpoint.headerNames.length > 0) {
    return { headers: ['are those of the old address: give them again, or {} for none'] };
  }
  await updateEndpoint(trx, endpoint.id, {
    ...(url === undefined ? {} : { url }),
    ...(events === undefined ? {} : { events: chosenEvents(events) }),
    ...(description === undefined ? {} : { description }),
    ...(headers === undefined ? {} : { headers: sealHeaders(secrets, endpoint.id, headers) }),
  });
  return null;
}

function sealHeaders(secrets: Secrets, endpointId: string, headers: Headers): SealedHeaders {
  const names = Object.keys(headers);
  const sealed = names.length === 0 ? null : secrets.seal(JSON.stringify(headers), headersSeal(endpointId));
  return { names, sealed };
}

/**
 * Gives an endpoint a new secret, in readable form only in this answer. Until `at + overlapMs` the old one
 * signs, too; 0: it stops at once. Null when there is no such endpoint.
 */
export async function rotateSecret(
  trx: Trx,
  secrets: Secrets,
  rotation: { endpointId: string; overlapMs?: number; at: number },
): Promise<{ endpoint: Endpoint; secret: string } | null> {
  const { endpointId, overlapMs = defaultOverlapMs, at } = rotation;
  const secret = generateSecret();
  const endpoint = await rotateEndpointSecret(trx, endpointId, {
    sealedSecret: secrets.seal(secret, endpointId),
    previousUntil: overlapMs > 0 ? at + overlapMs : null,
    at,
  });
  return endpoint === null ? null : { endpoint, secret };
}

export type Sent =
  | { kind: 'queued'; delivery: Delivery }
  | { kind: 'not-found' }
  /** It is turned off: what is queued for it would be cancelled. */
  | { kind: 'endpoint-off' };

/** Sends `webhook.test` to one endpoint, whether it subscribes to it or not, and to no other. */
export async function sendTestEvent(
  trx: Trx,
  { endpointId, at }: { endpointId: string; at: number },
): Promise<Sent> {
  const endpoint = await getEndpoint(trx, endpointId);
  if (endpoint === null) return { kind: 'not-found' };
  if (!endpoint.active) return { kind: 'endpoint-off' };
  const eventSequence = await insertEvent(trx, {
    merchantId: endpoint.merchantId,
    type: 'webhook.test',
    paymentId: null,
    body: endpointEventBody('webhook.test', endpoint, at),
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

/** Sends the event of a delivery again, as a delivery of its own with the usual attempts. */
export async function replayDelivery(
  trx: Trx,
  { deliveryId, at }: { deliveryId: number; at: number },
): Promise<Sent> {
  const event = await getDeliveryEvent(trx, deliveryId);
  if (event === null) return { kind: 'not-found' };
  const endpoint = await getEndpoint(trx, event.endpointId);
  if (endpoint === null || !endpoint.active) return { kind: 'endpoint-off' };
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
  if (!endpoint.active) return { kind: 'endpoint-off' };
  const count = await enqueue({ endpointId, since, until, limit, gapMs: replayGapMs, at }, endpoint);
  return { kind: 'queued', count, more: count === limit };
}

async function queued(trx: Trx, id: number): Promise<Sent> {
  const delivery = await getDelivery(trx, id);
  return delivery === null ? { kind: 'not-found' } : { kind: 'queued', delivery };
}

function isEventType(name: string): name is EventType {
  return (eventTypes as readonly string[]).includes(name);
}
