import type { Transfer } from '../core/chain.ts';
import type { DepositRole, Payment, UnmatchedReason } from '../core/payment.ts';

export type Match =
  | { role: Extract<DepositRole, 'counted' | 'late'>; payment: Payment }
  /** `expected` is the payment that it was probably meant for. */
  | { role: 'unmatched'; reason: UnmatchedReason; expected: Payment | null };

/**
 * Whose money a new transfer is. `latest` is the newest payment that was given the recipient's address: the
 * one that holds it now, or else the last that did. Only that one can be meant: a transfer mined before its
 * lock is nobody's, because the payment before it may have ended long ago.
 */
export function matchTransfer(transfer: Transfer, latest: Payment | null): Match {
  if (latest === null) return { role: 'unmatched', reason: 'no_payment', expected: null };
  if (isBeforeLock(transfer, latest)) return { role: 'unmatched', reason: 'before_lock', expected: latest };
  if (transfer.token !== latest.token) return { role: 'unmatched', reason: 'wrong_token', expected: latest };
  const inTime = transfer.block.time * 1000 <= latest.expiresAt;
  return { role: latest.status === 'pending' && inTime ? 'counted' : 'late', payment: latest };
}

function isBeforeLock(transfer: Transfer, payment: Payment): boolean {
  if (transfer.block.height <= payment.lockHeight) return true;
  return payment.lockTime !== null && transfer.block.time < payment.lockTime;
}
