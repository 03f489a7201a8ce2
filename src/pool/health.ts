import type { Clock } from '../clock.ts';
import type { Logger } from '../log.ts';
import { countPool, type Pool } from '../storage/locks.ts';
import type { Db } from '../storage/schema.ts';

/** Tells operators about pools that run dry, off the path of the requests that empty them. */
export type PoolHealth = {
  /** A payment was given an address. */
  afterLock(pool: Pool): void;
  /** A payment was refused because every address is held. */
  afterRefusal(pool: Pool): void;
  /** Resolves when nothing is being counted any more. */
  settled(): Promise<void>;
};

/** The same line is not repeated within this time for one pool, ms. */
const repeatMs = 60_000;

/** Counting reads the whole pool: not more often than this for one pool, ms. */
const countMs = 5_000;

/** Fewer free addresses than one in this many is low. */
const lowFraction = 5;

export function createPoolHealth({ db, clock, log }: { db: Db; clock: Clock; log: Logger }): PoolHealth {
  const counted = createThrottle(clock, countMs);
  const exhausted = createThrottle(clock, repeatMs);
  const low = createThrottle(clock, repeatMs);
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
  }

  async function reportLow(pool: Pool): Promise<void> {
    const { total, held } = await countPool(db, pool);
    const free = total - held;
    if (free * lowFraction >= total || !low(keyOf(pool))) return;
    log.warn({ ...fieldsOf(pool), total, held, free }, 'pool low');
  }

  return {
    afterLock(pool) {
      if (counted(keyOf(pool))) inBackground(reportLow(pool));
    },
    afterRefusal(pool) {
      if (exhausted(keyOf(pool))) inBackground(reportExhausted(pool));
    },
    async settled() {
      await Promise.all(running);
    },
  };
}

/** Says yes at most once in `everyMs` for each key. */
function createThrottle(clock: Clock, everyMs: number): (key: string) => boolean {
  const last = new Map<string, number>();
  return (key) => {
    const now = clock();
    if (now - (last.get(key) ?? Number.NEGATIVE_INFINITY) < everyMs) return false;
    last.set(key, now);
    return true;
  };
}

function keyOf(pool: Pool): string {
  return `${pool.merchantId} ${pool.network} ${pool.currency}`;
}

function fieldsOf(pool: Pool) {
  return { merchant_id: pool.merchantId, network: pool.network, currency: pool.currency };
}
