import { type BlockRef, noTransaction, type Transfer } from '../core/chain.ts';
import type { Deposit, OnchainPayment } from '../core/payment.ts';
import {
  type BalanceMark,
  findSurplusOver,
  listNativeDeposits,
  reduceSurplus,
} from '../storage/chains/balance-marks.ts';
import { findDeposit, insertDeposit, moveDeposit } from '../storage/deposits/deposits.ts';
import { lockPayment } from '../storage/payments/payments.ts';
import type { Trx } from '../storage/schema.ts';
import type { Recorded } from './arrivals.ts';

/*
 * Native coins may come in ways that no reading of blocks shows. What an address gained while a payment held it, and no
 * recorded transfer explains, becomes an unmatched deposit without a transaction, for an operator to judge.
 */

/** What an address gained beyond what is explained; 0 where its owner has spent of it, which hides whatever came. */
export function surplusOf(
  before: bigint,
  after: bigint,
  explained: readonly Pick<Deposit, 'amount'>[],
): bigint {
  const surplus = after - before - explained.reduce((sum, { amount }) => sum + amount, 0n);
  return surplus > 0n ? surplus : 0n;
}

/**
 * Compares, in the caller's transaction, what the address of an ended payment holds at the end of `block` with what it
 * held at the mark and what was recorded since. Null when all is explained, or the surplus is known.
 */
export async function recordSurplus(
  trx: Trx,
  mark: BalanceMark,
  held: { balance: bigint; block: BlockRef },
  now: number,
): Promise<Recorded | null> {
  const { balance, block } = held;
  const payment = await lockPayment(trx, mark.paymentId);
  const identity = {
    network: payment.network,
    txHash: noTransaction,
    token: 'native',
    recipient: mark.recipient,
    ordinal: payment.id,
  } as const;
  const known = await findDeposit(trx, identity);
  if (known !== null && known.status !== 'orphaned') return null;
  const range = { recipient: mark.recipient, above: mark.height, upTo: block.height };
  const amount = surplusOf(mark.balance, balance, await listNativeDeposits(trx, payment.network, range));
  if (amount === 0n) return null;
  const transfer: Transfer = { ...identity, currency: 'native', amount, block, logIndex: null };
  if (known === null) return recordNew(trx, transfer, payment, now);
  await moveDeposit(trx, known.id, transfer, null);
  return null;
}

async function recordNew(
  trx: Trx,
  transfer: Transfer,
  payment: OnchainPayment,
  now: number,
): Promise<Recorded> {
  const { block, ...rest } = transfer;
  const deposit = await insertDeposit(trx, {
    ...rest,
    decimals: payment.decimals,
    height: block.height,
    blockHash: block.hash,
    blockTime: block.time,
    status: 'seen',
    role: 'unmatched',
    unmatchedReason: 'unexplained',
    merchantId: payment.merchantId,
    addressId: payment.addressId,
    paymentId: null,
    seenAt: now,
    reportedBy: null,
  });
  return { deposit, paymentId: null, expectedId: payment.id, event: 'deposit.unmatched' };
}

/** A surplus that an operator gave to a payment: what explains it is that payment's too, as settled as it was. */
export type GivenSurplus = Pick<Deposit, 'status' | 'role' | 'unmatchedReason'> & { paymentId: number };

/**
 * Takes a transfer that is found after all out of the surplus that it was a part of, so that it is not counted twice.
 * Null where there is none, or it was given to nobody yet: then the transfer is matched like any other.
 */
export async function explainSurplus(trx: Trx, transfer: Transfer): Promise<GivenSurplus | null> {
  if (transfer.token !== 'native' || transfer.txHash === noTransaction) return null;
  const surplus = await findSurplusOver(trx, transfer);
  if (surplus === null) return null;
  await reduceSurplus(trx, surplus.id, surplus.amount - transfer.amount);
  const { status, role, unmatchedReason, paymentId } = surplus;
  return paymentId === null ? null : { status, role, unmatchedReason, paymentId };
}
