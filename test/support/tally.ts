import type { TxHash } from '../../src/core/chain.ts';
import { counts, type Deposit, isOwnAsset, type OnchainPayment, type Tally } from '../../src/core/payment.ts';
import { type ChainFacts, forgottenHeight } from '../../src/payments/decide.ts';

/** The order in which a chain shows them. */
export function inChainOrder(deposits: readonly Deposit[]): Deposit[] {
  return deposits.toSorted(
    (a, b) => a.height - b.height || (a.logIndex ?? -1) - (b.logIndex ?? -1) || a.id - b.id,
  );
}

/** What these deposits come to, put together without a database. */
export function tallyOf(payment: OnchainPayment, deposits: readonly Deposit[], chain: ChainFacts): Tally {
  const alone = (deposit: Deposit) => ({ ...deposit, total: 1 });
  const isLate = ({ blockTime, role, status }: Deposit) =>
    role === 'counted' && status !== 'orphaned' && blockTime > payment.blockTimeLimit;
  const counted = completedBy(
    payment,
    deposits.filter((one) => counts(one)),
  );
  return {
    sums: deposits.map(alone),
    missing: deposits
      .filter((one) => one.status === 'orphaned' && counts(one) && one.height > forgottenHeight(chain))
      .map(alone),
    countsLate: deposits.some((one) => isLate(one) && isOwnAsset(payment, one)),
    completedBy: { counted, all: counted ?? completedBy(payment, deposits) },
  };
}

function completedBy(payment: OnchainPayment, deposits: readonly Deposit[]): TxHash | null {
  const confirmed = inChainOrder(deposits.filter(({ status }) => status === 'confirmed'));
  const substitute = confirmed.findLast((one) => one.role === 'accepted' && !isOwnAsset(payment, one));
  if (substitute !== undefined && payment.requiredAmount === 0n) return substitute.txHash;
  let total = 0n;
  for (const deposit of confirmed.filter((one) => isOwnAsset(payment, one))) {
    total += deposit.amount;
    if (total >= payment.requiredAmount) return deposit.txHash;
  }
  return null;
}
