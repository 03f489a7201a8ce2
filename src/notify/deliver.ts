import type { Clock } from '../clock.ts';
import type { Logger } from '../log.ts';
import { type Loop, runLoop } from '../loop.ts';
import type { Outbound } from '../outbound.ts';
import { inTransaction } from '../storage/database.ts';
import type { Db } from '../storage/schema.ts';
import { addEndpointMeasurements } from '../storage/webhooks/measurements.ts';
import {
  type DueEndpoint,
  findDueEndpoints,
  findNextDueAt,
  releaseClaims,
} from '../storage/webhooks/queue.ts';
import type { Conclusion } from './attempt.ts';
import { claimBatch } from './claim.ts';
import { createLanes } from './lanes.ts';
import { countAttempts } from './measure.ts';
import { type Recorded, recordConclusions, reportRecorded } from './record.ts';
import type { GiveUpReason } from './schedule.ts';
import type { Secrets } from './secrets.ts';
import { createSender } from './sender.ts';
import { createUpkeep } from './upkeep.ts';

export type NotifierOptions = {
  db: Db;
  outbound: Outbound;
  secrets: Secrets;
  /** False in a sandbox. */
  livemode?: boolean;
  headerPrefix: string;
  clock: Clock;
  log: Logger;
  /** No other process delivers from this database (SQLite): leases found at the start are a dead process's. */
  exclusive?: boolean;
  /** Deliveries that ended earlier than this are deleted, with their attempts. */
  retentionMs?: number;
  /** What was given up is sent again once its endpoint accepts something; by default it is. */
  replayOnRecovery?: boolean;
  /** Requests at a time to one endpoint. */
  perEndpoint?: number;
  /** Deliveries claimed at a time, of all endpoints. */
  total?: number;
  /** 0 to 1, for the jitter of the schedule. */
  random?: () => number;
  /** Whether our clock is known to be wrong; by default never. */
  isClockKnownWrong?: () => Promise<boolean>;
  /** Whether our clock is known to be right, so that what is old by it is old; by default always. */
  isClockConfirmed?: () => Promise<boolean>;
  /** Told of each attempt that ended, for metrics. */
  observe?: (conclusion: Conclusion) => void;
  /** Told of each delivery that was given up, for metrics. */
  gaveUp?: (reason: GiveUpReason) => void;
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
/** Between two looks while nothing is known to be due, however long they take. */
const longestPauseMs = 200;
const defaultRetentionMs = 90 * 24 * 60 * 60 * 1000;

/** Bounds one transaction. */
const recordedAtOnce = 256;

/**
 * Delivers webhooks: claims what is due under a lease, hands it to the sender, which signs and sends it with
 * no transaction open, and records the result. Whenever the process dies, each delivery is either recorded or
 * under a lease that ends: sent at least once, never lost.
 */
export function createNotifier(options: NotifierOptions): Notifier {
  const { db, outbound, secrets, headerPrefix, clock, log, random = Math.random, livemode = true } = options;
  const lanes = createLanes({ perEndpoint: options.perEndpoint ?? 4, total: options.total ?? 1024 });
  const sender = createSender({
    outbound,
    lanes,
    headerPrefix,
    clock,
    random,
    isClockKnownWrong: options.isClockKnownWrong ?? (async () => false),
    onEnded: () => loop?.wake(),
    onFault: ({ delivery: { id, endpointId } }, error) =>
      log.error({ delivery_id: id, endpoint_id: endpointId, err: error }, 'webhook attempt broken off'),
  });
  const upkeep = createUpkeep({
    db,
    clock,
    log,
    livemode,
    exclusive: options.exclusive ?? false,
    retentionMs: options.retentionMs ?? defaultRetentionMs,
    replayOnRecovery: options.replayOnRecovery ?? true,
    random,
    isClockConfirmed: options.isClockConfirmed ?? (async () => true),
    isOurs: sender.holds,
    onRecorded: report,
  });

  /** Endpoints whose secret could not be read, and of which the log has told already. */
  const unreadable = new Set<string>();

  /** The endpoints that have something due and wait for their turn, as of the last look. */
  let due: readonly DueEndpoint[] = [];
  /** How many they were at that look. */
  let dueAtLook = 0;
  let lookedAt = Number.NEGATIVE_INFINITY;
  let lookTookMs = 0;
  /** Whether the last round looked for what is due, or had to leave it for later. */
  let looked = true;
  /** Whether the last round returned something that may be due at once. */
  let returnedSome = false;
  let loop: Loop | null = null;
  let stopping: Promise<void> | null = null;

  async function step(): Promise<{ claimed: number }> {
    const now = clock();
    returnedSome = false;
    if (await upkeep.step(now)) lanes.forgetIdle(now);
    await lookForDue(now);
    return { claimed: await commit(now, due.length > 0) };
  }

  /** When to look for what is due, on the clock of `performance`. */
  function lookAgainAt(): number {
    // Looking costs a moment for each endpoint with a queue: a tenth of the time at most where there are many.
    if (due.length > 0) return lookedAt + 10 * lookTookMs;
    return lookTookMs < 5 ? lookedAt : lookedAt + Math.min(10 * lookTookMs, longestPauseMs);
  }

  /** Also while a round goes on: who has just got something due need not wait for its end. */
  async function lookForDue(now: number): Promise<void> {
    const startedAt = performance.now();
    looked = startedAt >= lookAgainAt();
    if (!looked) return;
    due = lanes.inTurn(await findDueEndpoints(db, now), now);
    dueAtLook = due.length;
    lookedAt = performance.now();
    lookTookMs = lookedAt - startedAt;
  }

  /** One transaction for what has ended and what begins. Returns how many were claimed. */
  async function commit(now: number, claiming: boolean): Promise<number> {
    const ended = sender.ended(recordedAtOnce);
    if (ended.concluded.length === 0 && ended.unsent.length === 0 && !claiming) return 0;
    const share = lanes.shareOf(dueAtLook);
    const { recorded, claim } = await inTransaction(db, async (trx) => {
      await releaseClaims(
        trx,
        ended.unsent.map(({ delivery }) => delivery),
      );
      const recorded = await recordConclusions(trx, ended.concluded, { now, livemode });
      const claim = claiming
        ? await claimBatch(trx, due, now, { lanes, secrets, share, onUnreadable })
        : null;
      // Last: other processes that deliver to the same endpoints wait for these rows.
      await addEndpointMeasurements(trx, countAttempts(ended.concluded, now));
      return { recorded, claim };
    });
    sender.done(ended);
    returnedSome = ended.unsent.length > 0;
    report(recorded, ended.concluded);
    if (claim === null) return 0;
    due = claim.notReached;
    for (const envelope of claim.envelopes) sender.begin(envelope, now);
    return claim.envelopes.length;
  }

  function onUnreadable(endpointId: string, error: unknown): void {
    if (unreadable.has(endpointId)) return;
    unreadable.add(endpointId);
    log.error({ endpoint_id: endpointId, err: error }, 'webhook secret unreadable');
  }

  function report(recorded: Recorded, ended: readonly Conclusion[]): void {
    reportRecorded(log, recorded);
    for (const { reason } of recorded.givenUp) options.gaveUp?.(reason);
    if (ended.length === 0) return;
    for (const conclusion of ended) options.observe?.(conclusion);
    const delivered = ended.filter(({ verdict }) => verdict.kind === 'delivered').length;
    log.debug({ attempts: ended.length, delivered }, 'webhook attempts recorded');
  }

  async function pauseMs(claimed: number): Promise<number> {
    // Who had its turn may have more due than it could claim in it.
    if (returnedSome || claimed > 0) return 0;
    const now = clock();
    const nextDueAt = await findNextDueAt(db, now);
    const looksInMs = looked ? pollMs : lookAgainAt() - performance.now();
    return Math.max(0, Math.min(pollMs, looksInMs, nextDueAt === null ? pollMs : nextDueAt - now));
  }

  async function stop(graceMs: number): Promise<void> {
    sender.close();
    await loop?.stop();
    await sender.finish(graceMs);
    try {
      while (sender.hasEnded()) await commit(clock(), false);
    } catch (error) {
      // Their leases end by themselves.
      log.warn({ err: error, deliveries: sender.held() }, 'webhooks left to their leases');
    }
  }

  return {
    step,
    start() {
      loop ??= runLoop({
        name: 'notify',
        step: async () => pauseMs((await step()).claimed),
        delay: (ms) => ms,
        log,
      });
    },
    wake: () => loop?.wake(),
    async drain() {
      for (;;) {
        const { claimed } = await step();
        await sender.settled();
        const quiet = claimed === 0 && due.length === 0 && sender.held() === 0 && !returnedSome;
        if (quiet && looked) return;
        // Queues begin what waits after this turn of the event loop.
        if (sender.sending() === 0) await new Promise(setImmediate);
      }
    },
    stop(graceMs = 8_000) {
      stopping ??= stop(graceMs);
      return stopping;
    },
  };
}
