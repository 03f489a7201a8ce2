import type { EventType } from '../core/events.ts';
import type { Deposit } from '../core/payment.ts';
import { listSums } from '../storage/deposits/sums.ts';
import type { Trx } from '../storage/schema.ts';
import type { Holders } from './holders.ts';
import { countedAmount, receivedAmount } from './tally.ts';

/** What recording a transfer means for a payment. */
export type Recorded = {
  deposit: Deposit;
  /** To settle; null for an unmatched deposit. */
  paymentId: number | null;
  /** Of an unmatched deposit: the payment that it was probably meant for. */
  expectedId: number | null;
  /** To announce once the payments are settled: see announce.ts. */
  event: Extract<EventType, 'payment.detected' | 'payment.late' | 'deposit.unmatched'> | null;
};

/**
 * Leaves of the events of what was recorded in one go those that say something: one for each payment, that it is the
 * first to have received something, or that late money has come. Dust is neither.
 */
export async function keepOneEvent(trx: Trx, recorded: readonly Recorded[], holders: Holders): Promise<void> {
  const arrived = recorded.filter(({ event, paymentId }) => event !== null && paymentId !== null);
  for (const [paymentId, all] of Map.groupBy(arrived, (one) => one.paymentId)) {
    if (paymentId === null) continue;
    const payment = await holders.payment(paymentId);
    const sums = await listSums(trx, payment.id);
    const [received, counted] = [receivedAmount(payment, sums), countedAmount(payment, sums)];
    const [detected, late] = [ofEvent(all, 'payment.detected'), ofEvent(all, 'payment.late')];
    const [firstDetected] = crosses(payment.dustAmount, counted, sum(detected)) ? detected : [];
    const [firstLate] =
      crosses(payment.dustAmount, received - counted, sum(late)) || sum(late) >= payment.dustAmount
        ? late
        : [];
    for (const one of all) if (one !== firstDetected && one !== firstLate) one.event = null;
  }
}

/** Whether a total was below `least` before the last of it came, and no longer is. */
function crosses(least: bigint, total: bigint, last: bigint): boolean {
  return total >= least && total - last < least;
}

function ofEvent(recorded: readonly Recorded[], event: Recorded['event']): Recorded[] {
  return recorded.filter((one) => one.event === event);
}

function sum(recorded: readonly Recorded[]): bigint {
  return recorded.reduce((total, { deposit }) => total + deposit.amount, 0n);
}
