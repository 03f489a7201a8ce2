import type { Clock } from '../clock.ts';
import type { PaymentPolicy } from '../config.ts';
import { measurementMs } from '../core/measurement.ts';
import { quarantineStart } from '../core/pool.ts';
import { inTransaction } from '../storage/database.ts';
import { countPools } from '../storage/pool/counts.ts';
import { readQuarantine } from '../storage/pool/holds.ts';
import { hasPoolMeasurement, insertPoolMeasurements } from '../storage/pool/measurements.ts';
import type { Db } from '../storage/schema.ts';

/** How soon a new interval is noticed, ms. */
export const measurePoolsEveryMs = 60_000;

/** With more pools than this they are measured more seldom, so that there are never more rows. */
const mostEachInterval = 100;

/** Rows of one statement. */
const atOnce = 1_000;

/** Counts every pool once in each interval, by whichever process is first. */
export function createPoolMeasuring(deps: {
  db: Db;
  policy: Pick<PaymentPolicy, 'quarantineSeconds'>;
  clock: Clock;
}): () => Promise<void> {
  const { db, policy, clock } = deps;
  let everyMs = measurementMs;
  return async () => {
    const now = clock();
    const at = Math.floor(now / everyMs) * everyMs;
    if (await hasPoolMeasurement(db, at)) return;
    const pools = await countPools(db, null, await readQuarantine(db, quarantineStart(policy, now), now));
    everyMs = measurementMs * Math.max(1, Math.ceil(pools.length / mostEachInterval));
    for (let first = 0; first < pools.length; first += atOnce) {
      const rows = pools.slice(first, first + atOnce).map((pool) => ({ ...pool, at }));
      await inTransaction(db, (trx) => insertPoolMeasurements(trx, rows));
    }
  };
}
