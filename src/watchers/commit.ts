import type { ChainConfig } from '../config.ts';
import { type BlockRef, type Cursor, sameBlock, type Transfer } from '../core/chain.ts';
import { nextReference, type ShownHead, type TimeReference } from '../core/chain-time.ts';
import type { Network } from '../core/networks.ts';
import type { Deposit, OnchainPayment, PaymentStatus } from '../core/payment.ts';
import { announceAll } from '../payments/announce.ts';
import type { Recorded } from '../payments/arrivals.ts';
import { recordTransfers } from '../payments/record.ts';
import { announcePayment, type SettleContext, type Settlement, settlePayment } from '../payments/settle.ts';
import { deleteMarksOfBlock } from '../storage/chains/balance-marks.ts';
import { type ChainState, insertAnchors, lockChain, updateChain } from '../storage/chains/chains.ts';
import { recordScan } from '../storage/chains/scans.ts';
import { lockSessionsOf } from '../storage/checkout/sessions.ts';
import { orphanDepositsOfBlock } from '../storage/deposits/deposits.ts';
import { listDepositsIn } from '../storage/deposits/range.ts';
import { listOverduePayments, lockPayments } from '../storage/payments/payments.ts';
import type { Trx } from '../storage/schema.ts';
import { confirmedIn, type JudgedBlock } from './agreement/block.ts';
import { surplusAnchors } from './anchors.ts';
import type { Span } from './source.ts';

export type CommitContext = {
  chain: ChainConfig;
  latePolicy: 'flag' | 'confirm';
  now: number;
};

export type CheckedSpan = Span & {
  /** Whether its blocks were read whole. */
  native: boolean;
  /** Blocks in its range of which deposits are recorded though the chain no longer has them. */
  vanished: readonly JudgedBlock[];
  /** When the answer came, in the database's time: by a clock that may be set, and by one that nobody sets. */
  answered: { at: number; steadyAt: number };
  /** The chain's time up to which everything is read once this is committed, Unix seconds: payments end by it. */
  readTime: number;
  /** What the head says about the chain's time; null where the nodes did not agree on that head. */
  news: ShownHead['news'] | null;
};

export type Committed = {
  state: ChainState;
  recorded: Recorded[];
  settled: Settlement[];
  /** Whether further payments are overdue. */
  more: boolean;
};

/** Overdue payments looked at in one transaction: an outage may leave thousands. */
const overdueLimit = 200;

/**
 * Writes a span and everything it implies, in the caller's transaction: deposits, what follows for payments,
 * events, the cursor. Null when the cursor is no longer where the span begins, because another process has
 * read on, or when a deposit was confirmed since it was decided what vanished: then nothing is written.
 */
export async function commitSpan(
  trx: Trx,
  from: Cursor,
  span: CheckedSpan,
  context: CommitContext,
): Promise<Committed | null> {
  const { chain, now } = context;
  const before = await lockChain(trx, chain.network);
  if (before === null || !sameBlock(before.cursor, from)) return null;
  if (!(await areAsJudged(trx, chain.network, span.vanished))) return null;

  const state: ChainState = {
    network: chain.network,
    cursor: { ...span.to, time: span.readTime },
    head: span.head,
    time: timeAfter(before, span),
    finalizedHeight: higher(before.finalizedHeight, span.finalizedHeight),
    // Where blocks below a known head could not be read, the chain does not count as read.
    readAt: isRead(from, span) ? span.answered.at : before.readAt,
    stoppedReason: null,
  };
  await updateChain(trx, state);
  const moved = !sameBlock(before.cursor, span.to);
  // The final block is an anchor too, so that a fork is never taken to begin below it.
  const rose = (state.finalizedHeight ?? -1) > (before.finalizedHeight ?? -1);
  if (moved || rose) await insertAnchors(trx, chain.network, anchorsOf(span));
  if (moved) {
    const range = { from: before.cursor.height + 1, to: span.to.height };
    await recordScan(trx, {
      network: chain.network,
      ...range,
      host: span.host,
      native: span.native,
      at: now,
    });
  }

  const orphaned = await orphanBlocks(trx, chain.network, span.vanished);
  const reportedBy = (transfer: Transfer) => tellerOf(span, transfer);
  const recorded = await recordTransfers(trx, span.transfers, { chain, reportedBy, now });
  const overdue = await listOverduePayments(trx, chain.network, {
    now,
    blockTime: span.readTime,
    limit: overdueLimit,
  });
  const touched = recorded.flatMap(({ paymentId }) => (paymentId === null ? [] : [paymentId]));
  const settling = [...orphaned, ...touched, ...overdue];
  const settled = await settleAll(trx, settling, settleContext(state, context), { recorded, chain });
  return { state, recorded, settled, more: overdue.length === overdueLimit };
}

/** Whether a span has read on, or shown that there is nothing more to read. */
export function isRead(from: Cursor, { to, head }: Pick<Span, 'to' | 'head'>): boolean {
  return !sameBlock(from, to) || head.height <= to.height;
}

