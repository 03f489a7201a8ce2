import type { PaymentPolicy } from '../config.ts';
import { forecastPool, type PoolStatus, quarantineStart } from '../core/pool.ts';
import { countPools } from '../storage/pool/counts.ts';
import { readQuarantine } from '../storage/pool/holds.ts';
import { readPoolUse } from '../storage/pool/use.ts';
import type { Db } from '../storage/schema.ts';
import { isLow } from './health.ts';

const dayMs = 24 * 60 * 60 * 1000;

type Policy = Pick<PaymentPolicy, 'lifetimeSeconds' | 'quarantine' | 'quarantineSeconds'>;

/** Every pool of every merchant, or of one, and when it will run dry at the pace of the last day's busiest hour. */
export async function describePools(
  db: Db,
  merchantId: string | null,
  policy: Policy,
  now: number,
): Promise<PoolStatus[]> {
  const counts = await countPools(
    db,
    merchantId,
    await readQuarantine(db, quarantineStart(policy, now), now),
  );
  const uses = await readPoolUse(db, merchantId, now - dayMs);
  return counts.map((count) => {
    const use = uses.find(
      ({ merchantId: merchant, network, currency }) =>
        merchant === count.merchantId && network === count.network && currency === count.currency,
    );
    const meanLockSeconds = (use?.meanLockMs ?? policy.lifetimeSeconds * 1000) / 1000;
    const strict = policy.quarantine === 'strict';
    const capacity = count.total + count.derivable;
    const held = count.held + (strict ? count.quarantined : count.heldBack);
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
