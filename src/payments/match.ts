import type { Transfer } from '../core/chain.ts';
import { lockSlackMs } from '../core/chain-time.ts';
import { type DepositRole, isOpen, type OnchainPayment, type UnmatchedReason } from '../core/payment.ts';

export type Match =
  | { role: Extract<DepositRole, 'counted' | 'late'>; payment: OnchainPayment }
  /** `expected` is the payment that it was probably meant for. */
  | { role: 'unmatched'; reason: UnmatchedReason; expected: OnchainPayment | null };

/**
 * Whose money a new transfer is. `latest` is the newest payment that was given the recipient's address: the
 * one that holds it now, or else the last that did. Only that one can be meant: a transfer mined before its
 * lock is nobody's, because the payment before it may have ended long ago.
 */
export function matchTransfer(transfer: Transfer, latest: OnchainPayment | null): Match {
  if (latest === null) return { role: 'unmatched', reason: 'no_payment', expected: null };
  if (isBeforeLock(transfer, latest)) return { role: 'unmatched', reason: 'before_lock', expected: latest };
  if (transfer.token !== latest.token) return { role: 'unmatched', reason: 'wrong_token', expected: latest };
  const counts = isOpen(latest) && isInTime(transfer, latest);
  return { role: counts ? 'counted' : 'late', payment: latest };
}

/**
 * Whose money a transfer was that an earlier reading of its block had missed, if it came in time: that of the
 * payment which held the address then. It counts whatever became of the payment meanwhile, expired unpaid or given
 * the address to another, because its customer did all that was asked. Null for anything else, which is matched like
 * a new transfer; what an app has cancelled stays so.
 */
export function matchMissed(transfer: Transfer, holder: OnchainPayment | null): Match | null {
  if (holder === null || holder.status === 'cancelled') return null;
  if (transfer.token !== holder.token || isBeforeLock(transfer, holder)) return null;
  return isInTime(transfer, holder) ? { role: 'counted', payment: holder } : null;
}

export function isInTime(transfer: Transfer, payment: OnchainPayment): boolean {
  return transfer.block.time <= payment.blockTimeLimit;
}

/** By the chain's own time alone: a height says nothing once the head of the lock was replaced, or had been made up. */
function isBeforeLock(transfer: Transfer, payment: OnchainPayment): boolean {
  return transfer.block.time * 1000 < payment.lockChainTime - lockSlackMs;
}