/** The node that a transfer is recorded as reported by. For the native coin that is the node that traced the transaction, where one did. */
export function tellerOf({ host, tracedBy }: Span, { txHash, token }: Transfer): string {
  return (token === 'native' ? tracedBy?.get(txHash) : undefined) ?? host;
}

/** Writes down an agreed finalized block below the cursor, in the caller's transaction; not where the cursor has moved since. */
export async function commitFinalized(trx: Trx, state: ChainState, block: BlockRef): Promise<ChainState> {
  const before = await lockChain(trx, state.network);
  if (before === null || !sameBlock(before.cursor, state.cursor)) return state;
  const after = { ...before, finalizedHeight: Math.max(before.finalizedHeight ?? 0, block.height) };
  await updateChain(trx, after);
  // The final block is an anchor too, so that a fork is never taken to begin below it.
  await insertAnchors(trx, state.network, [block]);
  return after;
}

/** A head that was shown before says nothing new about the time, unless this process has just begun to watch. */
function timeAfter(before: ChainState, { head, answered, news }: CheckedSpan): TimeReference {
  if (news === null || (news !== 'first' && sameBlock(head, before.head))) return before.time;
  return nextReference(before.time, { head, at: answered.steadyAt, news });
}

/** Whether nothing in these blocks was confirmed since it was decided that they may be taken back. */
export async function areAsJudged(
  trx: Trx,
  network: Network,
  blocks: readonly JudgedBlock[],
): Promise<boolean> {
  for (const block of blocks) {
    const range = { above: block.height - 1, upTo: block.height };
    const confirmed = confirmedIn(block, await listDepositsIn(trx, network, range));
    if (![...confirmed].every((id) => block.confirmed.has(id))) return false;
  }
  return true;
}

/** Takes back what lay in blocks that the chain no longer has; returns the payments to settle. */
export async function orphanBlocks(
  trx: Trx,
  network: Network,
  blocks: readonly JudgedBlock[],
): Promise<number[]> {
  const touched: number[] = [];
  for (const block of blocks) {
    await deleteMarksOfBlock(trx, network, block);
    for (const deposit of await orphanDepositsOfBlock(trx, network, block)) {
      if (deposit.paymentId !== null) touched.push(deposit.paymentId);
    }
  }
  return touched;
}

/**
 * Settles each payment once, and tells what was recorded. All of them and their sessions are held before the first event is written:
 * writers of events wait for each other, and one that held the events while it waited for a payment would wait in a
 * circle with whoever cancels that payment.
 */
export async function settleAll(
  trx: Trx,
  paymentIds: readonly number[],
  context: SettleContext,
  found?: { recorded: readonly Recorded[]; chain: ChainConfig },
): Promise<Settlement[]> {
  const settled: Settlement[] = [];
  const ids = [...new Set(paymentIds)].sort((a, b) => a - b);
  await lockPayments(trx, ids);
  await lockSessionsOf(trx, ids);
  for (const id of ids) {
    const settlement = await settlePayment(trx, id, context);
    if (settlement !== null) settled.push(settlement);
  }
  if (found !== undefined) await announceAll(trx, found.recorded, { ...context, chain: found.chain });
  for (const { payment, partiallyPaid } of settled) {
    if (!partiallyPaid) continue;
    await announcePayment(trx, payment, 'payment.partially_paid', context.now);
  }
  return settled;
}

export function settleContext(state: ChainState, context: CommitContext): SettleContext {
  return {
    network: state.network,
    chain: { cursor: state.cursor, requiredConfirmations: context.chain.requiredConfirmations },
    latePolicy: context.latePolicy,
    now: context.now,
  };
}

/** Transactions named in one line of the log. */
const mostNamed = 50;

/** For the log: the first of the transactions that brought deposits, and how many deposits these are in all. */
export function describeDeposits(deposits: readonly Deposit[]): { transfers: string[]; deposits: number } {
  const transfers = [...new Set(deposits.map(({ txHash }) => txHash))].slice(0, mostNamed);
  return { transfers, deposits: deposits.length };
}

/** For the log: which payments went where. */
export function describeSettlements(settled: readonly Settlement[]): Record<string, string[]> {
  const moves: Record<string, string[]> = {};
  for (const { payment, from } of settled) {
    if (payment.status !== from) push(moves, payment.status, payment);
  }
  return moves;
}

function push(moves: Record<string, string[]>, status: PaymentStatus, payment: OnchainPayment): void {
  moves[status] = [...(moves[status] ?? []), payment.paymentNumber];
}

function higher(a: number | null, b: number | null): number | null {
  return a === null || b === null ? (a ?? b) : Math.max(a, b);
}

/** The span's end and those of the other blocks it showed that are worth keeping: it may have shown thousands. */
function anchorsOf(span: Span): BlockRef[] {
  const byHeight = new Map(span.anchors.map((block) => [block.height, block]));
  byHeight.set(span.to.height, span.to);
  for (const height of surplusAnchors([...byHeight.keys()], span.to.height)) byHeight.delete(height);
  return [...byHeight.values()];
}
