import type { Logger } from '../log.ts';
import {
  type ClaimedDelivery,
  claimDueDeliveries,
  type DueEndpoint,
  getEventBodies,
} from '../storage/delivery-queue.ts';
import { getSigningEndpoints, type SigningEndpoint } from '../storage/endpoints.ts';
import type { Trx } from '../storage/schema.ts';
import type { Envelope } from './attempt.ts';
import { isTroubled, type Lanes } from './lanes.ts';
import type { Secrets } from './secrets.ts';

/** How long a claim protects a delivery from being taken for lost; more than an attempt takes. */
export const leaseMs = 30_000;

/** Bounds one transaction. */
const endpointsAtOnce = 64;
const deliveriesAtOnce = 256;

/**
 * Claims what is due, as far as each endpoint's lane and the whole have room. `rest` are the endpoints of
 * `due` that were not looked at: they come first the next time, so that each has its turn.
 */
export async function claimBatch(
  trx: Trx,
  {
    due,
    lanes,
    secrets,
    now,
    log,
  }: { due: readonly DueEndpoint[]; lanes: Lanes; secrets: Secrets; now: number; log: Logger },
): Promise<{ envelopes: Envelope[]; rest: readonly DueEndpoint[] }> {
  const looked = due.slice(0, endpointsAtOnce);
  const endpoints = await getSigningEndpoints(
    trx,
    looked.map(({ endpointId }) => endpointId),
  );
  const endpointById = new Map(endpoints.map((endpoint) => [endpoint.id, endpoint]));
  const left = lanes.budget();
  const claimed: { delivery: ClaimedDelivery; endpoint: SigningEndpoint; keys: string[] }[] = [];
  let position = 0;
  for (; position < looked.length && claimed.length < deliveriesAtOnce && left.sound > 0; position++) {
    const candidate = looked[position];
    const endpoint = candidate && endpointById.get(candidate.endpointId);
    // What waits for an endpoint that is off is cancelled by the upkeep.
    if (candidate === undefined || endpoint === undefined || !endpoint.active) continue;
    const keys = unseal(secrets, endpoint, now, log);
    if (keys === null) continue;
    const lane = lanes.laneOf(endpoint.id, endpoint.failingSince !== null, now);
    const room = lanes.roomOf(lane, candidate);
    for (const kind of ['fresh', 'backlog'] as const) {
      const limit = Math.min(room[kind], left.sound, isTroubled(lane) ? left.troubled : left.sound);
      if (limit === 0) continue;
      const request = { endpointId: endpoint.id, lane: kind, limit, now, leaseUntil: now + leaseMs };
      const deliveries = await claimDueDeliveries(trx, request);
      left.sound -= deliveries.length;
      if (isTroubled(lane)) left.troubled -= deliveries.length;
      for (const delivery of deliveries) claimed.push({ delivery, endpoint, keys });
    }
  }

  const bodies = await getEventBodies(trx, [
    ...new Set(claimed.map(({ delivery }) => delivery.eventSequence)),
  ]);
  const envelopes = claimed.flatMap(({ delivery, endpoint, keys }): Envelope[] => {
    const event = bodies.get(delivery.eventSequence);
    if (event === undefined) return [];
    return [{ delivery, leaseUntil: now + leaseMs, url: endpoint.url, secrets: keys, event }];
  });
  return { envelopes, rest: due.slice(position) };
}

/** Newest first. Null when they cannot be read: its deliveries wait for the right key, all others go on. */
function unseal(secrets: Secrets, endpoint: SigningEndpoint, now: number, log: Logger): string[] | null {
  try {
    const keys = [secrets.unseal(endpoint.secret, endpoint.id)];
    const { previousSecret, previousSecretUntil } = endpoint;
    if (previousSecret !== null && previousSecretUntil !== null && previousSecretUntil > now) {
      keys.push(secrets.unseal(previousSecret, endpoint.id));
    }
    return keys;
  } catch (error) {
    log.error({ endpoint_id: endpoint.id, err: error }, 'webhook secret unreadable');
    return null;
  }
}
