import type { PaymentReason, PaymentStatus } from '../core/payment.ts';
import { type Rescan, waitOf } from '../core/rescan.ts';
import { readChain } from '../storage/chains/chains.ts';
import { listSlowedChains } from '../storage/chains/usage.ts';
import { viewsById } from '../storage/payments/views.ts';
import type { Db } from '../storage/schema.ts';
import { isoTime, timeOrNull } from './values.ts';

type ChangedPayment = {
  payment_number: string;
  was: PaymentStatus;
  status: PaymentStatus;
  reason: PaymentReason | null;
};

/** With what its payments are now: one that was found may be confirmed only later. */
export async function presentRescan(db: Db, rescan: Rescan, now: number) {
  const { findings } = rescan;
  const views = await viewsById(
    db,
    findings.payments.map(({ id }) => id),
  );
  const payments = findings.payments.flatMap(({ id, was }): ChangedPayment[] => {
    const payment = views.get(id)?.payment;
    if (payment === undefined || payment.status === was) return [];
    const { paymentNumber, status, reason } = payment;
    return [{ payment_number: paymentNumber, was, status, reason }];
  });
  return {
    id: rescan.id,
    network: rescan.network,
    from: rescan.from,
    to: rescan.to,
    native: rescan.native,
    status: rescan.status,
    waits_for: rescan.endedAt === null ? await readWait(db, rescan, now) : null,
    reached: rescan.reached < rescan.from ? null : rescan.reached,
    blocks_read: rescan.reached - rescan.from + 1,
    blocks: rescan.to - rescan.from + 1,
    actor: rescan.actor,
    cancelled_by: rescan.cancelledBy,
    error: rescan.error,
    transfers: {
      found: findings.known + findings.new,
      known: findings.known,
      new: findings.new,
      taken_back: findings.takenBack,
      disputed: findings.disputed,
    },
    payments,
    created_at: isoTime(rescan.createdAt),
    started_at: timeOrNull(rescan.startedAt),
    ended_at: timeOrNull(rescan.endedAt),
  };
}

async function readWait(db: Db, rescan: Rescan, now: number) {
  const slowed = await listSlowedChains(db, now);
  const state = await readChain(db, rescan.network);
  return waitOf(rescan, {
    isSlowed: slowed.some(({ network }) => network === rescan.network),
    // What is stopped is not read any further by itself, and waited for by nobody.
    cursorHeight: state === null || state.stoppedReason !== null ? rescan.to : state.cursor.height,
  });
}
