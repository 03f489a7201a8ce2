import type { TxHash } from '../core/chain.ts';
import type { EventType } from '../core/events.ts';
import type { Deposit, Payment, PaymentReason, PaymentStatus } from '../core/payment.ts';

/** What a decision may know of the chain: how far it has been read, and how deep a block must lie. */
export type ChainFacts = {
  /** The last block read. Its `time` is in Unix seconds. */
  cursor: { height: number; time: number };
  requiredConfirmations: number;
};

export type Decision = {
  status: PaymentStatus;
  reason: PaymentReason | null;
  /** The transfer that completed the amount; null while none did. */
  completedBy: TxHash | null;
  /** What to announce; null when only the reason changed. */
  event: EventType | null;
};

/**
 * The state machine of a payment (contract.md §4), pure: the same facts always give the same answer, and an
 * answer already applied gives null.
 *
 *   pending   → confirmed  the confirmed deposits add up to the required amount
 *             → expired    the chain was read past `expiresAt` and shows nothing that counts
 *             → failed     the chain was read past `expiresAt`, all that counts is confirmed, and it is too little
 *             → cancelled  by the app only, see cancel.ts
 *   confirmed → failed     (`reorged`) the chain took back what had confirmed it
 *   failed    → confirmed  (`reorged`) it was mined and confirmed again;
 *                          (underpaid) late deposits make up the amount and the policy is to confirm
 *   expired   → confirmed  late deposits make up the amount and the policy is to confirm
 *   cancelled              stays
 *
 * Time is the chain's: our own clock can only delay an expiry, never cause one, so an outage however long
 * expires nobody who paid in time.
 */
export function decide(
  payment: Payment,
  deposits: readonly Deposit[],
  chain: ChainFacts,
  latePolicy: 'flag' | 'confirm',
  now: number,
): Decision | null {
  const live = deposits.filter((deposit) => deposit.status !== 'orphaned');
  const counted = live.filter((deposit) => deposit.role === 'counted');

  switch (payment.status) {
    case 'pending': {
      const completion = completionOf(payment, counted) ?? lateCompletionOf(payment, live, chain, latePolicy);
      if (completion !== null) return confirm(payment, live, completion);
      if (!isOver(payment, chain, now) || mayBeMinedAgain(deposits, chain)) return null;
      if (counted.length === 0) return end(payment, live, 'expired', 'payment.expired');
      if (counted.some((deposit) => deposit.status === 'seen')) return null;
      return end(payment, live, 'failed', 'payment.failed');
    }
    case 'confirmed':
      if (sum(counted) < payment.requiredAmount) return end(payment, live, 'failed', 'payment.reverted');
      return reasonOnly(payment, live);
    case 'failed':
    case 'expired': {
      const completion = completionOf(payment, counted) ?? lateCompletionOf(payment, live, chain, latePolicy);
      return completion === null ? reasonOnly(payment, live) : confirm(payment, live, completion);
    }
    case 'cancelled':
      return reasonOnly(payment, live);
    default:
      return payment.status satisfies never;
  }
}

/** The sum of what the chain still shows, whatever it counts as. */
export function receivedAmount(deposits: readonly Deposit[]): bigint {
  return sum(deposits.filter((deposit) => deposit.status !== 'orphaned'));
}

/** The order in which the chain shows them. */
export function inChainOrder(deposits: readonly Deposit[]): Deposit[] {
  return deposits.toSorted(
    (a, b) => a.height - b.height || (a.logIndex ?? -1) - (b.logIndex ?? -1) || a.id - b.id,
  );
}

/** The transfer with which the confirmed ones reach the required amount; null while they do not. */
function completionOf(payment: Payment, candidates: readonly Deposit[]): TxHash | null {
  let total = 0n;
  for (const deposit of inChainOrder(candidates)) {
    if (deposit.status !== 'confirmed') continue;
    total += deposit.amount;
    if (total >= payment.requiredAmount) return deposit.txHash;
  }
  return null;
}

/** The same with what came too late, for an operator who takes late money and once its time is over. */
function lateCompletionOf(
  payment: Payment,
  live: readonly Deposit[],
  chain: ChainFacts,
  latePolicy: 'flag' | 'confirm',
): TxHash | null {
  if (latePolicy === 'flag' || chain.cursor.time * 1000 <= payment.expiresAt) return null;
  return completionOf(payment, live);
}

function isOver(payment: Payment, chain: ChainFacts, now: number): boolean {
  return now > payment.expiresAt && chain.cursor.time * 1000 > payment.expiresAt;
}

/**
 * A transaction that a reorg threw out is usually mined again within a few blocks. The payment it was given
 * to waits for that as long as a confirmation takes.
 */
function mayBeMinedAgain(deposits: readonly Deposit[], chain: ChainFacts): boolean {
  return deposits.some(
    (deposit) =>
      deposit.status === 'orphaned' &&
      deposit.role === 'counted' &&
      chain.cursor.height < deposit.height + chain.requiredConfirmations,
  );
}

function confirm(payment: Payment, live: readonly Deposit[], completedBy: TxHash): Decision {
  return {
    status: 'confirmed',
    reason: reasonOf(payment, live, 'confirmed'),
    completedBy,
    event: 'payment.confirmed',
  };
}

function end(
  payment: Payment,
  live: readonly Deposit[],
  status: 'expired' | 'failed',
  event: EventType,
): Decision {
  return { status, reason: reasonOf(payment, live, status), completedBy: null, event };
}

function reasonOnly(payment: Payment, live: readonly Deposit[]): Decision | null {
  const reason = reasonOf(payment, live, payment.status);
  if (reason === payment.reason) return null;
  return { status: payment.status, reason, completedBy: payment.completedBy, event: null };
}

/** Why it failed, or what is unusual, from what the chain shows now. */
function reasonOf(payment: Payment, live: readonly Deposit[], status: PaymentStatus): PaymentReason | null {
  const late = live.some(
    (deposit) => deposit.role === 'late' || deposit.blockTime * 1000 > payment.expiresAt,
  );
  switch (status) {
    case 'pending':
      return null;
    case 'confirmed':
      if (late) return 'late';
      return sum(live) > payment.expectedAmount ? 'overpaid' : null;
    case 'failed':
      if (payment.confirmedAt !== null) return 'reorged';
      return late ? 'late' : 'underpaid';
    case 'expired':
    case 'cancelled':
      return late ? 'late' : null;
    default:
      return status satisfies never;
  }
}

function sum(deposits: readonly Deposit[]): bigint {
  return deposits.reduce((total, deposit) => total + deposit.amount, 0n);
}
