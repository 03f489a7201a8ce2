import type { TxHash } from '../core/chain.ts';
import type { EventType } from '../core/events.ts';
import {
  counts,
  type DepositSum,
  isOpen,
  isOwnAsset,
  type OnchainPayment,
  type PaymentReason,
  type PaymentStatus,
  type Tally,
} from '../core/payment.ts';
import { type Completion, completionOf, isCovered, isDust, receivedAmount } from './tally.ts';

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
  /** Whether confirmed deposits that came late count from now on. */
  takesLate: boolean;
  /** What to announce; null when only the reason changed, or a second chance is over. */
  event: EventType | null;
  /** That the time is over in which a reverted payment can be paid anew: it lets go of its address. */
  closes?: true;
};

/**
 * The state machine of a payment (contract.md §4), pure: the same facts always give the same answer, and an
 * answer already applied gives null.
 *
 *   pending   → confirmed  the confirmed deposits add up to the required amount
 *             → expired    the chain was read past `blockTimeLimit` and shows nothing that counts
 *             → failed     the chain was read past `blockTimeLimit`, all that counts is confirmed, and it is too little
 *             → cancelled  by the app only, see cancel.ts
 *   confirmed → failed     (`reorged`) the chain took back what had confirmed it
 *   failed    → confirmed  (`reorged`) it was mined and confirmed again, or paid anew while it was reopened;
 *                          (either reason) the same as expired
 *   expired   → confirmed  deposits in time, which no node had shown in time, make up the amount;
 *                          late deposits make it up and the policy is to confirm
 *   cancelled              stays
 *
 * An operator may also confirm any of them but `confirmed`, see accept.ts and attach.ts: that lowers the required
 * amount to what came. What was attached in another asset adds to no sum: it must be there, and be confirmed,
 * beside the required amount.
 *
 * Time is the chain's: our own clock can only delay an expiry, never cause one, so an outage however long
 * expires nobody who paid in time.
 */
export function decide(
  payment: OnchainPayment,
  tally: Tally,
  chain: ChainFacts,
  latePolicy: 'flag' | 'confirm',
  now: number,
): Decision | null {
  switch (payment.status) {
    case 'pending': {
      const completion = completionOf(payment, tally) ?? lateCompletionOf(payment, tally, chain, latePolicy);
      if (completion !== null) return confirm(payment, tally, completion);
      if (!isDone(payment, tally, chain, now)) return null;
      if (isDust(payment, tally.sums.filter(counts)))
        return end(payment, tally, 'expired', 'payment.expired');
      return end(payment, tally, 'failed', 'payment.failed');
    }
    case 'confirmed':
      if (!isCovered(payment, tally.sums)) return end(payment, tally, 'failed', 'payment.reverted');
      return reasonOnly(payment, tally);
    case 'failed':
    case 'expired': {
      const completion = completionOf(payment, tally) ?? lateCompletionOf(payment, tally, chain, latePolicy);
      if (completion !== null) return confirm(payment, tally, completion);
      return isOpen(payment) && isDone(payment, tally, chain, now)
        ? close(payment, tally)
        : reasonOnly(payment, tally);
    }
    case 'cancelled':
      return reasonOnly(payment, tally);
    default:
      return payment.status satisfies never;
  }
}

/**
 * The payment as an operator's acceptance makes it, whatever its state: what is needed from then on is what there is. Null
 * when a part of that is not confirmed yet.
 */
export function acceptedAsIs(
  payment: OnchainPayment,
  sums: readonly DepositSum[],
  now: number,
): OnchainPayment | null {
  if (sums.some(({ status }) => status === 'seen')) return null;
  const received = receivedAmount(payment, sums);
  const requiredAmount = received < payment.expectedAmount ? received : payment.expectedAmount;
  return { ...payment, requiredAmount, acceptedAt: now };
}

/**
 * What follows once an operator has accepted what came, or attached what suffices: everything that came counts, late or
 * not. Null when that is nothing, or too little.
 */
export function acceptance(payment: OnchainPayment, tally: Tally): Decision | null {
  const live = { ...tally, sums: tally.sums.filter(isLive) };
  const completion = completionOf(payment, live, true);
  return completion === null ? null : confirm(payment, live, completion);
}

