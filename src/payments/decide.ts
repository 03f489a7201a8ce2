import type { TxHash } from '../core/chain.ts';
import type { EventType } from '../core/events.ts';
import {
  type Deposit,
  isOpen,
  isOwnAsset,
  type OnchainPayment,
  type PaymentReason,
  type PaymentStatus,
} from '../core/payment.ts';
import {
  type Completion,
  completionOf,
  counts,
  isCovered,
  isDust,
  receivedAmount,
  substitutesOf,
} from './tally.ts';

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
  deposits: readonly Deposit[],
  chain: ChainFacts,
  latePolicy: 'flag' | 'confirm',
  now: number,
): Decision | null {
  const live = deposits.filter((deposit) => deposit.status !== 'orphaned');
  const counted = live.filter(counts);

  switch (payment.status) {
    case 'pending': {
      const completion =
        completionOf(payment, deposits) ?? lateCompletionOf(payment, deposits, chain, latePolicy);
      if (completion !== null) return confirm(payment, live, completion);
      if (!isDone(payment, deposits, chain, now)) return null;
      if (isDust(payment, counted)) return end(payment, live, 'expired', 'payment.expired');
      return end(payment, live, 'failed', 'payment.failed');
    }
    case 'confirmed':
      if (!isCovered(payment, deposits)) return end(payment, live, 'failed', 'payment.reverted');
      return reasonOnly(payment, live);
    case 'failed':
    case 'expired': {
      const completion =
        completionOf(payment, deposits) ?? lateCompletionOf(payment, deposits, chain, latePolicy);
      if (completion !== null) return confirm(payment, live, completion);
      return isOpen(payment) && isDone(payment, deposits, chain, now)
        ? close(payment, live)
        : reasonOnly(payment, live);
    }
    case 'cancelled':
      return reasonOnly(payment, live);
    default:
      return payment.status satisfies never;
  }
}

/**
 * What an operator's acceptance does, whatever the payment's state: everything that came counts, late or not.
 * Null when that is nothing, or when a part of it is not confirmed yet. What is needed from then on is what there is.
 */
export function acceptance(
  payment: OnchainPayment,
  deposits: readonly Deposit[],
  now: number,
): { payment: OnchainPayment; decision: Decision } | null {
  const live = deposits.filter((deposit) => deposit.status !== 'orphaned');
  if (live.some((deposit) => deposit.status !== 'confirmed')) return null;
  const received = receivedAmount(payment, live);
  const requiredAmount = received < payment.expectedAmount ? received : payment.expectedAmount;
  const accepted = { ...payment, requiredAmount, acceptedAt: now };
  const completion = completionOf(accepted, live, true);
  return completion === null ? null : { payment: accepted, decision: confirm(accepted, live, completion) };
}

/**
 * What follows from a deposit that an operator gave to a payment: what suffices confirms, late or not. In another
 * asset it settles the payment together with what else came, as an acceptance does. Null when nothing follows.
 */
export function attachment(
  payment: OnchainPayment,
  deposits: readonly Deposit[],
  now: number,
): { payment: OnchainPayment; decision: Decision } | null {
  const live = deposits.filter((deposit) => deposit.status !== 'orphaned');
  if (payment.status !== 'confirmed') {
    if (substitutesOf(payment, deposits).length > 0) return acceptance(payment, deposits, now);
    const completion = completionOf(payment, deposits, true);
    if (completion !== null) return { payment, decision: confirm(payment, live, completion) };
  }
  const decision = reasonOnly(payment, live);
  return decision === null ? null : { payment, decision };
}

/** The same with what came too late, for an operator who takes late money and once its time is over. */
function lateCompletionOf(
  payment: OnchainPayment,
  deposits: readonly Deposit[],
  chain: ChainFacts,
  latePolicy: 'flag' | 'confirm',
): Completion | null {
  // What has ended takes late money at once: nothing may come to look at it again when its time is over.
  const ended = payment.status !== 'pending' || chain.cursor.time > payment.blockTimeLimit;
  return latePolicy === 'confirm' && ended ? completionOf(payment, deposits, true) : null;
}

/** Whether its time is over and nothing is on its way any more that could change what follows. */
function isDone(
  payment: OnchainPayment,
  deposits: readonly Deposit[],
  chain: ChainFacts,
  now: number,
): boolean {
  if (!isOver(payment, chain, now) || mayBeMinedAgain(payment, deposits, chain)) return false;
  const counted = deposits.filter((deposit) => deposit.status !== 'orphaned' && counts(deposit));
  return isDust(payment, counted) || counted.every((deposit) => deposit.status === 'confirmed');
}

function isOver(payment: OnchainPayment, chain: ChainFacts, now: number): boolean {
  return now > payment.expiresAt && chain.cursor.time > payment.blockTimeLimit;
}

/**
 * A transaction that a reorg threw out is usually mined again within a few blocks. The payment it was given
 * to waits for that as long as a confirmation takes, unless what may come back is dust.
 */
function mayBeMinedAgain(payment: OnchainPayment, deposits: readonly Deposit[], chain: ChainFacts): boolean {
  const missing = deposits.filter(
    (deposit) =>
      deposit.status === 'orphaned' &&
      counts(deposit) &&
      chain.cursor.height < deposit.height + chain.requiredConfirmations,
  );
  if (missing.length === 0) return false;
  const returned = missing.map((deposit) => ({ ...deposit, status: 'seen' }) as const);
  return !isDust(payment, [...deposits.filter(counts), ...returned]);
}

function confirm(payment: OnchainPayment, live: readonly Deposit[], completion: Completion): Decision {
  return {
    status: 'confirmed',
    reason: reasonOf(payment, completion.takesLate ? live.map(accepted) : live, 'confirmed'),
    ...completion,
    event: 'payment.confirmed',
  };
}

/** What it is once its payment was confirmed with what came late: see acceptLateDeposits. */
function accepted(deposit: Deposit): Deposit {
  return deposit.role === 'late' && deposit.status === 'confirmed'
    ? { ...deposit, role: 'accepted' }
    : deposit;
}

function end(
  payment: OnchainPayment,
  live: readonly Deposit[],
  status: 'expired' | 'failed',
  event: EventType,
): Decision {
  return {
    status,
    reason: reasonOf(payment, live, status),
    completedBy: null,
    takesLate: false,
    event,
  };
}

/** A reverted payment that nobody has paid anew stays as it is, without its address. */
function close(payment: OnchainPayment, live: readonly Deposit[]): Decision {
  const { status, completedBy } = payment;
  const reason = reasonOf(payment, live, status);
  return { status, reason, completedBy, takesLate: false, event: null, closes: true };
}

function reasonOnly(payment: OnchainPayment, live: readonly Deposit[]): Decision | null {
  const reason = reasonOf(payment, live, payment.status);
  if (reason === payment.reason) return null;
  return { status: payment.status, reason, completedBy: payment.completedBy, takesLate: false, event: null };
}

/** Why it failed, or what is unusual, from what the chain shows now. */
function reasonOf(
  payment: OnchainPayment,
  live: readonly Deposit[],
  status: PaymentStatus,
): PaymentReason | null {
  const own = live.filter((deposit) => isOwnAsset(payment, deposit));
  const late =
    own.some(isCountedThoughLate) ||
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

  /** The chain has put it past the end since, or it was taken though it was. */
  function isCountedThoughLate({ role, blockTime }: Deposit): boolean {
    return role !== 'late' && (role !== 'counted' || blockTime > payment.blockTimeLimit);
  }
}
