import { type Clock, steadyClock } from '../clock.ts';
import type { ChainConfig } from '../config.ts';
import { dayMs, dayOf } from '../core/day.ts';
import type { Logger } from '../log.ts';
import type { UsageMeter } from '../nodes/usage.ts';
import { listNodeUsage, noteFullPace, noteSlowed } from '../storage/chains/usage.ts';
import { inTransaction } from '../storage/database.ts';
import type { Db } from '../storage/schema.ts';
import { noteUsage } from './usage-notes.ts';

/*
 * What the plans of nodes allow in a day (`requestsPerDay`). A plan that is used up stops the chain until midnight: so it is
 * read more slowly while that would happen, and never by us not at all.
 */

export type Budget = {
  /** Once after each step that polled. */
  polled(): void;
  /** Writes down what was asked, now and then, and decides on the pace. */
  step(): Promise<void>;
  /** The least time between two polls, ms; null: any. */
  everyMs(): number | null;
};

/** What is known of one node and its day. Times are ms. */
export type Spending = {
  quota: number;
  /** Calls of this day. */
  spent: number;
  /** Calls and polls of the last hour, and how much of that hour was seen; `others`: calls by other processes. */
  calls: number;
  others: number;
  polls: number;
  seenMs: number;
  /** Until the day ends. */
  leftMs: number;
  /** Whether it is slowed now. */
  slowed: boolean;
};

/** A pace that was seen for less says little. */
const leastSeenMs = 10 * 60_000;

/** What is kept for confirmations and second readings, which do not wait. */
const reserve = 0.05;

/** Full pace is tried again when so much of the quota would be left: not at each step that costs a little less. */
const relief = 0.1;

/** However little is left: a payment should still be seen within a minute. */
export const slowestMs = 60_000;

/** How often it is written down and decided, ms. */
const noteEveryMs = 15_000;

const windowMs = 3_600_000;

/** The least time between two polls with which a quota lasts until the day ends, ms; null: any. */
export function decidePace(spending: Spending): number | null {
  const { quota, spent, calls, others, polls, seenMs, leftMs, slowed } = spending;
  const left = quota * (1 - reserve) - spent;
  if (left <= 0) return slowestMs;
  if (seenMs < leastSeenMs || polls === 0) return null;
  // What payers and operators look up elsewhere goes on, whatever our pace.
  const spentByOthers = (others / seenMs) * leftMs;
  const expected = spent + spentByOthers + (calls / seenMs) * leftMs;
  if (expected <= quota * (slowed ? 1 - relief : 1)) return null;
  const mostPolls = (left - spentByOthers) / (calls / polls);
  return mostPolls <= 0 ? slowestMs : Math.min(slowestMs, Math.ceil(leftMs / mostPolls));
}

/** By host. */
type Calls = ReadonlyMap<string, number>;

/** Looks at the day's calls of each node of a chain, by whatever process they were made. */
export function createBudget(deps: {
  db: Db;
  chain: Pick<ChainConfig, 'network' | 'rpc'>;
  meter: UsageMeter;
  clock: Clock;
  log: Logger;
}): Budget {
  const { db, chain, meter, clock, log } = deps;
  const { network } = chain;
  const steady = steadyClock(clock);
  const quotas = new Map<string, number>();
  for (const { url, requestsPerDay } of chain.rpc)
    if (requestsPerDay !== null) quotas.set(new URL(url).host, requestsPerDay);
  /** What was seen in the last hour, oldest first. */
  let seen: { at: number; polls: number; calls: Calls; others: Calls }[] = [];
  let spentBefore: { day: number; calls: Calls } | null = null;
  /** Since when we poll: while another process leads we ask little, and it says nothing about our pace. */
  let begunAt = steady();
  let polledAt = Number.NEGATIVE_INFINITY;
  let polls = 0;
  let notedAt = Number.NEGATIVE_INFINITY;
  let slowed: { host: string; everyMs: number } | null = null;

  async function spentToday(now: number): Promise<Map<string, number>> {
    const spent = new Map<string, number>();
    for (const row of await listNodeUsage(db, dayOf(now)))
      if (row.network === network) spent.set(row.host, (spent.get(row.host) ?? 0) + row.calls);
    return spent;
  }

  /** Since the last time. */
  function askedByOthers(spent: Calls, own: Calls, now: number): Calls {
    const day = dayOf(now);
    const before = spentBefore?.day === day ? spentBefore.calls : new Map<string, number>();
    const isFirst = spentBefore === null;
    spentBefore = { day, calls: spent };
    if (isFirst) return new Map();
    return new Map(
      [...spent].map(([host, calls]) => [
        host,
        Math.max(0, calls - (before.get(host) ?? 0) - (own.get(host) ?? 0)),
      ]),
    );
  }

  /** The node whose quota leaves the slowest pace. */
  function decide(spent: ReadonlyMap<string, number>, now: number): typeof slowed {
    let decided: typeof slowed = null;
    const sum = (of: (one: (typeof seen)[number]) => number) => seen.reduce((all, one) => all + of(one), 0);
    for (const [host, quota] of quotas) {
      const everyMs = decidePace({
        quota,
        spent: spent.get(host) ?? 0,
        calls: sum((one) => one.calls.get(host) ?? 0),
        others: sum((one) => one.others.get(host) ?? 0),
        polls: sum((one) => one.polls),
        seenMs: Math.min(windowMs, steady() - begunAt),
        leftMs: dayMs - (now % dayMs),
        slowed: slowed !== null,
      });
      if (everyMs !== null && everyMs > (decided?.everyMs ?? 0)) decided = { host, everyMs };
    }
    return decided;
  }

  async function settle(
    decided: typeof slowed,
    spent: ReadonlyMap<string, number>,
    now: number,
  ): Promise<void> {
    if (decided !== null) {
      const { host, everyMs } = decided;
      await inTransaction(db, (trx) => noteSlowed(trx, { network, host, everyMs, notedAt: now }));
      if (slowed === null)
        log.warn(
          {
            host,
            calls_today: spent.get(host) ?? 0,
            requests_per_day: quotas.get(host),
            seconds: Math.round(everyMs / 1000),
          },
          'polling slowed',
        );
    } else if (slowed !== null) {
      await inTransaction(db, (trx) => noteFullPace(trx, network));
      log.info({ host: slowed.host }, 'polling at full pace again');
    }
    slowed = decided;
  }

  return {
    polled() {
      const at = steady();
      if (at - polledAt > leastSeenMs) {
        begunAt = at;
        seen = [];
        // What the other process asked while it led says nothing either.
        spentBefore = null;
      }
      polledAt = at;
      polls += 1;
    },
    async step() {
      if (steady() - notedAt < noteEveryMs) return;
      const at = steady();
      const now = clock();
      const calls = await noteUsage({ db, network, meter });
      notedAt = at;
      if (quotas.size === 0) return;
      const spent = await spentToday(now);
      const others = askedByOthers(spent, calls, now);
      seen = [...seen.filter((one) => at - one.at < windowMs), { at, polls, calls, others }];
      polls = 0;
      await settle(decide(spent, now), spent, now);
    },
    everyMs: () => slowed?.everyMs ?? null,
  };
}
