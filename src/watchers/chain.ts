import { randomUUID } from 'node:crypto';
import type { NodeStatus } from '../core/node.ts';
import { type LoopOptions, runLoop } from '../loop.ts';
import { createNodeMeter, noteMeasurements } from '../nodes/measurements.ts';
import { createNodeNotes } from '../nodes/snapshot.ts';
import { createUsageMeter, type UsageMeter } from '../nodes/usage.ts';
import { leaseOf } from '../storage/chains/leases.ts';
import { hasOpenPayment } from '../storage/payments/payments.ts';
import { createAssetsInUse } from './assets-in-use.ts';
import { createBudget } from './budget.ts';
import { listenForHeads } from './evm/new-heads.ts';
import { createLeader, LeaseLost } from './leader.ts';
import { type Finding, lookUpTransaction } from './recheck/look-up.ts';
import { createRecheck, type RecheckDeps } from './recheck/recheck.ts';
import { createRescanJob } from './recheck/rescan-job.ts';
import { createSentTransfers, type SentTransfers } from './sent-transfer.ts';
import { createSource } from './sources.ts';
import { noteLastUsage, noteUsage } from './usage-notes.ts';
import { createWatcher, type StepOutcome } from './watcher.ts';

/** One chain being watched. */
export type ChainWatch = {
  /** A payment was made: read at full pace from now on. */
  wake(): void;
  /** An operator wants blocks read again, or no longer. */
  wakeRescan(): void;
  /** Resolves once the chain was read for the first time since the start, by this process or another. */
  firstRead: Promise<void>;
  /** What each node looks like now. */
  endpoints(): NodeStatus[];
  /** Counts what else the nodes are asked. */
  meter: UsageMeter;
  /** Looks for a transaction that a payer names, with the nodes and by the rules of the watcher. */
  lookUp(request: Parameters<typeof lookUpTransaction>[1]): Promise<Finding>;
  /** Looks for a transfer to anybody, in the same way. */
  verifySent: SentTransfers['verify'];
  /** Lets the running step end. */
  stop(): Promise<void>;
};

export type ChainWatchDeps = Omit<RecheckDeps, 'source'> &
  Pick<LoopOptions<void>, 'failed'> & {
    /** Of this process, by which others know it. */
    holder?: string;
  };

/** How soon a follower asks whether it leads now, and an idle chain whether a payment was made elsewhere, ms. */
const glanceMs = 1_000;

/** A step of a rescan may wait for nodes that do not answer, ms. */
const rescanLimitMs = 10 * 60_000;

/** What a process that dies has measured for longer is written down, ms. */
const measuredEveryMs = 15_000;

/**
 * Polls that news of blocks may cause and that find none, but for two each time that some were found: two nodes' websockets may tell
 * of each. What one of them makes up costs requests of whichever node the chain is read from.
 */
const mostFalseAlarms = 20;

