import type { Trx } from '../storage/schema.ts';
import {
  endRecovery,
  enqueueRecovery,
  findOldestExhausted,
  listRecovering,
  type RecoveringEndpoint,
} from '../storage/webhooks/recovery.ts';
import { enqueueDelivery } from '../storage/webhooks/replays.ts';
import { replayGapMs } from './replays.ts';

/*
 * Replay on recovery: ten attempts last half an hour, many outages longer. Once an endpoint accepts anything again,
 * what was given up there is sent again, as deliveries of their own, beside what a person may replay. Where nothing
 * happens that could be accepted, one delivery is tried again from time to time.
 */

const minuteMs = 60_000;
const dayMs = 24 * 60 * minuteMs;

/** What was given up longer ago is left to people. */
const recoveredMs = 5 * dayMs;

/**
 * An endpoint that takes nothing is tried for events up to this age: shorter than what disables it, so that a single
 * event that a receiver cannot take does not.
 */
const triedMs = 4 * dayMs;

const shortestPauseMs = 60 * minuteMs;

/** Bound one transaction. */
const endpointsAtOnce = 20;
const deliveriesAtOnce = 1_000;

export type Recovered = { endpointId: string; merchantId: string; deliveries: number };

/** Queues what was given up at endpoints that have accepted something since. */
export async function replayRecovered(trx: Trx, now: number): Promise<Recovered[]> {
  const recovered: Recovered[] = [];
  for (const { id, merchantId } of await listRecovering(trx, 'due', endpointsAtOnce)) {
    const range = {
      endpointId: id,
      since: now - recoveredMs,
      limit: deliveriesAtOnce,
      gapMs: replayGapMs,
      at: now,
    };
    const count = await enqueueRecovery(trx, range);
    if (count === null) continue;
    if (count < deliveriesAtOnce) await endRecovery(trx, id);
    if (count > 0) recovered.push({ endpointId: id, merchantId, deliveries: count });
  }
  return recovered;
}

/** Tries one delivery again at endpoints of which nothing was heard for a while; answers where. */
export async function tryAgain(trx: Trx, now: number): Promise<RecoveringEndpoint[]> {
  const tried: RecoveringEndpoint[] = [];
  for (const endpoint of await listRecovering(trx, 'awaited', endpointsAtOnce)) {
    const found = await findOldestExhausted(trx, endpoint.id, now - triedMs);
    if (found === null || now < found.lastGivenUpAt + pauseMs(endpoint, found.lastGivenUpAt)) continue;
    const { id: replayOf, ...event } = found.oldest;
    const { id: endpointId, merchantId } = endpoint;
    await enqueueDelivery(trx, { ...event, endpointId, merchantId, replayOf, at: now });
    tried.push(endpoint);
  }
  return tried;
}

/** An hour, or half as long as it has been failing: the longer, the less it is asked. */
function pauseMs({ failingSince }: RecoveringEndpoint, lastGivenUpAt: number): number {
  return Math.max(shortestPauseMs, (lastGivenUpAt - (failingSince ?? lastGivenUpAt)) / 2);
}
