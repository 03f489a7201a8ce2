import { noTransaction, type Transfer } from '../core/chain.ts';
import type { ChainFamily } from '../core/networks.ts';
import type { Deposit } from '../core/payment.ts';
import { setDepositAgreed } from '../storage/deposits/deposits.ts';
import type { Trx } from '../storage/schema.ts';
import { keepOneEvent, type Recorded } from './arrivals.ts';
import { createHolders, type Holders } from './holders.ts';
import { type Match, matchMissed, matchTransfer } from './match.ts';

/** A deposit as it was recorded, and what nodes agree on instead. */
export type AgreedOtherwise = { deposit: Deposit; time: number; amount: bigint };

/**
 * Decides anew whose money deposits are that nodes agree on with another time or amount than was recorded. Each stays
 * with the payment that it was given to, in time or late; what was mined before that one's lock is nobody's. What an
 * operator or the policy decided stands.
 */
export async function recordAgreed(
  trx: Trx,
  changes: readonly AgreedOtherwise[],
  family: ChainFamily,
): Promise<Recorded[]> {
  const holders = createHolders(trx, family);
  const recorded: Recorded[] = [];
  for (const change of changes) recorded.push(await recordOne(trx, change, holders));
  await keepOneEvent(trx, recorded, holders);
  return recorded;
}

async function recordOne(
  trx: Trx,
  { deposit: known, time, amount }: AgreedOtherwise,
  holders: Holders,
): Promise<Recorded> {
  const deposit: Deposit = { ...known, blockTime: time, amount, status: 'confirmed' };
  const { paymentId, role, unmatchedReason } = known;
  const decided = role === 'accepted' || (paymentId !== null && unmatchedReason !== null);
  if (decided || known.txHash === noTransaction) {
    await setDepositAgreed(trx, deposit);
    return { deposit, paymentId, expectedId: null, event: null };
  }
  const match = await matchAgain(transferOf(deposit), paymentId, holders);
  const changed: Deposit = {
    ...deposit,
    role: match.role,
    unmatchedReason: match.role === 'unmatched' ? match.reason : null,
    paymentId: match.role === 'unmatched' ? null : match.payment.id,
  };
  await setDepositAgreed(trx, changed);
  const expectedId = match.role === 'unmatched' ? (match.expected?.id ?? null) : null;
  const event = role === match.role ? null : eventOf(match, paymentId);
  return { deposit: changed, paymentId: changed.paymentId, expectedId, event };
}

async function matchAgain(transfer: Transfer, paymentId: number | null, holders: Holders): Promise<Match> {
  if (paymentId === null) return holders.matchMissed(transfer);
  const payment = await holders.payment(paymentId);
  return matchMissed(transfer, payment) ?? matchTransfer(transfer, payment);
}

function eventOf({ role }: Match, paymentId: number | null): Recorded['event'] {
  if (role === 'unmatched') return 'deposit.unmatched';
  if (role === 'late') return 'payment.late';
  // Who has it already was told when it was seen.
  return paymentId === null ? 'payment.detected' : null;
}

function transferOf({ height, blockHash, blockTime, ...deposit }: Deposit): Transfer {
  const { network, txHash, token, currency, recipient, ordinal, amount, logIndex } = deposit;
  const block = { height, hash: blockHash, time: blockTime };
  return { network, txHash, token, currency, recipient, ordinal, amount, block, logIndex };
}
