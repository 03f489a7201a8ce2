import type { Deposit } from '../core/payment.ts';
import { findIgnored } from '../storage/deposits/attachments.ts';
import { findPaymentNumbers } from '../storage/payments/numbers.ts';
import { findAddressTexts } from '../storage/pool/addresses.ts';
import type { Db } from '../storage/schema.ts';
import { type Expectation, findExpected, presentExpectation } from './expected.ts';
import { isoTime, showAmount } from './values.ts';

/** The JSON of a deposit, for operators. */
export type PresentedDeposit = {
  id: number;
  merchant_id: string;
  payment_number: string | null;
  network: Deposit['network'];
  currency: Deposit['currency'];
  amount: string;
  address: string;
  tx_hash: string;
  block_height: number;
  block_time: string;
  status: 'unmatched' | 'ignored' | 'late' | Deposit['status'];
  reason: Deposit['unmatchedReason'];
  /** Of an unmatched one: what was probably paid with it. */
  expected: Expectation | null;
  seen_at: string;
};

/** Deposits with what must be looked up about them. */
export async function presentDeposits(db: Db, deposits: readonly Deposit[]): Promise<PresentedDeposit[]> {
  const addressIds = deposits.map((deposit) => deposit.addressId);
  const paymentIds = deposits.flatMap((deposit) => deposit.paymentId ?? []);
  const addresses = await findAddressTexts(db, addressIds);
  const numbers = await findPaymentNumbers(db, paymentIds);
  const ignored = await findIgnored(
    db,
    deposits.flatMap(({ role, id }) => (role === 'unmatched' ? [id] : [])),
  );
  const presented: PresentedDeposit[] = [];
  for (const deposit of deposits) {
    const expected = deposit.role === 'unmatched' ? await findExpected(db, deposit) : null;
    presented.push({
      id: deposit.id,
      merchant_id: deposit.merchantId,
      payment_number: numbers.get(deposit.paymentId ?? 0) ?? null,
      network: deposit.network,
      currency: deposit.currency,
      amount: showAmount(deposit, deposit.amount),
      address: addresses.get(deposit.addressId) ?? '',
      tx_hash: deposit.txHash,
      block_height: deposit.height,
      block_time: isoTime(deposit.blockTime * 1000),
      status: ignored.has(deposit.id) ? 'ignored' : shownStatus(deposit),
      reason: deposit.unmatchedReason,
      expected: expected === null ? null : presentExpectation(expected),
      seen_at: isoTime(deposit.seenAt),
    });
  }
  return presented;
}

/** What the chain makes of one that counts, else what it counts as. */
function shownStatus({ status, role }: Deposit): PresentedDeposit['status'] {
  if (status === 'orphaned' || role === 'counted' || role === 'accepted') return status;
  return role;
}
