import { randomBytes } from 'node:crypto';
import { defaultEventTypes, type EventType, eventTypes } from '../core/events.ts';
import { textFault } from '../core/labels.ts';
import { privateKeyIn, privateKeyRefusal } from '../core/private-keys.ts';
import type { Trx } from '../storage/schema.ts';
import {
  addEndpoint,
  type Endpoint,
  listEndpoints,
  rotateEndpointSecret,
  type SealedHeaders,
  updateEndpoint,
} from '../storage/webhooks/endpoints.ts';
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
  /** Whether it may have the URL of another endpoint of its merchant. */
  allowSameUrl?: boolean;
};

/** What endpoints are checked against, and what seals their secrets. */
export type EndpointRules = { allowHosts: readonly string[]; headerPrefix: string };

/** How long the old secret goes on signing beside the new one, unless told otherwise. */
export const defaultOverlapMs = 24 * 60 * 60 * 1000;

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
  const described = change.description ?? '';
  const secret = privateKeyIn(described);
  const fault = secret === null ? textFault(described, mostDescription) : privateKeyRefusal(secret);
  if (fault !== null) faults.description = [fault];
  const wrongHeaders = findHeaderFaults(change.headers ?? {}, headerPrefix);
  if (wrongHeaders.length > 0) faults.headers = wrongHeaders;
  return Object.keys(faults).length === 0 ? null : faults;
}

/** The events an endpoint gets that asked for these, in our order and each once; none asked for: the default set. */
function chosenEvents(events: readonly string[] | undefined): readonly EventType[] {
  if (events === undefined || events.length === 0) return defaultEventTypes;
  return eventTypes.filter((type) => events.includes(type));
}

/** Makes an endpoint. `secret` exists in readable form only in this answer. */
export async function createEndpoint(
  trx: Trx,
  { secrets, ...rules }: EndpointRules & { secrets: Secrets },
  endpoint: EndpointChange & { merchantId: string; url: string; at: number },
): Promise<
  { kind: 'created'; endpoint: Endpoint; secret: string } | { kind: 'invalid'; faults: EndpointFaults }
> {
  const faults = checkEndpoint(endpoint, rules) ?? (await findSameUrl(trx, endpoint));
  if (faults !== null) return { kind: 'invalid', faults };
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
  return { kind: 'created', endpoint: created, secret };
}

/** One receiver would get every event once from each of two endpoints: mostly a mistake, so it has to be allowed. */
async function findSameUrl(
  trx: Trx,
  {
    id,
    merchantId,
    url,
    allowSameUrl = false,
  }: { id?: string; merchantId: string } & Pick<EndpointChange, 'url' | 'allowSameUrl'>,
): Promise<EndpointFaults | null> {
  if (url === undefined || allowSameUrl) return null;
  const { href, host } = new URL(url);
  const others = await listEndpoints(trx, merchantId);
  const twin = others.find((other) => other.id !== id && new URL(other.url).href === href);
  if (twin === undefined) return null;
  const state = twin.active ? '' : `, which is disabled ("depositd webhook enable ${twin.id}")`;
  return {
    url: [
      `this merchant's endpoint ${twin.id} has it already${state}: ${host} would get every event twice; if that is meant, say so: --allow-same-url, or allow_same_url over HTTP`,
    ],
  };
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
  const { id, merchantId } = endpoint;
  const faults = checkEndpoint(change, rules) ?? (await findSameUrl(trx, { ...change, id, merchantId }));
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

function isEventType(name: string): name is EventType {
  return (eventTypes as readonly string[]).includes(name);
}
