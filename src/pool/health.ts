import type { Clock } from '../clock.ts';
import type { EventType } from '../core/events.ts';
import type { Logger } from '../log.ts';
import { inTransaction } from '../storage/database.ts';
import { appendEvent } from '../storage/events.ts';
import { countPool, type Pool } from '../storage/locks.ts';
import type { Db } from '../storage/schema.ts';
import { type PoolCount, poolEventBody } from './event-body.ts';

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
  /** Called when something was committed that causes webhooks. */
  onEvents?: () => void;
};

/** The same line is not repeated within this time for one pool, ms. */
const logMs = 60_000;

/** Nor the same event: it may ring a bell. */
const eventMs = 60 * 60_000;

/** Other processes lock addresses too: what is known of a pool is counted afresh after this time, ms. */
const recountMs = 60_000;

/** Counting reads the whole pool. One of more addresses than this is not counted again within {@link largeRestMs}. */
const largePool = 10_000;
const largeRestMs = 5_000;

/** Fewer free addresses than one in this many is low. */
const lowFraction = 5;

/** What is known of a pool without counting: `free` falls with each lock and is corrected by the next count. */
type Estimate = { total: number; free: number; countedAt: number; counting: boolean };

export function createPoolHealth({ db, clock, log, onEvents }: PoolHealthDeps): PoolHealth {
  const estimates = new Map<string, Estimate>();
  const exhaustedLines = createThrottle(clock, logMs);
  const lowLines = createThrottle(clock, logMs);
  const events = createThrottle(clock, eventMs);
  const running = new Set<Promise<void>>();

  function inBackground(work: Promise<void>): void {
    const task = work
      .catch((error) => log.error({ err: error }, 'pool not counted'))
      .finally(() => running.delete(task));
    running.add(task);
  }

  async function reportExhausted(pool: Pool): Promise<void> {
    const { total, held } = await countPool(db, pool);
    log.warn({ ...fieldsOf(pool), total, held }, 'pool exhausted');
    await announce('pool.exhausted', pool, { total, held });
  }

  async function reportLow(pool: Pool, estimate: Estimate): Promise<void> {
    estimate.counting = true;
    try {
      let uncounted: number;
      do {
        const before = estimate.free;
        const { total, held } = await countPool(db, pool);
        // Locks that came meanwhile may or may not be in the count.
        uncounted = before - estimate.free;
        Object.assign(estimate, { total, free: total - held - uncounted, countedAt: clock() });
        if (isLow(total, total - held)) {
          if (!lowLines.pass(keyOf(pool))) return;
          log.warn({ ...fieldsOf(pool), total, held, free: total - held }, 'pool low');
          return await announce('pool.low', pool, { total, held });
        }
      } while (uncounted > 0 && isLow(estimate.total, estimate.free));
    } finally {
      estimate.counting = false;
    }
  }

  async function announce(
    type: Extract<EventType, 'pool.low' | 'pool.exhausted'>,
    pool: Pool,
    count: PoolCount,
  ): Promise<void> {
    if (!events.pass(`${type} ${keyOf(pool)}`)) return;
    const at = clock();
    const body = poolEventBody(type, pool, count, at);
    await inTransaction(db, (trx) =>
      appendEvent(trx, { merchantId: pool.merchantId, type, paymentId: null, body, at }),
    );
    onEvents?.();
  }

  /** Counts at the first lock, when it seems low, and now and then. */
  function isCountDue({ total, free, countedAt }: Estimate): boolean {
    const age = clock() - countedAt;
    if (age >= recountMs) return true;
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
      if (estimate.counting || !lowLines.wouldPass(key) || !isCountDue(estimate)) return;
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

function isLow(total: number, free: number): boolean {
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
