import type { Trx } from '../storage/schema.ts';
import { getSigningEndpoints, type SigningEndpoint } from '../storage/webhooks/endpoints.ts';
import {
  type ClaimedDelivery,
  claimDueDeliveries,
  type DueEndpoint,
  getEventBodies,
} from '../storage/webhooks/queue.ts';
import type { Envelope, SigningKey } from './attempt.ts';
import type { Headers } from './headers.ts';
import { claimedAtOnce, isTroubled, type Lanes } from './lanes.ts';
import { headersSeal, type Secrets } from './secrets.ts';

/** How long a claim protects a delivery from being taken for lost; more than an attempt takes. */
export const leaseMs = 30_000;

/** Bounds one transaction, beside `claimedAtOnce`. */
const endpointsAtOnce = 64;

export type ClaimTools = {
  lanes: Lanes;
  secrets: Secrets;
  /** What one endpoint may claim in its turn. */
  share: number;
  /** Told of an endpoint whose secrets cannot be read: its deliveries wait, all others go on. */
  onUnreadable: (endpointId: string, error: unknown) => void;
};

/**
 * Claims what is due, as far as each endpoint's lane and the process as a whole have room. `notReached` are the endpoints of
 * `due` whose turn did not come: they are the first next time.
 */
export async function claimBatch(
  trx: Trx,
  due: readonly DueEndpoint[],
  now: number,
  tools: ClaimTools,
): Promise<{ envelopes: Envelope[]; notReached: readonly DueEndpoint[] }> {
  const { lanes, share } = tools;
  const looked = due.slice(0, endpointsAtOnce);
  const endpoints = await getSigningEndpoints(
    trx,
    looked.map(({ endpointId }) => endpointId),
  );
  const endpointById = new Map(endpoints.map((endpoint) => [endpoint.id, endpoint]));
  const left = lanes.budget();
  const claimed: { delivery: ClaimedDelivery; endpoint: SigningEndpoint; unsealed: Unsealed }[] = [];
  let position = 0;
  for (; position < looked.length && claimed.length < claimedAtOnce && left.sound > 0; position++) {
    const candidate = looked[position];
    const endpoint = candidate && endpointById.get(candidate.endpointId);
    // What waits for a disabled endpoint is cancelled by the upkeep.
    if (candidate === undefined || endpoint === undefined || !endpoint.active) continue;
    const lane = lanes.laneOf(endpoint.id, endpoint.failingSince !== null, now);
    lanes.tookTurn(lane);
    const room = lanes.roomOf(lane, candidate, share);
    const unsealed = room.fresh + room.backlog > 0 ? unseal(tools, endpoint, now) : null;
    if (unsealed === null) continue;
    for (const kind of ['fresh', 'backlog'] as const) {
      const limit = Math.min(room[kind], left.sound, isTroubled(lane) ? left.troubled : left.sound);
      if (limit === 0) continue;
      const request = { endpointId: endpoint.id, lane: kind, limit, now, leaseUntil: now + leaseMs };
      const deliveries = await claimDueDeliveries(trx, request);
      left.sound -= deliveries.length;
      if (isTroubled(lane)) left.troubled -= deliveries.length;
      for (const delivery of deliveries) claimed.push({ delivery, endpoint, unsealed });
    }
  }

  const sequences = new Set(claimed.map(({ delivery }) => delivery.eventSequence));
  const bodies = await getEventBodies(trx, [...sequences]);
  const envelopes = claimed.flatMap(({ delivery, endpoint, unsealed }): Envelope[] => {
    const event = bodies.get(delivery.eventSequence);
    if (event === undefined) return [];
    const { url, rotatedAt } = endpoint;
    return [{ delivery, leaseUntil: now + leaseMs, url, rotatedAt, event, ...unsealed }];
  });
  return { envelopes, notReached: due.slice(position) };
}

type Unsealed = Pick<Envelope, 'keys' | 'headers'>;

/**
 * Null when they cannot be read. While a rotation is open the old secret signs last, as receivers that have not
 * changed need it, or the new one where the receiver has shown that it needs that.
 */
function unseal(
  { secrets, onUnreadable }: ClaimTools,
  endpoint: SigningEndpoint,
  now: number,
): Unsealed | null {
  const { id, previousSecret, previousSecretUntil, lastSigner, headers } = endpoint;
  try {
    const keys: SigningKey[] = [{ signer: 'current', secret: secrets.unseal(endpoint.secret, id) }];
    if (previousSecret !== null && previousSecretUntil !== null && previousSecretUntil > now) {
      keys.push({ signer: 'previous', secret: secrets.unseal(previousSecret, id) });
    }
    if (lastSigner === 'current') keys.reverse();
    const own = headers === null ? {} : (JSON.parse(secrets.unseal(headers, headersSeal(id))) as Headers);
    return { keys, headers: own };
  } catch (error) {
    onUnreadable(id, error);
    return null;
  }
}
