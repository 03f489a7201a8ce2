import type { AddressKey } from '../core/address.ts';
import { type Asset, nativeCoin } from '../core/assets.ts';
import type { Transfer } from '../core/chain.ts';
import type { EventType } from '../core/events.ts';
import { networks } from '../core/networks.ts';
import type { Deposit } from '../core/payment.ts';
import { InvariantError } from '../errors.ts';
import { takePlaceOf } from '../storage/chains/balance-marks.ts';
import {
  findDeposit,
  insertDeposit,
  listDepositsOfPayments,
  moveDeposit,
  setDepositRole,
} from '../storage/deposits/deposits.ts';
import {
  findLatestPaymentAt,
  lockLatestPaymentOfAddress,
  lockPayment,
} from '../storage/payments/payments.ts';
import { findHolderBefore, findRecipients, type Recipient } from '../storage/pool/recipients.ts';
import type { Trx } from '../storage/schema.ts';
import { isInTime, type Match, matchMissed, matchTransfer } from './match.ts';
import { explainSurplus } from './surplus.ts';

/** What recording a transfer means for a payment. */
export type Recorded = {
  deposit: Deposit;
  /** To settle; null for an unmatched deposit. */
  paymentId: number | null;
  /** Of an unmatched deposit: the payment that it was probably meant for. */
  expectedId: number | null;
  /** To announce once the payments are settled: see announce.ts. */
  event: Extract<EventType, 'payment.detected' | 'payment.late' | 'deposit.unmatched'> | null;
};

export type RecordContext = {
  /** What the transfer's chain is configured with. */
  assets: readonly Asset[];
  /** Host name of the node whose word it is. */
  reportedBy: string;
  now: number;
};

/**
 * Writes down what a chain shows, in the caller's transaction. A transfer already recorded in this very
 * block changes nothing (null). One that was mined again elsewhere is the same deposit at its new place and
 * keeps the payment it was given to; what is confirmed has to be taken back before.
 */
export async function recordTransfer(
  trx: Trx,
  transfer: Transfer,
  context: RecordContext,
): Promise<Recorded | null> {
  const known = await findDeposit(trx, transfer);
  if (known !== null) return recordAgain(trx, known, transfer, { ...context, missed: false });
  const address = await addressOf(trx, transfer);
  return recordNew(trx, transfer, address, await matchAt(trx, address, transfer), context);
}

/**
 * The same for a transfer that an earlier reading of its block should have shown. It pays whom it would have paid
 * then: see {@link matchMissed}.
 */
export async function recordMissed(
  trx: Trx,
  transfer: Transfer,
  context: RecordContext,
): Promise<Recorded | null> {
  const known = await findDeposit(trx, transfer);
  if (known !== null) return recordAgain(trx, known, transfer, { ...context, missed: true });
  const address = await addressOf(trx, transfer);
  const listedHere = address.network === transfer.network;
  const holderId = listedHere ? await findHolderBefore(trx, address.id, transfer.block) : null;
  const holder = holderId === null ? null : await lockPayment(trx, holderId);
  const match = matchMissed(transfer, holder) ?? (await matchAt(trx, address, transfer));
  return recordNew(trx, transfer, address, match, context);
}

async function recordNew(
  trx: Trx,
  transfer: Transfer,
  address: Recipient,
  match: Match,
  { assets, reportedBy, now }: RecordContext,
): Promise<Recorded> {
  const given = await explainSurplus(trx, transfer);
  const deposit = await insertDeposit(trx, {
    network: transfer.network,
    txHash: transfer.txHash,
    token: transfer.token,
    currency: transfer.currency,
    decimals: decimalsOf(transfer, assets),
    recipient: transfer.recipient,
    ordinal: transfer.ordinal,
    amount: transfer.amount,
    height: transfer.block.height,
    blockHash: transfer.block.hash,
    blockTime: transfer.block.time,
    logIndex: transfer.logIndex,
    status: given?.status ?? 'seen',
    role: given?.role ?? match.role,
    unmatchedReason: given?.unmatchedReason ?? (match.role === 'unmatched' ? match.reason : null),
    merchantId: address.merchantId,
    addressId: address.id,
    paymentId: given?.paymentId ?? (match.role === 'unmatched' ? null : match.payment.id),
    seenAt: now,
    reportedBy,
  });

  if (given !== null) return { deposit, paymentId: given.paymentId, expectedId: null, event: null };
  if (match.role === 'unmatched') {
    return { deposit, paymentId: null, expectedId: match.expected?.id ?? null, event: 'deposit.unmatched' };
  }
  return { deposit, paymentId: match.payment.id, expectedId: null, event: await eventOf(trx, deposit) };
}

