import type { Clock } from '../../clock.ts';
import { doubled } from '../../core/backoff.ts';
import type { BlockHash, TxHash } from '../../core/chain.ts';
import type { Deposit } from '../../core/payment.ts';
import type { DepositVerdict, DepositVote } from './deposit.ts';

/*
 * What is remembered, in memory alone, of deposits that the nodes were asked about and did not agree on: who has denied them, and
 * when to ask again.
 */

/** The shortest and the longest pause, ms, before a deposit is asked about again that the nodes could not say anything about. */
const firstPauseMs = 500;
const longestPauseMs = 5_000;

/** The same for a deposit that a node denies: either the chain is changing, or a node lies. */
const firstDisputePauseMs = 5_000;
const longestDisputePauseMs = 60_000;

/** What is remembered of a deposit is forgotten after this long, ms, without a question about it. */
const forgottenMs = 10 * 60_000;

/**
 * What is remembered of one deposit. It is of this block and transaction alone: in a database that has lost its last commits another
 * deposit may get the same id.
 */
export type Undecided = {
  blockHash: BlockHash;
  txHash: TxHash;
  /** When it was first asked about, and when it may be asked about again. */
  since: number;
  until: number;
  /** How often it was asked about, and how often a node denied it. */
  asked: number;
  disputes: number;
  deniedBy: ReadonlySet<string>;
  /** Since when the verdict has been `gone`; null while it is another one. */
  goneSince: number | null;
};

type Place = Pick<Deposit, 'id' | 'blockHash' | 'txHash'>;

export type UndecidedDeposits = {
  /** Whether a deposit may be asked about now. */
  isDue(deposit: Place): boolean;
  /** What is known of a deposit, as of one that was never asked about where nothing is. */
  of(deposit: Place): Undecided;
  /** Notes what the nodes said of a deposit that is not to be confirmed. @returns what is known of it then. */
  note(deposit: Place, ballot: ReadonlyMap<string, DepositVote>, verdict: DepositVerdict): Undecided;
  forget(deposit: Place): void;
  forgetOld(): void;
};

/** `clock` never goes back. */
export function createUndecidedDeposits(clock: Clock): UndecidedDeposits {
  const undecided = new Map<number, Undecided>();

  function find({ id, blockHash, txHash }: Place): Undecided | null {
    const known = undecided.get(id);
    return known?.blockHash === blockHash && known.txHash === txHash ? known : null;
  }

  function of(deposit: Place): Undecided {
    const { blockHash, txHash } = deposit;
    const times = { since: clock(), until: clock(), asked: 0, disputes: 0 };
    return find(deposit) ?? { blockHash, txHash, ...times, deniedBy: new Set(), goneSince: null };
  }

  return {
    isDue(deposit) {
      const known = find(deposit);
      return known === null || known.until <= clock();
    },
    of,
    note(deposit, ballot, { kind }) {
      const before = of(deposit);
      const deniers = [...ballot].flatMap(([host, vote]) => (vote.kind === 'denies' ? [host] : []));
      const disputed = kind === 'disputed' || kind === 'gone';
      const pauseMs = disputed
        ? doubled(firstDisputePauseMs, before.disputes, longestDisputePauseMs)
        : doubled(firstPauseMs, before.asked, longestPauseMs);
      const now: Undecided = {
        ...before,
        until: clock() + pauseMs,
        asked: before.asked + 1,
        disputes: before.disputes + Number(disputed),
        deniedBy: new Set([...before.deniedBy, ...deniers]),
        goneSince: kind === 'gone' ? (before.goneSince ?? clock()) : null,
      };
      undecided.set(deposit.id, now);
      return now;
    },
    forget({ id }) {
      undecided.delete(id);
    },
    forgetOld() {
      for (const [id, { until }] of undecided) if (until + forgottenMs < clock()) undecided.delete(id);
    },
  };
}
