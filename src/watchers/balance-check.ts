import { type Clock, steadyClock } from '../clock.ts';
import type { ChainConfig } from '../config.ts';
import { sameBlock } from '../core/chain.ts';
import { formatAmount } from '../core/money.ts';
import type { Logger } from '../log.ts';
import { announceAll } from '../payments/announce.ts';
import type { Recorded } from '../payments/arrivals.ts';
import { recordSurplus } from '../payments/surplus.ts';
import {
  type BalanceMark,
  insertBalanceMark,
  listUncompared,
  listUnmarked,
  setCompared,
  type Unmarked,
} from '../storage/chains/balance-marks.ts';
import { type ChainState, lockChain } from '../storage/chains/chains.ts';
import { inTransaction } from '../storage/database.ts';
import { findPaymentById } from '../storage/payments/payments.ts';
import type { Db } from '../storage/schema.ts';
import type { Balances, ChainSource } from './source.ts';

export type BalanceCheckDeps = {
  db: Db;
  chain: ChainConfig;
  source: Pick<ChainSource, 'balances'>;
  clock: Clock;
  log: Logger;
  /** Called when something was committed that causes webhooks. */
  onEvents: () => void;
};

/** Looks at the balances of payments' addresses, in the course of reading a chain. */
export type BalanceCheck = {
  /** A step: does what is due at the cursor, if anything. Never throws because of a node. */
  check(state: ChainState, signal: AbortSignal): Promise<void>;
};

/** After a failure, ms: the reading of the chain comes first. */
const restMs = 10_000;

/**
 * The net under everything that finds native coins. When a payment begins, what its address holds is noted; when it
 * ends unpaid, the balance is compared, and what no recorded transfer explains is raised as an unmatched deposit. One
 * request for all addresses that are due at a block, none where none is.
 */
export function createBalanceCheck(deps: BalanceCheckDeps): BalanceCheck {
  const { db, chain, source, clock, log } = deps;
  const { network } = chain;
  const steady = steadyClock(clock);
  let backoffUntil = Number.NEGATIVE_INFINITY;
  let failing = false;

  async function check({ cursor }: ChainState, signal: AbortSignal): Promise<void> {
    if (steady() < backoffUntil) return;
    const due: Due = {
      unmarked: await listUnmarked(db, network, cursor.height),
      uncompared: await listUncompared(db, network, { now: clock(), cursor }),
    };
    const keys = new Set([...due.unmarked, ...due.uncompared].map(({ recipient }) => recipient));
    if (keys.size === 0) return;
    const balances = await source.balances([...keys], cursor, signal);
    if (balances === null) return failed(due);
    failing = false;
    const raised = await inTransaction(db, (trx) => commit(trx, due, cursor, balances));
    for (const { deposit, expectedId } of raised) await report(deposit, expectedId);
    if (raised.length > 0) deps.onEvents();
  }

  async function commit(
    trx: Parameters<typeof lockChain>[0],
    due: Due,
    block: ChainState['cursor'],
    balances: Balances,
  ): Promise<Recorded[]> {
    const state = await lockChain(trx, network);
    // What was asked about is true at this block: another process may have read on, or a fork may have taken it.
    if (state === null || !sameBlock(state.cursor, block)) return [];
    for (const { paymentId, recipient } of due.unmarked) {
      const balance = balances.get(recipient);
      if (balance === undefined) continue;
      await insertBalanceMark(trx, network, { paymentId, balance, block });
    }
    const raised: Recorded[] = [];
    for (const mark of due.uncompared) {
      const balance = balances.get(mark.recipient);
      if (balance === undefined || !(await setCompared(trx, mark.paymentId, block.height))) continue;
      const recorded = await recordSurplus(trx, mark, { balance, block }, clock());
      if (recorded !== null) raised.push(recorded);
    }
    await announceAll(trx, raised, { chain: deps.chain, now: clock() });
    return raised;
  }

  function failed({ uncompared }: Due): void {
    backoffUntil = steady() + restMs;
    if (failing || uncompared.length === 0) return;
    failing = true;
    log.warn({ payments: uncompared.length }, 'balances not compared');
  }

  async function report(deposit: Recorded['deposit'], paymentId: number | null): Promise<void> {
    const payment = paymentId === null ? null : await findPaymentById(db, paymentId);
    const amount = formatAmount(deposit.amount, deposit.decimals);
    const fields = { payment_number: payment?.paymentNumber, address: payment?.address, amount };
    log.warn({ ...fields, height: deposit.height }, 'unexplained balance');
  }

  return { check };
}

type Due = { unmarked: Unmarked[]; uncompared: BalanceMark[] };
