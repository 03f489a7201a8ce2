import type { Clock } from '../clock.ts';
import type { Config, PaymentPolicy } from '../config.ts';
import type { EventType } from '../core/events.ts';
import { quarantineStart } from '../core/pool.ts';
import type { Logger } from '../log.ts';
import { poolEventBody } from '../present/event-body.ts';
import { inTransaction } from '../storage/database.ts';
import { isStorageFault } from '../storage/faults.ts';
import {
  clearPoolLevels,
  countPool,
  notePoolLevel,
  type PoolLevel,
  type PoolLoad,
} from '../storage/pool/counts.ts';
import { readQuarantine } from '../storage/pool/holds.ts';
import type { Pool } from '../storage/pool/locks.ts';
import type { Db } from '../storage/schema.ts';
import { appendEvent } from '../storage/webhooks/events.ts';

/** Tells operators about pools that run dry, off the path of the requests that empty them. */
export type PoolHealth = {
  /** A payment was given an address. */
  afterLock(pool: Pool): void;
  /** A payment was refused because every address is held. */
  afterRefusal(pool: Pool): void;
  /** Resolves when nothing is being counted any more. */
  settled(): Promise<void>;
};

export type PoolHealthDeps = {
  db: Db;
  clock: Clock;
  log: Logger;
  policy: Pick<PaymentPolicy, 'quarantine' | 'quarantineSeconds'>;
  chains: Config['chains'];
  /** Called when something was committed that causes webhooks. */
  onEvents?: () => void;
};

/** The same line is not repeated within this time for one pool, ms. */
const logMs = 60_000;

/** Other processes lock addresses too: what is known of a pool is counted afresh after this time, ms. */
const recountMs = 60_000;

/** Counting reads what is held. A pool of more addresses than this is not counted again within {@link largeRestMs}. */
const largePool = 10_000;
const largeRestMs = 5_000;

/** Fewer free addresses than one in this many is low. */
const lowFraction = 5;

/** With three in ten free again a pool has recovered: one that hovers at a fifth is told of once. */
const recoveredTenths = 3;

/** What is known of a pool without counting: `free` falls with each lock and is corrected by the next count. */
type Estimate = { total: number; free: number; countedAt: number; counting: boolean };

export function createPoolHealth({ db, clock, log, policy, chains, onEvents }: PoolHealthDeps): PoolHealth {
  const estimates = new Map<string, Estimate>();
  const exhaustedLines = createThrottle(clock, logMs);
  /** Pools that this process knows to be low, or to have recovered; after a start it knows of none. */
  const known = new Map<string, 'low' | 'recovered'>();
  const running = new Set<Promise<void>>();

  function inBackground(work: Promise<void>): void {
    const task = work
      .catch((error) => log[isStorageFault(error) ? 'warn' : 'error']({ err: error }, 'pool not counted'))
      .finally(() => running.delete(task));
    running.add(task);
  }

  async function reportExhausted(pool: Pool): Promise<void> {
    const load = await count(pool);
    log.warn({ ...fieldsOf(pool), ...load }, 'pool exhausted');
    await tell('exhausted', pool, load);
  }

  async function reportLow(pool: Pool, estimate: Estimate): Promise<void> {
    estimate.counting = true;
    try {
      let uncounted: number;
      do {
        const before = estimate.free;
        const { total, held } = await count(pool);
        // Locks that came meanwhile may or may not be in the count.
        uncounted = before - estimate.free;
        Object.assign(estimate, { total, free: total - held - uncounted, countedAt: clock() });
        const free = total - held;
        if (isLow(total, free)) {
          if (known.get(keyOf(pool)) === 'low') return;
          known.set(keyOf(pool), 'low');
          log.warn({ ...fieldsOf(pool), total, held, free }, 'pool low');
          return await tell('low', pool, { total, held });
        }
        if (free * 10 >= total * recoveredTenths) await recover(pool, { total, held });
      } while (uncounted > 0 && isLow(estimate.total, estimate.free));
    } finally {
      estimate.counting = false;
    }
  }

  async function count(pool: Pool): Promise<PoolLoad> {
    const now = clock();
    const releasedAfter = policy.quarantine === 'strict' ? quarantineStart(policy, now) : null;
    return countPool(db, pool, await readQuarantine(db, releasedAfter, now));
  }

  /** Writes the event, once until the pool has recovered. */
  async function tell(level: PoolLevel, pool: Pool, load: PoolLoad): Promise<void> {
    if (known.get(keyOf(pool)) === 'recovered') known.delete(keyOf(pool));
    const chain = chains[pool.network];
    if (chain === undefined) return;
    const at = clock();
    const type: EventType = `pool.${level}`;
    const told = await inTransaction(db, async (trx) => {
      if (!(await notePoolLevel(trx, pool, level, at))) return false;
      const body = poolEventBody(type, pool, load, chain, at);
      await appendEvent(trx, { merchantId: pool.merchantId, type, paymentId: null, body, at });
      return true;
    });
    if (told) onEvents?.();
  }

  async function recover(pool: Pool, { total, held }: PoolLoad): Promise<void> {
    if (known.get(keyOf(pool)) === 'recovered') return;
    const recovered = await inTransaction(db, (trx) => clearPoolLevels(trx, pool));
    known.set(keyOf(pool), 'recovered');
    if (recovered) log.info({ ...fieldsOf(pool), total, held, free: total - held }, 'pool recovered');
  }

  /** Counts at the first lock, when it seems low and nobody was told, and now and then. */
  function isCountDue(key: string, { total, free, countedAt }: Estimate): boolean {
    const age = clock() - countedAt;
    if (age >= recountMs) return true;
    if (known.get(key) === 'low') return false;
    return isLow(total, free) && (total <= largePool || age >= largeRestMs);
  }

  return {
    afterLock(pool) {
      const key = keyOf(pool);
      const estimate = estimates.get(key) ?? {
        total: 0,
        free: 0,
        countedAt: Number.NEGATIVE_INFINITY,
        counting: false,
      };
      estimates.set(key, estimate);
      estimate.free -= 1;
      if (estimate.counting || !isCountDue(key, estimate)) return;
      inBackground(reportLow(pool, estimate));
    },
    afterRefusal(pool) {
      if (exhaustedLines.pass(keyOf(pool))) inBackground(reportExhausted(pool));
    },
    async settled() {
      while (running.size > 0) await Promise.all(running);
    },
  };
}

export function isLow(total: number, free: number): boolean {
  return free * lowFraction < total;
}

/** Lets something pass at most once in `everyMs` for each key. */
function createThrottle(clock: Clock, everyMs: number) {
  const last = new Map<string, number>();
  const wouldPass = (key: string) => clock() - (last.get(key) ?? Number.NEGATIVE_INFINITY) >= everyMs;
  return {
    wouldPass,
    pass(key: string): boolean {
      if (!wouldPass(key)) return false;
      last.set(key, clock());
      return true;
    },
  };
}

function keyOf(pool: Pool): string {
  return `${pool.merchantId} ${pool.network} ${pool.currency}`;
}

function fieldsOf(pool: Pool) {
  return { merchant_id: pool.merchantId, network: pool.network, currency: pool.currency };
}
