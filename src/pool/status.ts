import type { PaymentPolicy } from '../config.ts';
import { countPools, type PoolCount } from '../storage/pool/counts.ts';
import { readPoolUse } from '../storage/pool/use.ts';
import type { Db } from '../storage/schema.ts';
import { isLow } from './health.ts';

const dayMs = 24 * 60 * 60 * 1000;

export type PoolStatus = PoolCount & {
  level: 'ok' | 'low' | 'exhausted';
  /** Payments that got an address of it in the last day. */
  paymentsLastDay: number;
  /** Those of the busiest hour, by which the forecast goes. */
  busiestHour: number;
  /** How long payments of the last day held an address; the whole time to pay where none has ended. */
  meanLockSeconds: number;
  forecast: Forecast;
};

type Policy = Pick<PaymentPolicy, 'lifetimeSeconds' | 'quarantine' | 'quarantineSeconds'>;

/** Every pool of every merchant, or of one, and when it will run dry at the pace of the last day's busiest hour. */
export async function describePools(
  db: Db,
  merchantId: string | null,
  policy: Policy,
  now: number,
): Promise<PoolStatus[]> {
  const counts = await countPools(db, merchantId, now - policy.quarantineSeconds * 1000);
  const uses = await readPoolUse(db, merchantId, now - dayMs);
  return counts.map((count) => {
    const use = uses.find(
      ({ merchantId: merchant, network, currency }) =>
        merchant === count.merchantId && network === count.network && currency === count.currency,
    );
    const meanLockSeconds = (use?.meanLockMs ?? policy.lifetimeSeconds * 1000) / 1000;
    const strict = policy.quarantine === 'strict';
    const capacity = count.total + count.derivable;
    const held = count.held + (strict ? count.quarantined : 0);
    return {
      ...count,
      level: levelOf(capacity, capacity - held),
      paymentsLastDay: use?.payments ?? 0,
      busiestHour: use?.busiestHour ?? 0,
      meanLockSeconds,
      forecast: forecastPool({
        paymentsPerHour: use?.busiestHour ?? 0,
        lockSeconds: meanLockSeconds + (strict ? policy.quarantineSeconds : 0),
        held,
        capacity,
      }),
    };
  });
}

function levelOf(total: number, free: number): PoolStatus['level'] {
  if (free <= 0) return 'exhausted';
  return isLow(total, free) ? 'low' : 'ok';
}

/** What a forecast goes by. */
export type PoolPace = {
  /** Payments an hour. */
  paymentsPerHour: number;
  /** How long one keeps an address from others, seconds. */
  lockSeconds: number;
  /** Addresses that others cannot have now. */
  held: number;
  /** All of them, those that can still be derived included. */
  capacity: number;
};

export type Forecast = {
  /** How many addresses this pace holds at once in the end (Little's law). */
  expectedHeld: number;
  /** When all are held if it lasts, seconds from now; null when they suffice. */
  exhaustedInSeconds: number | null;
};

/**
 * When a pool runs dry if payments keep coming at this pace. Addresses are taken at a steady rate and given back
 * in proportion to how many are held, so the number held nears `expectedHeld` exponentially, with the time of a lock
 * as its time constant.
 */
export function forecastPool({ paymentsPerHour, lockSeconds, held, capacity }: PoolPace): Forecast {
  const expectedHeld = (paymentsPerHour / 3600) * lockSeconds;
  if (held >= capacity) return { expectedHeld, exhaustedInSeconds: 0 };
  if (expectedHeld <= capacity) return { expectedHeld, exhaustedInSeconds: null };
  const seconds = lockSeconds * Math.log((expectedHeld - held) / (expectedHeld - capacity));
  return { expectedHeld, exhaustedInSeconds: Math.round(seconds) };
}
