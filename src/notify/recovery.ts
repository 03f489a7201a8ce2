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

/**
 * One part of the endpoints, in the order of their ids: many may have to wait for long, and keep none of the others waiting. `next` is
 * the `after` of the next part; empty where this was the last one.
 */
type Part<T> = { done: T[]; next: string };

/** Queues what was given up at endpoints that have accepted something since. */
export async function replayRecovered(trx: Trx, now: number, after = ''): Promise<Part<Recovered>> {
  const recovered: Recovered[] = [];
  const endpoints = await listRecovering(trx, 'due', { after, limit: endpointsAtOnce });
  for (const { id, merchantId } of endpoints) {
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
  return { done: recovered, next: nextAfter(endpoints) };
}

/** Tries one delivery again at endpoints of which nothing was heard for a while; answers where. */
export async function tryAgain(trx: Trx, now: number, after = ''): Promise<Part<RecoveringEndpoint>> {
  const tried: RecoveringEndpoint[] = [];
  const endpoints = await listRecovering(trx, 'awaited', { after, limit: endpointsAtOnce });
  for (const endpoint of endpoints) {
    const found = await findOldestExhausted(trx, endpoint.id, now - triedMs);
    if (found === null || now < found.lastGivenUpAt + pauseMs(endpoint, found.lastGivenUpAt)) continue;
    const { id: replayOf, ...event } = found.oldest;
    const { id: endpointId, merchantId } = endpoint;
    await enqueueDelivery(trx, { ...event, endpointId, merchantId, replayOf, at: now });
    tried.push(endpoint);
  }
  return { done: tried, next: nextAfter(endpoints) };
}

function nextAfter(endpoints: readonly RecoveringEndpoint[]): string {
  return endpoints.length < endpointsAtOnce ? '' : (endpoints.at(-1)?.id ?? '');
}

/** An hour, or half as long as it has been failing: the longer, the less it is asked. */
function pauseMs({ failingSince }: RecoveringEndpoint, lastGivenUpAt: number): number {
  return Math.max(shortestPauseMs, (lastGivenUpAt - (failingSince ?? lastGivenUpAt)) / 2);
}
