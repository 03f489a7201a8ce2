import { isTaken } from '../core/charge.ts';
import type { EventType } from '../core/events.ts';
import type { PaymentReason, PaymentStatus, ProviderPayment } from '../core/payment.ts';
import type { Capabilities, Charge } from './provider.ts';

/** What a fetched charge makes of a payment. */
export type ChargeDecision =
  /** It cannot be this payment's, or contradicts what it was: nothing moves, and somebody must look. */
  | { kind: 'mismatch'; reason: string }
  | { kind: 'taken'; payment: ProviderPayment; events: readonly EventType[] };

/** A charge that nobody pays any more is asked about for this long past its end, ms. */
export const pastEndMs = 24 * 60 * 60 * 1000;

/**
 * The state machine of a payment by a provider, pure: the same facts always give the same answer, and an answer already
 * applied has no events. What the provider's ledger says is followed; what it may not say of this payment is refused.
 *
 *   pending   → confirmed  the money was taken, whatever became of it since: refunded, disputed
 *             → failed     `declined` or `voided`; `underpaid` when we had a part captured, as no answer says how much
 *             → expired    the provider says so; or its end is past and a fetch shows it unpaid: at once where the
 *                          provider has no word for it, else after a day
 *             → cancelled  by the app only, see payments/cancel.ts
 *   expired, failed → confirmed  (`late`) the money was taken after all
 *   cancelled       stays, `late` when money was taken: `payment.late`, an operator accepts it or refunds it
 *   confirmed       stays: refunds and disputes are shown and told, and move nothing back
 *
 * `charge` is null where the provider shows none yet: nobody has begun to pay.
 */
export function decideCharge(
  payment: ProviderPayment,
  charge: Charge | null,
  capabilities: Capabilities,
  now: number,
): ChargeDecision {
  const reason = charge === null ? null : mismatchOf(payment, charge, capabilities);
  if (reason !== null) return { kind: 'mismatch', reason };
  const shown = charge === null ? payment : shownBy(payment, charge);
  const events: EventType[] = [];

  const next = nextOf(shown, capabilities, now);
  const moves = next !== null && (next.status !== payment.status || next.reason !== payment.reason);
  if (moves && next.event !== null) events.push(next.event);
  if (shown.chargeStatus === 'authorized' && payment.chargeStatus !== 'authorized') {
    events.push('provider.authorized');
  }
  if (shown.refunded > payment.refunded) events.push('provider.refunded');
  if (shown.disputed && !payment.disputed) events.push('provider.disputed');

  if (!moves) return { kind: 'taken', payment: shown, events };
  const confirms = next.status === 'confirmed';
  return {
    kind: 'taken',
    payment: {
      ...shown,
      status: next.status,
      reason: next.reason,
      confirmedAt: confirms ? now : payment.confirmedAt,
      endedAt: next.status === payment.status ? payment.endedAt : now,
    },
    events,
  };
}

/** Why an answer is not about this payment, or not about all of it. */
function mismatchOf(payment: ProviderPayment, charge: Charge, capabilities: Capabilities): string | null {
  if (payment.chargeId !== null && charge.id !== payment.chargeId) return 'another charge';
  // Without an id of its own it is our reference alone that makes a charge this payment's.
  const mustEcho = payment.chargeId === null;
  if ((mustEcho || charge.reference !== null) && charge.reference !== payment.reference) {
    return 'another reference';
  }
  if (charge.amount !== payment.expectedAmount) return 'another amount';
  if (charge.currency?.toLowerCase() !== payment.currency) return 'another currency';
  if (capabilities.statesMode && charge.mode !== payment.mode) return 'another mode';
  if (isTaken(payment.chargeStatus) && !isTaken(charge.status)) return `back to ${charge.status}`;
  return null;
}

/** The payment as the charge shows it. Refunds and disputes are only added to. */
function shownBy(payment: ProviderPayment, charge: Charge): ProviderPayment {
  const refunded = charge.refunded ?? 0n;
  return {
    ...payment,
    chargeId: charge.id,
    chargeStatus: charge.status,
    statusText: charge.statusText,
    fee: charge.fee ?? payment.fee,
    net: charge.net ?? payment.net,
    refunded: refunded > payment.refunded ? refunded : payment.refunded,
    disputed: payment.disputed || charge.status === 'disputed',
  };
}

type Next = { status: PaymentStatus; reason: PaymentReason | null; event: EventType | null };

/** Null: it stays as it is. */
function nextOf(payment: ProviderPayment, capabilities: Capabilities, now: number): Next | null {
  switch (payment.status) {
    case 'pending':
      return endOfPending(payment, capabilities, now);
    case 'expired':
    case 'failed':
      if (!isTaken(payment.chargeStatus) || !isWhole(payment)) return null;
      return { status: 'confirmed', reason: 'late', event: 'payment.confirmed' };
    case 'cancelled':
      if (!isTaken(payment.chargeStatus)) return null;
      return { status: 'cancelled', reason: 'late', event: 'payment.late' };
    case 'confirmed':
      return null;
    default:
      return payment.status satisfies never;
  }
}

function endOfPending(payment: ProviderPayment, capabilities: Capabilities, now: number): Next | null {
  switch (payment.chargeStatus) {
    case 'captured':
    case 'refunded':
    case 'partially_refunded':
    case 'disputed':
      return isWhole(payment)
        ? { status: 'confirmed', reason: null, event: 'payment.confirmed' }
        : { status: 'failed', reason: 'underpaid', event: 'payment.failed' };
    case 'failed':
      return { status: 'failed', reason: 'declined', event: 'payment.failed' };
    case 'voided':
      return { status: 'failed', reason: 'voided', event: 'payment.failed' };
    case 'expired':
      return { status: 'expired', reason: null, event: 'payment.expired' };
    case 'pending':
    case 'unknown': {
      const end = payment.expiresAt + (capabilities.statesExpiry ? pastEndMs : 0);
      return now > end ? { status: 'expired', reason: null, event: 'payment.expired' } : null;
    }
    // Money on its way: it is waited for, however long.
    case 'processing':
    case 'authorized':
      return null;
    default:
      return payment.chargeStatus satisfies never;
  }
}

/**
 * Whether all of it was taken. After the capture of a part no answer says how much; and of a charge that is captured and
 * nothing else, a fee and a net that come to less than the amount say so. (Refunds and disputes lower the net too.)
 */
function isWhole({ capture, chargeStatus, refunded, fee, net, expectedAmount }: ProviderPayment): boolean {
  if (capture === 'part') return false;
  if (chargeStatus !== 'captured' || refunded > 0n || fee === null || net === null) return true;
  return fee + net >= expectedAmount;
}
