import type { Trx } from '../storage/schema.ts';
import { forgetEndedRotations } from '../storage/webhooks/endpoints.ts';
import {
  bringForward,
  cancelOfDisabledEndpoints,
  findExpiredLeases,
  pruneDeliveries,
} from '../storage/webhooks/upkeep.ts';
import { type Conclusion, concludeInterrupted } from './attempt.ts';
import { leaseMs } from './claim.ts';
import { type Recorded, recordConclusions } from './record.ts';
import { windowMs } from './schedule.ts';

/** Bounds one transaction. */
const atOnce = 500;

export type Upkeep = Recorded & { conclusions: readonly Conclusion[]; returned: number; cancelled: number };

/**
 * Returns attempts whose process died to the schedule, cancels what waits for disabled endpoints, and
 * forgets the secrets of ended rotations.
 *
 * `leasesUntil`: leases that end by then are over; `Infinity` when no other process can hold one.
 * `isOurs`: what this process itself has under way, however long that takes.
 */
export async function keepUp(
  trx: Trx,
  upkeep: {
    now: number;
    livemode: boolean;
    leasesUntil: number;
    isOurs: (deliveryId: number) => boolean;
    random: () => number;
  },
): Promise<Upkeep> {
  const { now, livemode, random } = upkeep;
  const expired = await findExpiredLeases(trx, Math.min(upkeep.leasesUntil, Number.MAX_SAFE_INTEGER), atOnce);
  const lost = expired.filter(({ id }) => !upkeep.isOurs(id));
  const conclusions = lost.map((lease) => {
    const startedAt = lease.leaseUntil - leaseMs;
    return concludeInterrupted(lease, { startedAt, endedAt: Math.max(now, startedAt), random: random() });
  });
  const recorded = await recordConclusions(trx, conclusions, { now, livemode });
  const cancelled = await cancelOfDisabledEndpoints(trx, { limit: atOnce, at: now });
  await bringForward(trx, { now, latest: now + windowMs });
  await forgetEndedRotations(trx, now);
  return { ...recorded, conclusions, returned: lost.length, cancelled };
}

/** Deletes deliveries that ended before `before`; true when there are more. */
export async function pruneOnce(trx: Trx, before: number): Promise<boolean> {
  return (await pruneDeliveries(trx, before, atOnce)) === atOnce;
}
