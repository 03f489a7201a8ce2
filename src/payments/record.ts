import { setImmediate } from 'node:timers/promises';
import type { ChainConfig } from '../config.ts';
import type { Transfer, TxHash } from '../core/chain.ts';
import type { Deposit, OnchainPayment } from '../core/payment.ts';
import { InvariantError } from '../errors.ts';
import { takePlaceOf } from '../storage/chains/balance-marks.ts';
import {
  insertDeposits,
  listDepositsOfTransactions,
  moveDeposit,
  setDepositRole,
} from '../storage/deposits/deposits.ts';
import type { Trx } from '../storage/schema.ts';
import { keepOneEvent, type Recorded } from './arrivals.ts';
import { createHolders, type Holders } from './holders.ts';
import { isInTime, type Match } from './match.ts';
import { explainSurplus } from './surplus.ts';

export type RecordContext = {
  /** The transfers' chain. */
  chain: Pick<ChainConfig, 'family' | 'assets' | 'native'>;
  /** Host name of the node whose word a transfer is. */
  reportedBy: (transfer: Transfer) => string;
  now: number;
  /** Whether an earlier reading of their blocks should have shown them: then they pay whom they would have paid then. */
  missed?: boolean;
};

/**
 * Transfers written in one go. Anybody can send thousands in one block for next to nothing: the work for each is small
 * and does not grow with the others, and between two portions the program does what else there is to do.
 */
const portion = 200;

/**
 * Writes down what a chain shows, in the caller's transaction. A transfer already recorded in this very block changes
 * nothing and is not among what is returned. One that was mined again elsewhere is the same deposit at its new place
 * and keeps the payment it was given to; what is confirmed has to be taken back before.
 */
export async function recordTransfers(
  trx: Trx,
  transfers: readonly Transfer[],
  context: RecordContext,
): Promise<Recorded[]> {
  const holders = createHolders(trx, context.chain.family);
  const known = createKnown(trx);
  const recorded: Recorded[] = [];
  for (let start = 0; start < transfers.length; start += portion) {
    if (start > 0) await setImmediate();
    const some = transfers.slice(start, start + portion);
    await known.read(some);
    recorded.push(...(await recordPortion(trx, some, { holders, known, ...context })));
  }
  await keepOneEvent(trx, recorded, holders);
  return recorded;
}

type Portion = RecordContext & { holders: Holders; known: Known };

/** What was recorded, before the database has given the deposit its id. */
type Fresh = Omit<Recorded, 'deposit'> & { deposit: Omit<Deposit, 'id'> };

async function recordPortion(
  trx: Trx,
  transfers: readonly Transfer[],
  context: Portion,
): Promise<Recorded[]> {
  const { holders, known, missed = false } = context;
  const recorded: Recorded[] = [];
  const fresh: Fresh[] = [];
  const shown = new Set<string>();
  for (const transfer of transfers) {
    const identity = identityOf(transfer);
    // Shown twice in one answer, it is one transfer all the same.
    if (shown.has(identity)) continue;
    shown.add(identity);
    const before = known.get(identity);
    if (before !== undefined) {
      const again = await recordAgain(trx, before, transfer, context);
      if (again === null) continue;
      known.put(again.deposit);
      recorded.push(again);
      continue;
    }
    const match = missed ? await holders.matchMissed(transfer) : await holders.matchNew(transfer);
    fresh.push(await newDeposit(trx, transfer, match, context));
  }
  const inserted = await insertDeposits(
    trx,
    fresh.map(({ deposit }) => deposit),
  );
  for (const [i, deposit] of inserted.entries()) {
    known.put(deposit);
    recorded.push({ ...(fresh[i] as Fresh), deposit });
  }
  return recorded;
}

