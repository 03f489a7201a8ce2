import type { TxHash } from '../core/chain.ts';
import { type Deposit, isOwnAsset, type OnchainPayment } from '../core/payment.ts';

/*
 * What the deposits of a payment come to.
 */

/** The transfer that completed the amount, and whether that takes late ones. */
export type Completion = { completedBy: TxHash; takesLate: boolean };

/** The sum of what the chain still shows in the payment's asset, whatever it counts as. */
export function receivedAmount(payment: OnchainPayment, deposits: readonly Deposit[]): bigint {
  return deposits
    .filter((deposit) => deposit.status !== 'orphaned' && isOwnAsset(payment, deposit))
    .reduce((total, deposit) => total + deposit.amount, 0n);
}

/** The order in which the chain shows them. */
export function inChainOrder(deposits: readonly Deposit[]): Deposit[] {
  return deposits.toSorted(
    (a, b) => a.height - b.height || (a.logIndex ?? -1) - (b.logIndex ?? -1) || a.id - b.id,
  );
}

/** The transfer with which the confirmed ones suffice; null while they do not. */
export function completionOf(
  payment: OnchainPayment,
  deposits: readonly Deposit[],
  takesLate = false,
): Completion | null {
  const substitutes = substitutesOf(payment, deposits);
  if (substitutes.some((deposit) => deposit.status !== 'confirmed')) return null;
  const substitute = inChainOrder(substitutes).at(-1);
  if (substitute !== undefined && payment.requiredAmount === 0n) {
    return { completedBy: substitute.txHash, takesLate };
  }
  let total = 0n;
  for (const deposit of inChainOrder(deposits)) {
    if (deposit.status !== 'confirmed' || !isOwnAsset(payment, deposit)) continue;
    if (!counts(deposit) && !takesLate) continue;
    total += deposit.amount;
    if (total >= payment.requiredAmount) return { completedBy: deposit.txHash, takesLate };
  }
  return null;
}

/** Whether what the chain still shows suffices, confirmed or mined again and not confirmed yet. */
export function isCovered(payment: OnchainPayment, deposits: readonly Deposit[]): boolean {
  if (substitutesOf(payment, deposits).some((deposit) => deposit.status === 'orphaned')) return false;
  return countedAmount(payment, deposits) >= payment.requiredAmount;
}

/** The sum of what the chain still shows of what counts. */
export function countedAmount(payment: OnchainPayment, deposits: readonly Deposit[]): bigint {
  return receivedAmount(payment, deposits.filter(counts));
}

/** Whether these are dust in all, or nothing: then the payment goes on as if nothing had come. */
export function isDust(payment: OnchainPayment, deposits: readonly Deposit[]): boolean {
  const live = deposits.filter((deposit) => deposit.status !== 'orphaned');
  return receivedAmount(payment, live) < payment.dustAmount && substitutesOf(payment, live).length === 0;
}

/** What an operator took instead of the asset that was asked for. */
export function substitutesOf(payment: OnchainPayment, deposits: readonly Deposit[]): Deposit[] {
  return deposits.filter((deposit) => deposit.role === 'accepted' && !isOwnAsset(payment, deposit));
}

/** Whether it adds to what its payment needs. */
export function counts(deposit: Pick<Deposit, 'role'>): boolean {
  return deposit.role === 'counted' || deposit.role === 'accepted';
}
