import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../clock.ts';
import type { Logger } from '../log.ts';
import { type Loop, runLoop } from '../loop.ts';
import type { Outbound } from '../outbound.ts';
import { inTransaction } from '../storage/database.ts';
import {
  type DueEndpoint,
  findDueEndpoints,
  findNextDueAt,
  releaseClaims,
} from '../storage/delivery-queue.ts';
import type { Db } from '../storage/schema.ts';
import {
  attemptTimeoutMs,
  type Conclusion,
  conclude,
  concludeInterrupted,
  type Envelope,
  prepareCall,
} from './attempt.ts';
import { claimBatch } from './claim.ts';
import { createLanes, type EndpointLane } from './lanes.ts';
import { type Recorded, recordConclusions, reportRecorded } from './record.ts';
import type { Secrets } from './secrets.ts';
import { keepUp, pruneOnce } from './upkeep.ts';

export type NotifierOptions = {
  db: Db;
  outbound: Outbound;
  secrets: Secrets;
  headerPrefix: string;
  clock: Clock;
  log: Logger;
  /** No other process delivers from this database (SQLite): leases found at the start are a dead process's. */
  exclusive?: boolean;
  /** Deliveries that ended earlier than this are deleted, with their attempts. */
  retentionMs?: number;
  /** Requests at a time to one endpoint. */
  perEndpoint?: number;
  /** Deliveries claimed at a time, of all endpoints. */
  total?: number;
  /** 0 to 1, for the jitter of the schedule. */
  random?: () => number;
  /** Told of each attempt that ended, for metrics. */
  observe?: (conclusion: Conclusion) => void;
};

export type Notifier = {
  /** Delivers until stopped. */
  start(): void;
  /** Something was queued: look now, not at the next poll. */
  wake(): void;
  /** One round: records what has ended, claims what is due and begins to send it. Does not wait for answers. */
  step(): Promise<{ claimed: number }>;
  /** Rounds until nothing is due and nothing under way. For whoever runs no loop. */
  drain(): Promise<void>;
  /** Begins nothing more, gives what has begun `graceMs`, records it, and returns everything else unsent. */
  stop(graceMs?: number): Promise<void>;
};

const pollMs = 500;
/** Between two looks, however long they take. */
const longestPauseMs = 200;
const upkeepEveryMs = 1_000;
const pruneEveryMs = 60_000;
const defaultRetentionMs = 90 * 24 * 60 * 60 * 1000;

/** Results are gathered this long, or until there are so many, and then committed together. */
const gatherMs = 5;
const gatherMost = 64;
const recordedAtOnce = 256;

/** A claim that would have to be sent with less than this left of its lease is returned instead. */
const leaseReserveMs = attemptTimeoutMs + 2_000;

/**
 * Delivers webhooks: claims what is due under a lease, signs and sends it with no transaction open, and
 * records the result. Whenever the process dies, each delivery is either recorded or under a lease that
 * ends: sent at least once, never lost.
 */