/** Runs the watcher and the recheck of one chain in loops of their own, so that no chain ever waits for another. */
export function watchChain(given: ChainWatchDeps): ChainWatch {
  const { chain, clock, onEvents, holder = randomUUID(), failed = () => {} } = given;
  const log = given.log.child({ network: chain.network });
  const meter = createUsageMeter(clock);
  const measure = createNodeMeter(clock);
  const source = createSource({ chain, clock, log: given.log, meter, measure });
  const leader = createLeader({ db: given.db, name: leaseOf(chain.network), holder, log });
  const { db } = leader;
  // Counting needs no lease.
  const asked = { db: given.db, network: chain.network, meter };
  const assetsInUse = createAssetsInUse({ ...given, log });
  const deps = { ...given, db, assetsInUse };
  const watcher = createWatcher({ ...deps, source, log });
  const budget = createBudget({ db, chain, meter, clock, log });
  const notes = createNodeNotes({ db, network: chain.network, endpoints: source.endpoints, clock });
  let last: Pick<StepOutcome, 'nextAt' | 'idle'> = { nextAt: 0, idle: false };
  let steppedAt = 0;
  let leads = false;
  /** Whether there was news since the last step began. */
  let alarmed = false;
  let falseAlarms = 0;
  const firstRead = Promise.withResolvers<void>();

  /** Work of the leader; null where another process has taken over meanwhile. */
  async function whileLeading<T>(work: () => Promise<T>): Promise<T | null> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof LeaseLost)) throw error;
      log.warn({ reason: error.message }, 'chain lease lost');
      return null;
    }
  }

  /** The same; null where another process leads already. */
  async function ifLeading<T>(work: () => Promise<T>): Promise<T | null> {
    return (await leader.leads()) ? whileLeading(work) : null;
  }

  async function step(signal: AbortSignal): Promise<void> {
    alarmed = false;
    leads = await leader.leads();
    if (!leads) {
      firstRead.resolve();
      last = { nextAt: clock() + glanceMs, idle: false };
      await noteUsage(asked);
      return;
    }
    // Another process may have made a payment: an idle chain glances at the database, not at a node.
    const now = clock();
    // Where the clock was set back, the next time is not waited for.
    const resting = last.idle && steppedAt <= now && now < last.nextAt;
    if (resting && !(await hasOpenPayment(db, chain.network))) return;
    const outcome = await whileLeading(() => watcher.step(signal));
    if (outcome === null) {
      last = { nextAt: clock() + glanceMs, idle: false };
      return;
    }
    if (outcome.kind !== 'failed') firstRead.resolve();
    if (outcome.kind === 'advanced') falseAlarms = Math.max(0, falseAlarms - 2);
    last = outcome;
    steppedAt = clock();
    budget.polled();
    await whileLeading(notes.note);
    await whileLeading(budget.step);
    const everyMs = budget.everyMs();
    // Never while there is something to catch up with.
    if (everyMs !== null && last.nextAt > steppedAt)
      last = { ...last, nextAt: Math.max(last.nextAt, steppedAt + everyMs) };
  }

  const delay = () => Math.min(last.nextAt - clock(), last.idle ? glanceMs : Number.POSITIVE_INFINITY);
  const loop = runLoop({ name: 'chain', step, delay, log, failed });

  const onFound = () => {
    onEvents();
    // What was found has to be confirmed.
    last = { ...last, idle: false };
    loop.wake();
  };
  const recheck = createRecheck({ ...deps, source, log, onEvents: onFound });
  const recheckLoop = runLoop<number>({
    name: 'recheck',
    step: async (signal) => {
      const outcome = await ifLeading(() => recheck.step(signal));
      return outcome?.nextAt ?? clock() + glanceMs;
    },
    delay: (nextAt) => nextAt - clock(),
    log,
    failed,
  });
  const rescan = createRescanJob({
    ...deps,
    source,
    log,
    onFound,
    isSlowed: () => budget.everyMs() !== null,
  });
  const rescanLoop = runLoop<number>({
    name: 'rescan',
    step: async (signal) => (await ifLeading(() => rescan.step(signal))) ?? glanceMs,
    delay: (ms) => ms,
    log,
    limitMs: rescanLimitMs,
    failed,
  });
  // By itself: that it fails must cost no reading.
  const measurements = runLoop<boolean>({
    name: 'measurements',
    step: async () =>
      (await ifLeading(() => noteMeasurements({ db, network: chain.network, measure }))) ?? false,
    delay: (wrote) => (wrote ? measuredEveryMs : glanceMs),
    log,
    failed,
  });
  // A block is news only to who reads it, and while somebody waits for it.
  const onHead = () => {
    if (alarmed || !leads || last.idle || budget.everyMs() !== null || falseAlarms >= mostFalseAlarms) return;
    alarmed = true;
    falseAlarms += 1;
    loop.wake();
  };
  const heads = listenForHeads({ rpc: chain.rpc, onHead, log });
  return {
    wake() {
      // At full pace already: the next payment of a busy shop must not cost a poll.
      if (!last.idle) return;
      last = { ...last, idle: false };
      loop.wake();
      // At rest it reads seldom too.
      recheckLoop.wake();
    },
    wakeRescan: rescanLoop.wake,
    firstRead: firstRead.promise,
    endpoints: source.endpoints,
    meter,
    lookUp: (request) =>
      lookUpTransaction({ ...given, assetsInUse, source, log, onEvents: onFound }, request),
    verifySent: createSentTransfers({ ...given, source }).verify,
    async stop() {
      const loops = [loop, recheckLoop, rescanLoop, measurements];
      await Promise.all([heads, ...loops].map((one) => one.stop()));
      await leader.resign();
      await source.close();
      await noteLastUsage(asked);
    },
  };
}
