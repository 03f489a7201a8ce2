import type { Clock } from '../clock.ts';
import type { EventType } from '../core/events.ts';
import type { ProviderPayment } from '../core/payment.ts';
import type { Logger } from '../log.ts';
import { announcePayment } from '../payments/settle.ts';
import { inTransaction } from '../storage/database.ts';
import { noteFetch } from '../storage/providers/fetches.ts';
import { lockProviderPayment, updateProviderPayment } from '../storage/providers/payments.ts';
import type { Db } from '../storage/schema.ts';
import type { Bridge } from './bridge.ts';
import { decideCharge, pastEndMs } from './decide.ts';
import type { Charge } from './provider.ts';

export type SettleDeps = {
  db: Db;
  clock: Clock;
  log: Logger;
  /** Called once something is to be delivered. */
  onEvents: () => void;
};

/** Waits from one fetch to the next, ms; the last goes on. */
const waitsMs = [15, 30, 60, 120, 300, 600, 900].map((seconds) => seconds * 1000);

/** When a payment is asked about again, Unix ms, after so many fetches; null when nothing more is expected of it. */
function nextFetch(payment: ProviderPayment, fetches: number, now: number): number | null {
  const waitMs = waitsMs[Math.min(fetches, waitsMs.length - 1)] ?? 900_000;
  switch (payment.chargeStatus) {
    case 'pending':
    case 'unknown': {
      const isFinal = payment.status === 'confirmed' || payment.status === 'failed';
      return isFinal || now > payment.expiresAt + pastEndMs ? null : now + waitMs;
    }
    case 'processing':
    case 'authorized':
      return payment.status === 'confirmed' ? null : now + waitMs;
    case 'captured':
    case 'failed':
    case 'voided':
    case 'expired':
    case 'refunded':
    case 'partially_refunded':
    case 'disputed':
      return null;
    default:
      return payment.chargeStatus satisfies never;
  }
}

/**
 * Takes a fetched charge: the payment, its events and the time of the next fetch are one transaction. Settling twice
 * changes nothing. Answers the payment as it is now.
 */
export async function settleCharge(
  deps: SettleDeps,
  { name, provider }: Pick<Bridge, 'name' | 'provider'>,
  paymentId: number,
  charge: Charge | null,
  fetches = 0,
): Promise<ProviderPayment> {
  const { db, log, onEvents } = deps;
  const now = deps.clock();
  const { payment, events, mismatch } = await inTransaction(db, async (trx) => {
    const before = await lockProviderPayment(trx, paymentId);
    const decision = decideCharge(before, charge, provider.descriptor.capabilities, now);
    const taken = decision.kind === 'taken';
    const after = taken ? decision.payment : before;
    const told: readonly EventType[] = taken ? decision.events : [];
    if (taken) await updateProviderPayment(trx, after);
    for (const event of told) await announcePayment(trx, after, event, now);
    await noteFetch(trx, paymentId, {
      fetches: fetches + 1,
      nextAt: nextFetch(after, fetches, now),
      fetchedAt: now,
      mismatch: taken ? null : decision.reason,
    });
    return { payment: after, events: told, mismatch: taken ? null : decision.reason };
  });
  const fields = { provider: name, payment: payment.paymentNumber };
  if (mismatch !== null) log.warn({ ...fields, reason: mismatch }, 'provider payment mismatch');
  if (charge?.status === 'unknown')
    log.warn({ ...fields, status: charge.statusText }, 'provider status unknown');
  if (events.length > 0) {
    log.info({ ...fields, status: payment.status, events }, 'provider payment changed');
    onEvents();
  }
  return payment;
}