export function createNotifier(options: NotifierOptions): Notifier {
  const { db, outbound, secrets, headerPrefix, clock, log, random = Math.random } = options;
  const lanes = createLanes({ perEndpoint: options.perEndpoint ?? 4, total: options.total ?? 1024 });
  const stopSending = new AbortController();
  setMaxListeners(0, stopSending.signal);

  /** Claimed and not begun. */
  const waiting = new Set<Envelope>();
  const running = new Set<Promise<void>>();
  /** Everything from its claim to its record. */
  const held = new Set<number>();
  /** Endpoints that were complained of already. */
  const unreadable = new Set<string>();
  const concluded: Conclusion[] = [];
  const unsent: Envelope[] = [];

  let due: readonly DueEndpoint[] = [];
  let lookAgainAt = 0;
  /** Whether the last round looked for what is due, or had to leave it for later. */
  let looked = true;
  /** Whether the last round returned something that may be due at once. */
  let returnedSome = false;
  let upkeepAt = Number.NEGATIVE_INFINITY;
  let pruneAt = Number.NEGATIVE_INFINITY;
  /** Until the leases that were there before us are dealt with. */
  let predecessorGone = options.exclusive ?? false;
  let loop: Loop | null = null;
  let gathering: NodeJS.Timeout | null = null;
  let stopping: Promise<void> | null = null;

  async function step(): Promise<{ claimed: number }> {
    const now = clock();
    returnedSome = false;
    if (now - upkeepAt >= upkeepEveryMs) await runUpkeep(now);
    if (due.length === 0) await lookForDue(now);
    return { claimed: await commit(now, due.length > 0) };
  }

  /** Looking costs a moment for each endpoint with a queue: with very many, not more than it must. */
  async function lookForDue(now: number): Promise<void> {
    const startedAt = performance.now();
    looked = startedAt >= lookAgainAt;
    if (!looked) return;
    due = await findDueEndpoints(db, now);
    const tookMs = performance.now() - startedAt;
    lookAgainAt = tookMs < 5 ? 0 : performance.now() + Math.min(10 * tookMs, longestPauseMs);
  }

  /** One transaction for what has ended and what begins. Answers how many were claimed. */
  async function commit(now: number, claiming: boolean): Promise<number> {
    const ended = concluded.slice(0, recordedAtOnce);
    const returned = unsent.slice(0, recordedAtOnce);
    if (ended.length === 0 && returned.length === 0 && !claiming) return 0;
    const { recorded, claim } = await inTransaction(db, async (trx) => {
      await releaseClaims(
        trx,
        returned.map(({ delivery }) => delivery),
      );
      const recorded = await recordConclusions(trx, ended, now);
      const claim = claiming ? await claimBatch(trx, due, now, { lanes, secrets, onUnreadable }) : null;
      return { recorded, claim };
    });
    concluded.splice(0, ended.length);
    unsent.splice(0, returned.length);
    for (const { record } of ended) held.delete(record.deliveryId);
    for (const { delivery } of returned) held.delete(delivery.id);
    returnedSome = returned.length > 0;
    report(recorded, ended);
    if (claim === null) return 0;
    due = claim.rest;
    for (const envelope of claim.envelopes) begin(envelope, now);
    return claim.envelopes.length;
  }

  function onUnreadable(endpointId: string, error: unknown): void {
    if (unreadable.has(endpointId)) return;
    unreadable.add(endpointId);
    log.error({ endpoint_id: endpointId, err: error }, 'webhook secret unreadable');
  }

  function begin(envelope: Envelope, now: number): void {
    const { delivery } = envelope;
    held.add(delivery.id);
    if (stopping !== null) {
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
  }

  async function attempt(envelope: Envelope, lane: EndpointLane): Promise<void> {
    waiting.delete(envelope);
    const sending = send(envelope, lane);
    running.add(sending);
    await sending;
    running.delete(sending);
    lane.claimed--;
    if (envelope.delivery.lane === 'backlog') lane.claimedBacklog--;
    lane.usedAt = clock();
    gather();
  }

  async function send(envelope: Envelope, lane: EndpointLane): Promise<void> {
    const { delivery } = envelope;
    const startedAt = clock();
    if (envelope.leaseUntil - startedAt < leaseReserveMs) {
      unsent.push(envelope);
      return;
    }
    const call = prepareCall(envelope, headerPrefix, startedAt);
    const result = await outbound.send({ ...call, signal: stopSending.signal });
    if (result.kind === 'failure' && stopSending.signal.aborted) {
      const endedAt = startedAt + result.durationMs;
      concluded.push(concludeInterrupted(delivery, { startedAt, endedAt, random: random() }));
      return;
    }
    const conclusion = conclude(delivery, { startedAt, result, random: random() });
    const answered = result.kind === 'answer' && conclusion.verdict.kind !== 'retry';
    lanes.observe(lane, { answered, durationMs: result.durationMs });
    concluded.push(conclusion);
  }

  function gather(): void {
    if (concluded.length + unsent.length >= gatherMost) {
      loop?.wake();
      return;
    }
    gathering ??= setTimeout(() => {
      gathering = null;
      loop?.wake();
    }, gatherMs);
  }

  async function runUpkeep(now: number): Promise<void> {
    const leasesUntil = predecessorGone ? Number.POSITIVE_INFINITY : now;
    const done = await inTransaction(db, (trx) =>
      keepUp(trx, { now, leasesUntil, isOurs: (id) => held.has(id), random }),
    );
    if (done.returned === 0) predecessorGone = false;
    upkeepAt = done.returned === 0 ? now : Number.NEGATIVE_INFINITY;
    lanes.forgetIdle(now);
    report(done, done.conclusions);
    if (done.returned > 0) log.info({ deliveries: done.returned }, 'interrupted webhooks returned');
    if (done.cancelled > 0)
      log.info({ deliveries: done.cancelled }, 'webhooks of inactive endpoints cancelled');
    if (now < pruneAt) return;
    const before = now - (options.retentionMs ?? defaultRetentionMs);
    const more = await inTransaction(db, (trx) => pruneOnce(trx, before));
    pruneAt = now + (more ? 0 : pruneEveryMs);
  }

  function report(recorded: Recorded, ended: readonly Conclusion[]): void {
    reportRecorded(log, recorded);
    if (ended.length === 0) return;
    for (const conclusion of ended) options.observe?.(conclusion);
    const delivered = ended.filter(({ verdict }) => verdict.kind === 'delivered').length;
    log.debug({ attempts: ended.length, delivered }, 'webhook attempts recorded');
  }

  async function restMs(claimed: number): Promise<number> {
    if (returnedSome || (claimed > 0 && due.length > 0)) return 0;
    const now = clock();
    const nextDueAt = await findNextDueAt(db, now);
    const looksInMs = looked ? pollMs : lookAgainAt - performance.now();
    return Math.max(0, Math.min(pollMs, looksInMs, nextDueAt === null ? pollMs : nextDueAt - now));
  }

  async function stop(graceMs: number): Promise<void> {
    lanes.clear();
    unsent.push(...waiting);
    waiting.clear();
    await loop?.stop();
    const grace = new AbortController();
    await Promise.race([
      Promise.all(running),
      sleep(graceMs, undefined, { signal: grace.signal }).catch(() => {}),
    ]);
    grace.abort();
    stopSending.abort();
    await Promise.all(running);
    if (gathering !== null) clearTimeout(gathering);
    try {
      while (concluded.length + unsent.length > 0) await commit(clock(), false);
    } catch (error) {
      // Their leases end by themselves.
      log.warn({ err: error, deliveries: held.size }, 'webhooks left to their leases');
    }
  }

  return {
    step,
    start() {
      loop ??= runLoop({
        name: 'notify',
        step: async () => restMs((await step()).claimed),
        delay: (ms) => ms,
        log,
      });
    },
    wake: () => loop?.wake(),
    async drain() {
      for (;;) {
        const { claimed } = await step();
        await Promise.all(running);
        const quiet = claimed === 0 && due.length === 0 && held.size === 0 && !returnedSome;
        if (quiet && looked) return;
        // Queues begin what waits after this turn of the event loop.
        if (running.size === 0) await new Promise(setImmediate);
      }
    },
    stop(graceMs = 8_000) {
      stopping ??= stop(graceMs);
      return stopping;
    },
  };
}
