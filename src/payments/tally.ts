import type { TxHash } from '../core/chain.ts';
import { counts, type DepositSum, isOwnAsset, type OnchainPayment, type Tally } from '../core/payment.ts';

/*
 * What the deposits of a payment come to. Anybody can send any number of them: what is added up are sums of those that
 * are alike, which the database keeps.
 */

/** The transfer that completed the amount, and whether that takes late ones. */
export type Completion = { completedBy: TxHash; takesLate: boolean };

/** What is added up: a sum of several deposits, or a single one. */
type Summed = Pick<DepositSum, 'network' | 'token' | 'status' | 'role' | 'amount'>;

/** The sum of what the chain still shows in the payment's asset, whatever it counts as. */
export function receivedAmount(payment: OnchainPayment, sums: readonly Summed[]): bigint {
  return sums
    .filter((sum) => sum.status !== 'orphaned' && isOwnAsset(payment, sum))
    .reduce((total, { amount }) => total + amount, 0n);
}

/** The transfer with which the confirmed ones suffice; null while they do not. */
export function completionOf(payment: OnchainPayment, tally: Tally, takesLate = false): Completion | null {
  if (substitutesOf(payment, tally.sums).some(({ status }) => status !== 'confirmed')) return null;
  const completedBy = takesLate ? tally.completedBy.all : tally.completedBy.counted;
  return completedBy === null ? null : { completedBy, takesLate };
}

/** Whether what the chain still shows suffices, confirmed or mined again and not confirmed yet. */
export function isCovered(payment: OnchainPayment, sums: readonly DepositSum[]): boolean {
  if (substitutesOf(payment, sums).some(({ status }) => status === 'orphaned')) return false;
  return countedAmount(payment, sums) >= payment.requiredAmount;
}

/** The sum of what the chain still shows of what counts. */
export function countedAmount(payment: OnchainPayment, sums: readonly Summed[]): bigint {
  return receivedAmount(payment, sums.filter(counts));
}

/** Whether these are dust in all, or nothing: then the payment goes on as if nothing had come. */
export function isDust(payment: OnchainPayment, sums: readonly Summed[]): boolean {
  const live = sums.filter(({ status }) => status !== 'orphaned');
  return receivedAmount(payment, live) < payment.dustAmount && substitutesOf(payment, live).length === 0;
}

/** What an operator took instead of the asset that was asked for. */
export function substitutesOf<T extends Summed>(payment: OnchainPayment, sums: readonly T[]): T[] {
  return sums.filter((sum) => sum.role === 'accepted' && !isOwnAsset(payment, sum));
}