async function newDeposit(
  trx: Trx,
  transfer: Transfer,
  match: Match,
  { holders, chain, reportedBy, now }: Portion,
): Promise<Fresh> {
  const given = await explainSurplus(trx, transfer);
  const address = await holders.addressOf(transfer);
  const deposit = {
    network: transfer.network,
    txHash: transfer.txHash,
    token: transfer.token,
    currency: transfer.currency,
    decimals: decimalsOf(transfer, chain),
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
    reportedBy: reportedBy(transfer),
  } as const;

  if (given !== null) return { deposit, paymentId: given.paymentId, expectedId: null, event: null };
  if (match.role === 'unmatched') {
    return { deposit, paymentId: null, expectedId: match.expected?.id ?? null, event: 'deposit.unmatched' };
  }
  const event = match.role === 'late' ? 'payment.late' : 'payment.detected';
  return { deposit, paymentId: match.payment.id, expectedId: null, event };
}

async function recordAgain(
  trx: Trx,
  known: Deposit,
  transfer: Transfer,
  { holders, reportedBy: reportedByOf, missed = false }: Portion,
): Promise<Recorded | null> {
  if (known.status !== 'orphaned' && known.blockHash === transfer.block.hash) return null;
  // A transaction is in one block, and nobody has taken back the one in which this was confirmed.
  if (known.status === 'confirmed') return null;
  const reportedBy = reportedByOf(transfer);
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
  const payment = await holders.payment(known.paymentId);
  const role = roleAgain(known, transfer, payment, missed);
  if (role !== known.role) await setDepositRole(trx, known.id, role);
  const becameLate = role === 'late' && known.role !== 'late';
  const event = becameLate ? 'payment.late' : null;
  return { deposit: { ...deposit, role }, paymentId: payment.id, expectedId: null, event };
}

/** What a deposit counts as in its new block. `missed`: an earlier reading of that block should have shown it. */
function roleAgain(
  known: Deposit,
  transfer: Transfer,
  payment: OnchainPayment,
  missed: boolean,
): Deposit['role'] {
  const inTime = isInTime(transfer, payment);
  // A payment may end without a transfer that was taken back. If that comes back after all, it is late, and nobody overlooks it.
  // Only what a payment was once confirmed with counts again by itself.
  const ended = payment.status !== 'pending' && payment.confirmedAt === null;
  const countsAsMissed = missed && inTime && payment.status !== 'cancelled';
  if (known.role === 'counted' && known.status === 'orphaned' && ended && !countsAsMissed) return 'late';
  // The chain has the last word on when a transfer came. A payment that ended for another reason than time stays ended.
  const endedByTime = payment.status !== 'cancelled' && payment.status !== 'confirmed';
  return known.role === 'late' && inTime && endedByTime ? 'counted' : known.role;
}

type Known = {
  read(transfers: readonly Transfer[]): Promise<void>;
  get(identity: string): Deposit | undefined;
  put(deposit: Deposit): void;
};

/** What is recorded of transactions, each read once: one of them may carry thousands of transfers. */
function createKnown(trx: Trx): Known {
  const deposits = new Map<string, Deposit>();
  const asked = new Set<TxHash>();

  async function read(transfers: readonly Transfer[]): Promise<void> {
    const [first] = transfers;
    if (first === undefined) return;
    const hashes = [...new Set(transfers.map(({ txHash }) => txHash))].filter((hash) => !asked.has(hash));
    for (const hash of hashes) asked.add(hash);
    for (const deposit of await listDepositsOfTransactions(trx, first.network, hashes)) put(deposit);
  }

  function put(deposit: Deposit): void {
    deposits.set(identityOf(deposit), deposit);
  }

  return { read, put, get: (identity) => deposits.get(identity) };
}

/** A transfer's identity within its chain. */
export function identityOf({
  txHash,
  token,
  recipient,
  ordinal,
}: Pick<Transfer, 'txHash' | 'token' | 'recipient' | 'ordinal'>): string {
  return `${txHash} ${token} ${recipient} ${ordinal}`;
}

function decimalsOf(transfer: Transfer, { assets, native }: RecordContext['chain']): number {
  if (transfer.currency === 'native') return native.decimals;
  const asset = assets.find((candidate) => candidate.token === transfer.token);
  if (asset === undefined) throw new InvariantError(`a transfer of ${transfer.currency}, which is off`);
  return asset.decimals;
}