/** The same with what came too late, for an operator who takes late money and once its time is over. */
function lateCompletionOf(
  payment: OnchainPayment,
  tally: Tally,
  chain: ChainFacts,
  latePolicy: 'flag' | 'confirm',
): Completion | null {
  // What has ended takes late money at once: nothing may come to look at it again when its time is over.
  const ended = payment.status !== 'pending' || chain.cursor.time > payment.blockTimeLimit;
  return latePolicy === 'confirm' && ended ? completionOf(payment, tally, true) : null;
}

/** Whether its time is over and nothing is on its way any more that could change what follows. */
function isDone(payment: OnchainPayment, tally: Tally, chain: ChainFacts, now: number): boolean {
  if (!isOver(payment, chain, now) || mayBeMinedAgain(payment, tally)) return false;
  const counted = tally.sums.filter((sum) => isLive(sum) && counts(sum));
  return isDust(payment, counted) || counted.every(({ status }) => status === 'confirmed');
}

function isOver(payment: OnchainPayment, chain: ChainFacts, now: number): boolean {
  return now > payment.expiresAt && chain.cursor.time > payment.blockTimeLimit;
}

/**
 * A transaction that a reorg threw out is usually mined again within a few blocks. The payment it was given
 * to waits for that as long as a confirmation takes, unless what may come back is dust.
 */
function mayBeMinedAgain(payment: OnchainPayment, { sums, missing }: Tally): boolean {
  if (missing.length === 0) return false;
  const returned = missing.map((sum) => ({ ...sum, status: 'seen' }) as const);
  return !isDust(payment, [...sums.filter(counts), ...returned]);
}

/** Up to this height a transaction that a reorg threw out is waited for no more. */
export function forgottenHeight({ cursor, requiredConfirmations }: ChainFacts): number {
  return cursor.height - requiredConfirmations;
}

function isLive({ status }: Pick<DepositSum, 'status'>): boolean {
  return status !== 'orphaned';
}

function confirm(payment: OnchainPayment, tally: Tally, completion: Completion): Decision {
  const after = completion.takesLate ? { ...tally, sums: tally.sums.map(accepted) } : tally;
  return {
    status: 'confirmed',
    reason: reasonOf(payment, after, 'confirmed'),
    ...completion,
    event: 'payment.confirmed',
  };
}

/** What it is once its payment was confirmed with what came late: see acceptLateDeposits. */
function accepted(sum: DepositSum): DepositSum {
  return sum.role === 'late' && sum.status === 'confirmed' ? { ...sum, role: 'accepted' } : sum;
}

function end(
  payment: OnchainPayment,
  tally: Tally,
  status: 'expired' | 'failed',
  event: EventType,
): Decision {
  return {
    status,
    reason: reasonOf(payment, tally, status),
    completedBy: null,
    takesLate: false,
    event,
  };
}

/** A reverted payment that nobody has paid anew stays as it is, without its address. */
function close(payment: OnchainPayment, tally: Tally): Decision {
  const { status, completedBy } = payment;
  const reason = reasonOf(payment, tally, status);
  return { status, reason, completedBy, takesLate: false, event: null, closes: true };
}

/** The same payment with another reason, where what the chain shows now gives it one. */
export function reasonOnly(payment: OnchainPayment, tally: Tally): Decision | null {
  const reason = reasonOf(payment, tally, payment.status);
  if (reason === payment.reason) return null;
  return { status: payment.status, reason, completedBy: payment.completedBy, takesLate: false, event: null };
}

/** Why it failed, or what is unusual, from what the chain shows now. */
function reasonOf(
  payment: OnchainPayment,
  { sums, countsLate }: Tally,
  status: PaymentStatus,
): PaymentReason | null {
  const own = sums.filter((sum) => isLive(sum) && isOwnAsset(payment, sum));
  const late =
    countsLate ||
    // It was taken though it was late.
    own.some(({ role }) => role === 'accepted') ||
    !isDust(
      payment,
      own.filter(({ role }) => role === 'late'),
    );
  switch (status) {
    case 'pending':
      return null;
    case 'confirmed':
      if (late) return 'late';
      if (receivedAmount(payment, own) > payment.expectedAmount) return 'overpaid';
      return payment.acceptedAt !== null && receivedAmount(payment, own) < payment.expectedAmount
        ? 'underpaid'
        : null;
    case 'failed':
      if (payment.confirmedAt !== null) return 'reorged';
      return late ? 'late' : 'underpaid';
    case 'expired':
      if (late) return 'late';
      return !isDust(payment, own) && receivedAmount(payment, own) < payment.requiredAmount
        ? 'underpaid'
        : null;
    case 'cancelled':
      return late ? 'late' : null;
    default:
      return status satisfies never;
  }
}
