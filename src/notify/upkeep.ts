import { type Clock, steadyClock } from '../clock.ts';
import type { Logger } from '../log.ts';
import { inTransaction } from '../storage/database.ts';
import { noteSetBack } from '../storage/operators/daemons.ts';
import type { Db, Trx } from '../storage/schema.ts';
import { forgetEndedRotations } from '../storage/webhooks/endpoints.ts';
import {
  bringForward,
  cancelOfDisabledEndpoints,
  findExpiredLeases,
  moveDue,
  pruneDeliveries,
} from '../storage/webhooks/upkeep.ts';
import { type Conclusion, concludeInterrupted } from './attempt.ts';
import { leaseMs } from './claim.ts';
import { type Recorded, recordConclusions } from './record.ts';
import { replayRecovered, tryAgain } from './recovery.ts';
import { windowMs } from './schedule.ts';

/*
 * What is done beside delivering: attempts whose process died return to the schedule, deliveries to disabled endpoints are
 * cancelled, what was given up is sent again to endpoints that have recovered, old deliveries are deleted, and a clock that was
 * set back is made up for.
 */

export type UpkeepDeps = {
  db: Db;
  clock: Clock;
  log: Logger;
  /** False in a sandbox. */
  livemode: boolean;
  /** No other process delivers from this database (SQLite): leases found at the start are a dead process's. */
  exclusive: boolean;
  /** Deliveries that ended earlier than this are deleted, with their attempts. */
  retentionMs: number;
  /** Whether what was given up is sent again once its endpoint accepts something. */
  replayOnRecovery: boolean;
  /** 0 to 1, for the jitter of the schedule. */
  random: () => number;
  /** Whether our clock is known to be right, so that what is old by it is old. */
  isClockConfirmed: () => Promise<boolean>;
  /** Whether this process has a delivery under way, however long that takes. */
  isOurs: (deliveryId: number) => boolean;
  /** Told of attempts whose process died, once that is recorded. */
  onRecorded: (recorded: Recorded, conclusions: readonly Conclusion[]) => void;
};

const everyMs = 1_000;
const pruneEveryMs = 60_000;
const tryAgainEveryMs = 60_000;

/** A clock that was set back by less, ms, is kept right as it should be. */
const noticedMs = 1_000;

/** Bounds one transaction. */
const atOnce = 500;

/** `step` does what is due, and returns false where nothing was: it may be called at any rate. */
export function createUpkeep(deps: UpkeepDeps): { step(now: number): Promise<boolean> } {
  const { db, clock, log } = deps;
  const steady = steadyClock(clock);
  /** When each was done last, by the steady clock. */
  let keptUpAt = Number.NEGATIVE_INFINITY;
  let prunedAt = Number.NEGATIVE_INFINITY;
  let triedAgainAt = Number.NEGATIVE_INFINITY;
  /** After which endpoint the next part of them is looked at; empty: from the first. */
  let recoveredUpTo = '';
  let triedUpTo = '';
  /** By how much the steady clock is ahead of ours; null before the first look. */
  let aheadMs: number | null = null;
  /** Until the leases that were there before us are dealt with. */
  let predecessorGone = deps.exclusive;

  async function step(now: number): Promise<boolean> {
    if (steady() - keptUpAt < everyMs) return false;
    await followClock(now);
    await keepUp(now);
    if (deps.replayOnRecovery) await recover(now);
    await prune(now);
    return true;
  }

  /**
   * Where our clock was set back, what waits for a time by it waits as long as it did before. Where other processes deliver
   * from this database too, its own clock tells the time.
   */
  async function followClock(now: number): Promise<void> {
    if (!deps.exclusive) return;
    const before = aheadMs;
    aheadMs = steady() - now;
    const setBackMs =
      before === null ? await inTransaction(db, (trx) => noteSetBack(trx, now)) : aheadMs - before;
    if (setBackMs < noticedMs) return;
    await inTransaction(db, (trx) => moveDue(trx, { now, byMs: setBackMs }));
    log.warn({ seconds: Math.round(setBackMs / 1000) }, 'clock set back');
  }

  async function keepUp(now: number): Promise<void> {
    const { livemode, random, isOurs } = deps;
    // When no other process can hold a lease, all that are not ours are over.
    const leasesUntil = predecessorGone ? Number.MAX_SAFE_INTEGER : now;
    const done = await inTransaction(db, async (trx) => {
      const returned = await returnInterrupted(trx, { now, livemode, leasesUntil, isOurs, random });
      const cancelled = await cancelOfDisabledEndpoints(trx, { limit: atOnce, at: now });
      await bringForward(trx, { now, latest: now + windowMs });
      await forgetEndedRotations(trx, now);
      return { ...returned, cancelled };
    });
    const returned = done.conclusions.length;
    if (returned === 0) predecessorGone = false;
    // There may be more leases than one transaction returns: then the next round does not wait.
    keptUpAt = returned === 0 ? steady() : Number.NEGATIVE_INFINITY;
    deps.onRecorded(done.recorded, done.conclusions);
    if (returned > 0) log.info({ deliveries: returned }, 'interrupted webhooks returned');
    if (done.cancelled > 0)
      log.info({ deliveries: done.cancelled }, 'webhooks of disabled endpoints cancelled');
  }

  async function recover(now: number): Promise<void> {
    const recovered = await inTransaction(db, (trx) => replayRecovered(trx, now, recoveredUpTo));
    recoveredUpTo = recovered.next;
    for (const { merchantId, endpointId, deliveries } of recovered.done) {
      log.info(
        { merchant_id: merchantId, endpoint_id: endpointId, deliveries },
        'given up webhooks sent again',
      );
    }
    if (steady() - triedAgainAt < tryAgainEveryMs) return;
    triedAgainAt = steady();
    const tried = await inTransaction(db, (trx) => tryAgain(trx, now, triedUpTo));
    triedUpTo = tried.next;
    for (const { merchantId, id } of tried.done) {
      log.info({ merchant_id: merchantId, endpoint_id: id }, 'failing webhook endpoint tried again');
    }
  }

  async function prune(now: number): Promise<void> {
    if (steady() - prunedAt < pruneEveryMs) return;
    prunedAt = steady();
    if (!(await deps.isClockConfirmed())) return;
    const before = now - deps.retentionMs;
    const deleted = await inTransaction(db, (trx) => pruneDeliveries(trx, before, atOnce));
    // There may be more: then the next round does not wait.
    if (deleted === atOnce) prunedAt = Number.NEGATIVE_INFINITY;
  }

  return { step };
}

/** Concludes the attempts whose lease ended by `leasesUntil`, except those of this process, which are still under way. */
async function returnInterrupted(
  trx: Trx,
  {
    now,
    livemode,
    leasesUntil,
    isOurs,
    random,
  }: Pick<UpkeepDeps, 'livemode' | 'isOurs' | 'random'> & { now: number; leasesUntil: number },
): Promise<{ recorded: Recorded; conclusions: readonly Conclusion[] }> {
  const expired = await findExpiredLeases(trx, leasesUntil, atOnce);
  const lost = expired.filter(({ id }) => !isOurs(id));
  const conclusions = lost.map((lease) => {
    const startedAt = lease.leaseUntil - leaseMs;
    return concludeInterrupted(lease, { startedAt, endedAt: Math.max(now, startedAt), random: random() });
  });
  return { recorded: await recordConclusions(trx, conclusions, { now, livemode }), conclusions };
}
