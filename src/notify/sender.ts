import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../clock.ts';
import type { Outbound, OutboundResult } from '../outbound.ts';
import {
  attemptTimeoutMs,
  type Conclusion,
  conclude,
  concludeInterrupted,
  type Envelope,
  type Exchange,
  otherOrder,
  prepareCall,
} from './attempt.ts';
import type { EndpointLane, Lanes } from './lanes.ts';
import { refusesSignature } from './schedule.ts';

/** What this process has claimed, until the database knows how it ended: waiting, under way, or ended. */
export type Sender = {
  /** Sends a claimed delivery as soon as its endpoint has a place. */
  begin(envelope: Envelope, now: number): void;
  /** Whether a delivery is ours, from its claim to its record. */
  holds(deliveryId: number): boolean;
  /** How many those are. */
  held(): number;
  /** How many are under way. */
  sending(): number;
  /** What has ended, oldest first, at most `limit` of each kind. Stays until it is `done`. */
  ended(limit: number): Ended;
  /** The first of `ended` are recorded. */
  done(recorded: Ended): void;
  /** Whether anything has ended that is not recorded. */
  hasEnded(): boolean;
  /** Resolves when what is under way now has ended. */
  settled(): Promise<void>;
  /** Nothing more begins: what waits becomes unsent. */
  close(): void;
  /** Gives what is under way `graceMs` and cuts off the rest. */
  finish(graceMs: number): Promise<void>;
};

export type Ended = {
  concluded: readonly Conclusion[];
  /** Claimed and not sent: to be returned, uncounted. */
  unsent: readonly Envelope[];
};

export type SenderOptions = {
  outbound: Outbound;
  lanes: Lanes;
  headerPrefix: string;
  clock: Clock;
  /** 0 to 1, for the jitter of the schedule. */
  random: () => number;
  /** Whether our clock is known to be wrong; then a refused signature ends no delivery. */
  isClockKnownWrong: () => Promise<boolean>;
  /** It is time to record what has ended. */
  onEnded: () => void;
  /** Told of an attempt that a fault of ours broke off. */
  onFault: (envelope: Envelope, error: unknown) => void;
};

const brokenOff = 'a fault of depositd broke the attempt off; whether it was sent is not known';

/** What ended is gathered this long, or until there is so much, and then recorded together. */
const gatherMs = 5;
const gatherMost = 64;

/** A claim that would have to be sent with less than what it may take left of its lease is returned instead. */
function leaseReserveMs({ keys }: Envelope): number {
  // While a rotation is open, an attempt can be two requests.
  return attemptTimeoutMs * (keys.length > 1 ? 2 : 1) + 2_000;
}

/** Sends what is claimed, with no transaction open and no thought of the database. */
export function createSender(options: SenderOptions): Sender {
  const { outbound, lanes, headerPrefix, clock, random, isClockKnownWrong, onEnded, onFault } = options;
  const cutOff = new AbortController();
  setMaxListeners(0, cutOff.signal);

  const held = new Set<number>();
  /** Claimed and not begun. */
  const waiting = new Set<Envelope>();
  const running = new Set<Promise<void>>();
  const concluded: Conclusion[] = [];
  const unsent: Envelope[] = [];
  let gathering: NodeJS.Timeout | null = null;
  let closed = false;

  async function attempt(envelope: Envelope, lane: EndpointLane): Promise<void> {
    waiting.delete(envelope);
    const startedAt = clock();
    // Whatever goes wrong, the delivery ends here: nobody else looks for one that this process holds.
    const sending = send(envelope, lane, startedAt).catch((error) => {
      const times = { startedAt, endedAt: clock(), random: random() };
      concluded.push(concludeInterrupted(envelope.delivery, times, brokenOff));
      onFault(envelope, error);
    });
    running.add(sending);
    await sending;
    running.delete(sending);
    lane.claimed--;
    if (envelope.delivery.lane === 'backlog') lane.claimedBacklog--;
    lane.usedAt = clock();
    gather();
  }

  async function send(envelope: Envelope, lane: EndpointLane, startedAt: number): Promise<void> {
    const { delivery } = envelope;
    if (envelope.leaseUntil - startedAt < leaseReserveMs(envelope)) {
      unsent.push(envelope);
      return;
    }
    const exchange = await exchangeOf(envelope, startedAt);
    const { result } = exchange;
    const endedAt = startedAt + result.durationMs + (exchange.refused?.result.durationMs ?? 0);
    if (result.kind === 'failure' && cutOff.signal.aborted) {
      concluded.push(concludeInterrupted(delivery, { startedAt, endedAt, random: random() }));
      return;
    }
    const clockWrong = await mayBeClock(result);
    const conclusion = conclude(exchange, { startedAt, endedAt, random: random(), clockWrong });
    const answered = result.kind === 'answer' && conclusion.verdict.kind !== 'retry';
    lanes.observe(lane, { answered, durationMs: result.durationMs });
    concluded.push(conclusion);
  }

  async function exchangeOf(envelope: Envelope, startedAt: number): Promise<Exchange> {
    const first = { envelope, result: await request(envelope, startedAt), refused: null };
    const other = otherOrder(first);
    if (other === null) return first;
    return { envelope: other, result: await request(other, clock()), refused: first };
  }

  /** Asked where a signature was refused alone. Nobody who cannot be asked says that the clock is right. */
  async function mayBeClock(result: OutboundResult): Promise<boolean> {
    if (result.kind !== 'answer' || !refusesSignature(result.status)) return false;
    return isClockKnownWrong().catch(() => true);
  }

  function request(envelope: Envelope, now: number): Promise<OutboundResult> {
    return outbound.send({ ...prepareCall(envelope, headerPrefix, now), signal: cutOff.signal });
  }

  function gather(): void {
    if (concluded.length + unsent.length >= gatherMost) {
      onEnded();
      return;
    }
    gathering ??= setTimeout(() => {
      gathering = null;
      onEnded();
    }, gatherMs);
  }

  return {
    begin(envelope, now) {
      const { delivery } = envelope;
      held.add(delivery.id);
      if (closed) {
        unsent.push(envelope);
        return;
      }
      const lane = lanes.laneOf(delivery.endpointId, false, now);
      lane.claimed++;
      if (delivery.lane === 'backlog') lane.claimedBacklog++;
      waiting.add(envelope);
      const priority = delivery.lane === 'fresh' ? 1 : 0;
      // Rejects when the queue is cleared; whoever clears it takes care of what waits.
      lane.queue.add(() => attempt(envelope, lane), { priority }).catch(() => {});
    },
    holds: (deliveryId) => held.has(deliveryId),
    held: () => held.size,
    sending: () => running.size,
    ended: (limit) => ({ concluded: concluded.slice(0, limit), unsent: unsent.slice(0, limit) }),
    done(recorded) {
      concluded.splice(0, recorded.concluded.length);
      unsent.splice(0, recorded.unsent.length);
      for (const { record } of recorded.concluded) held.delete(record.deliveryId);
      for (const { delivery } of recorded.unsent) held.delete(delivery.id);
    },
    hasEnded: () => concluded.length + unsent.length > 0,
    async settled() {
      await Promise.all(running);
    },
    close() {
      closed = true;
      lanes.clear();
      unsent.push(...waiting);
      waiting.clear();
    },
    async finish(graceMs) {
      const grace = new AbortController();
      await Promise.race([
        Promise.all(running),
        sleep(graceMs, undefined, { signal: grace.signal }).catch(() => {}),
      ]);
      grace.abort();
      cutOff.abort();
      await Promise.all(running);
      if (gathering !== null) clearTimeout(gathering);
    },
  };
}