async function recordAgain(
  trx: Trx,
  known: Deposit,
  transfer: Transfer,
  { reportedBy, missed }: RecordContext & { missed: boolean },
): Promise<Recorded | null> {
  if (known.status !== 'orphaned' && known.blockHash === transfer.block.hash) return null;
  // A transaction is in one block, and nobody has taken back the one in which this was confirmed.
  if (known.status === 'confirmed') return null;
  await moveDeposit(trx, known.id, transfer, reportedBy);
  const { amount, block, logIndex } = transfer;
  const place = { height: block.height, blockHash: block.hash, blockTime: block.time, logIndex };
  const deposit = { ...known, amount, ...place, status: 'seen', reportedBy } as const;
  const given = known.status === 'orphaned' ? await explainSurplus(trx, transfer) : null;
  if (given !== null) {
    await takePlaceOf(trx, known.id, given);
    const { status, role, unmatchedReason, paymentId } = given;
    const taken = { ...deposit, status, role, unmatchedReason, paymentId };
    return { deposit: taken, paymentId, expectedId: null, event: null };
  }
  if (known.paymentId === null) return { deposit, paymentId: null, expectedId: null, event: null };
  // A payment may end without a transfer that was taken back. What comes after all then comes late, and not
  // unseen; only what a payment was once confirmed with counts again by itself.
  const payment = await lockPayment(trx, known.paymentId);
  const ended = payment.status !== 'pending' && payment.confirmedAt === null;
  const wronged = missed && payment.status !== 'cancelled' && isInTime(transfer, payment);
  if (ended && !wronged && known.status === 'orphaned' && known.role === 'counted') {
    await setDepositRole(trx, known.id, 'late');
    return { deposit, paymentId: payment.id, expectedId: null, event: 'payment.late' };
  }
  // The chain has the last word on when it came. What ended for another reason than time stays ended.
  const byTime = payment.status !== 'cancelled' && payment.status !== 'confirmed';
  if (known.role === 'late' && byTime && isInTime(transfer, payment)) {
    await setDepositRole(trx, known.id, 'counted');
    return { deposit: { ...deposit, role: 'counted' }, paymentId: payment.id, expectedId: null, event: null };
  }
  return { deposit, paymentId: payment.id, expectedId: null, event: null };
}

/**
 * The address that received it: on the transfer's own chain if the merchant listed it there, otherwise on
 * another chain of the family, where the same key holds it.
 */
async function addressOf(trx: Trx, transfer: Transfer): Promise<Recipient> {
  const candidates = await candidatesOf(trx, transfer.recipient, transfer);
  const address = candidates.find((candidate) => candidate.network === transfer.network) ?? candidates[0];
  if (address === undefined) throw new InvariantError('a transfer to an address that nobody listed');
  return address;
}

async function candidatesOf(trx: Trx, key: AddressKey, transfer: Transfer): Promise<Recipient[]> {
  const family = networks[transfer.network].family;
  const all = await findRecipients(trx, key);
  return all.filter((address) => networks[address.network].family === family);
}

async function matchAt(trx: Trx, address: Recipient, transfer: Transfer): Promise<Match> {
  const listedHere = address.network === transfer.network;
  const latest = listedHere ? await lockLatestPaymentOfAddress(trx, address.id) : null;
  if (latest?.status === 'pending') return matchTransfer(transfer, latest);
  // Nobody holds the address here, but perhaps a payment on a sister chain does: the customer chose the wrong one.
  const all = await candidatesOf(trx, transfer.recipient, transfer);
  const elsewhere = all.filter((candidate) => candidate.network !== transfer.network);
  const expected = await findLatestPaymentAt(
    trx,
    elsewhere.map((candidate) => candidate.id),
  );
  const neverHere = latest === null && expected !== null;
  if (!listedHere || neverHere || expected?.status === 'pending') {
    return { role: 'unmatched', reason: 'wrong_network', expected };
  }
  return matchTransfer(transfer, latest);
}

async function eventOf(trx: Trx, deposit: Deposit): Promise<Recorded['event']> {
  if (deposit.role === 'late') return 'payment.late';
  if (deposit.paymentId === null) return null;
  const all = await listDepositsOfPayments(trx, [deposit.paymentId]);
  const others = all.filter((other) => other.id !== deposit.id && other.status !== 'orphaned');
  return others.length === 0 ? 'payment.detected' : null;
}

function decimalsOf(transfer: Transfer, assets: readonly Asset[]): number {
  if (transfer.currency === 'native') return nativeCoin[transfer.network].decimals;
  const asset = assets.find((candidate) => candidate.currency === transfer.currency);
  if (asset === undefined) throw new InvariantError(`a transfer of ${transfer.currency}, which is off`);
  return asset.decimals;
}
