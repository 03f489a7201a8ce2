import { type Clock, steadyClock } from '../clock.ts';
import type { ChainConfig } from '../config.ts';
import type { TxHash } from '../core/chain.ts';
import { deepEnoughHeight } from '../core/confirmations.ts';
import type { Network } from '../core/networks.ts';
import type { Deposit } from '../core/payment.ts';
import type { Logger } from '../log.ts';
import type { RecheckFinding } from '../metrics.ts';
import { announceAll } from '../payments/announce.ts';
import { recordAgreed } from '../payments/record-agreed.ts';
import type { Settlement } from '../payments/settle.ts';
import { type ChainState, lockChain } from '../storage/chains/chains.ts';
import { confirmDeposits, orphanDeposits } from '../storage/deposits/deposits.ts';
import {
  type Depth,
  type DueDeposit,
  listCompleting,
  listDueOfTransactions,
  listSeen,
  type SeenPlace,
} from '../storage/deposits/waiting.ts';
import type { Db, Trx } from '../storage/schema.ts';
import { askAbout, createOutages } from './agreement/ask.ts';
import {
  type AgreedDeposit,
  type DepositVote,
  decideDeposit,
  type GoneDeposit,
} from './agreement/deposit.ts';
import { createUndecidedDeposits, type Undecided } from './agreement/undecided.ts';
import { type CommitContext, settleAll, settleContext } from './commit.ts';
import type { ChainSource } from './source.ts';

export type ConfirmationsDeps = {
  db: Db;
  chain: ChainConfig;
  source: ChainSource;
  clock: Clock;
  log: Logger;
  /** Told of each finding, for metrics. */
  found?: (network: Network, finding: RecheckFinding) => void;
};

/** What the nodes agree on, to be committed. */
export type Agreed = { confirmed: AgreedDeposit[]; gone: GoneDeposit[] };

/** Deposits that complete a payment are asked about by themselves, so that nobody who has paid waits for dust. */
export type Turn = 'completing' | 'others';

export type Confirmations = {
  /** Asks each node about deposits that are deep enough; what is not agreed on yet is asked about again later. */
  agree(state: ChainState, which: Turn, signal: AbortSignal): Promise<Agreed>;
};

/** Transactions whose deposits are asked about in one step; the others follow in the next. */
const transactionsPerStep = 50;

/** Seen deposits that are read in one step, to find these. */
const mostSeen = 5_000;

const start = { height: -1, id: 0 } as const;

/** A deposit is gone once every node that answers has denied it for this long, ms. */
const goneMs = 30_000;

/**
 * The highest block in which every deposit is deep enough now: it has `requiredConfirmations` and, with `finality: "finalized"`, is at or
 * below the finalized height. Above it only deposits of a confirmation tier can be confirmed.
 */
export function settledHeight(state: ChainState, chain: ChainConfig): number {
  const deep = deepEnoughHeight(state.head.height, chain.requiredConfirmations);
  return chain.finality === 'finalized' ? Math.min(deep, state.finalizedHeight ?? -1) : deep;
}

/** How deep deposits must lie now. */
export function depthOf(state: ChainState, { finality, requiredConfirmations }: ChainConfig): Depth {
  const final = finality === 'finalized' ? (state.finalizedHeight ?? -1) : Number.MAX_SAFE_INTEGER;
  const [head, read] = [state.head.height, state.cursor.height];
  return { head, read: Math.min(head, read), final, requiredConfirmations };
}

/** Asks each node about the deposits that are deep enough; {@link decideDeposit} says what follows from the answers. */
export function createConfirmations(deps: ConfirmationsDeps): Confirmations {
  const { db, chain, source, log } = deps;
  const clock = steadyClock(deps.clock);
  const waitMs = chain.secondNodeWaitSeconds * 1000;
  const outages = createOutages(clock, source, waitMs);
  const undecided = createUndecidedDeposits(clock);
  /** The seen deposit after which the next step goes on. */
  let turn: Pick<SeenPlace, 'height' | 'id'> = start;
  /** What the log has told in this step: one transaction may hold thousands of deposits. */
  const told = new Set<string>();

  async function agree(state: ChainState, which: Turn, signal: AbortSignal): Promise<Agreed> {
    undecided.forgetOld();
    const deposits = which === 'completing' ? await listFirst(state) : await listOthers(state);
    return deposits.length === 0 ? { confirmed: [], gone: [] } : decideAll(deposits, signal);
  }

  /** Those that complete a payment. */
  async function listFirst(state: ChainState): Promise<DueDeposit[]> {
    const due = (await listCompleting(db, chain.network, depthOf(state, chain))).filter(undecided.isDue);
    const first = new Set([...new Set(due.map(({ txHash }) => txHash))].slice(0, transactionsPerStep));
    return due.filter(({ txHash }) => first.has(txHash));
  }

  /** All others, in turn: each step reads a part of them, however many there are. */
  async function listOthers(state: ChainState): Promise<DueDeposit[]> {
    const transactions = await nextTransactions(settledHeight(state, chain));
    const due = await listDueOfTransactions(db, chain.network, transactions, depthOf(state, chain));
    return due.filter(undecided.isDue);
  }

  /** The next transactions after those of the last step, and then from the beginning. */
  async function nextTransactions(upTo: number): Promise<SeenPlace[]> {
    const found = new Map<TxHash, SeenPlace>();
    for (const begin of turn === start ? [start] : [turn, start]) {
      const seen = await listSeen(db, chain.network, { upTo, after: begin, limit: mostSeen });
      turn = seen.length === mostSeen ? (seen.at(-1) as SeenPlace) : start;
      for (const [i, place] of seen.entries()) {
        if (found.has(place.txHash) || !undecided.isDue(place)) continue;
        if (found.size === transactionsPerStep) {
          turn = seen[i - 1] ?? begin;
          return [...found.values()];
        }
        found.set(place.txHash, place);
      }
      if (turn !== start) break;
    }
    return [...found.values()];
  }

  async function decideAll(deposits: readonly DueDeposit[], signal: AbortSignal): Promise<Agreed> {
    const { votes, late, reasons } = await askAbout(source, deposits, signal);
    noteOutages([...votes.values()], late);
    const agreed: Agreed = { confirmed: [], gone: [] };
    told.clear();
    for (const [deposit, ballot] of votes) {
      const before = undecided.of(deposit);
      const waited = hasWaited(deposit, ballot, before);
      const verdict = decideDeposit(deposit, { votes: ballot, deniedBy: before.deniedBy, waited });
      if (verdict.kind === 'confirm') {
        agreed.confirmed.push(verdict.agreed);
        if (verdict.alone)
          report(deposit, 'info', reasons.get(deposit), 'deposit confirmed without second node');
        undecided.forget(deposit);
        continue;
      }
      const now = undecided.note(deposit, ballot, verdict);
      if (verdict.kind === 'gone' && now.goneSince !== null && clock() - now.goneSince >= goneMs) {
        agreed.gone.push(verdict.agreed);
        undecided.forget(deposit);
        reportGone(verdict.agreed);
        continue;
      }
      reportOpen(deposit, before, now, reasons.get(deposit));
    }
    return agreed;
  }

  /** A node that can say something of any of them is there. */
  function noteOutages(
    ballots: readonly ReadonlyMap<string, DepositVote>[],
    late: ReadonlySet<string>,
  ): void {
    const hosts = new Set(ballots.flatMap((ballot) => [...ballot.keys()]));
    for (const host of hosts)
      if (!late.has(host))
        outages.note(
          host,
          ballots.every((ballot) => isSilent(ballot.get(host))),
        );
  }

  function hasWaited(
    { reportedBy }: Deposit,
    ballot: ReadonlyMap<string, DepositVote>,
    { since }: Undecided,
  ): boolean {
    const others = [...ballot.keys()].filter((host) => host !== reportedBy);
    if (!others.every((host) => isSilent(ballot.get(host)))) return false;
    return clock() - Math.min(since, outages.since(others) ?? since) >= waitMs;
  }

  /** A first denial may be a reorg, which the next poll finds. A second one is a disagreement between nodes. */
  function reportOpen(deposit: Deposit, before: Undecided, now: Undecided, reason: string | undefined): void {
    const denied = [...now.deniedBy];
    const why = denied.length > 0 ? `denied by ${denied.join(', ')}` : reason;
    report(deposit, before.asked === 0 ? 'warn' : 'debug', why, 'deposit not confirmed yet');
    if (now.disputes !== 2 || before.disputes !== 1) return;
    const { txHash, height, reportedBy } = deposit;
    const fields = { tx_hash: txHash, height, reported_by: reportedBy, denied_by: denied };
    tell('warn', fields, 'nodes disagree about a transfer');
  }

  function reportGone({ deposit, deniedBy }: GoneDeposit): void {
    const { txHash, height, reportedBy } = deposit;
    deps.found?.(chain.network, 'vanished');
    const fields = { tx_hash: txHash, height, reported_by: reportedBy, denied_by: deniedBy };
    tell('warn', fields, 'recorded transfer not on the chain');
  }

  function report(
    { txHash, height }: Deposit,
    level: 'info' | 'warn' | 'debug',
    reason: string | undefined,
    msg: string,
  ): void {
    tell(level, { tx_hash: txHash, height, reason }, msg);
  }

  function tell(
    level: 'info' | 'warn' | 'debug',
    fields: { tx_hash: string; height: number; [field: string]: unknown },
    msg: string,
  ): void {
    const what = `${fields.tx_hash} ${msg}`;
    if (!told.has(what)) log[level](fields, msg);
    told.add(what);
  }

  return { agree };
}

/** What the nodes agree on when they are asked once: it waits for none, and takes nothing back. */
export async function agreeAtOnce(
  { source }: Pick<ConfirmationsDeps, 'source'>,
  deposits: readonly DueDeposit[],
  signal: AbortSignal,
): Promise<Agreed> {
  const { votes } = await askAbout(source, deposits, signal);
  const confirmed = [...votes].flatMap(([deposit, ballot]) => {
    const verdict = decideDeposit(deposit, { votes: ballot, deniedBy: new Set(), waited: false });
    return verdict.kind === 'confirm' ? [verdict.agreed] : [];
  });
  return { confirmed, gone: [] };
}

/** Confirms what is agreed on, takes back what is gone and settles their payments, in the caller's transaction. */
export async function commitConfirmed(
  trx: Trx,
  { confirmed, gone }: Agreed,
  context: CommitContext,
): Promise<Settlement[]> {
  const state = await lockChain(trx, context.chain.network);
  if (state === null) return [];
  const confirmedIds = await confirmDeposits(
    trx,
    confirmed.map(({ deposit }) => deposit),
  );
  const goneIds = await orphanDeposits(
    trx,
    gone.map(({ deposit }) => deposit),
  );
  const otherwise = confirmed.flatMap(({ deposit, statement: { time, amount } }) =>
    confirmedIds.has(deposit.id) && (time !== deposit.blockTime || amount !== deposit.amount)
      ? [{ deposit, time, amount }]
      : [],
  );
  const changed = await recordAgreed(trx, otherwise, context.chain.family);
  const touched = [
    ...[...confirmed, ...gone]
      .map(({ deposit }) => deposit)
      .filter(({ id }) => confirmedIds.has(id) || goneIds.has(id)),
    ...changed,
  ].flatMap(({ paymentId }) => paymentId ?? []);
  const settled = await settleAll(trx, touched, settleContext(state, context));
  await announceAll(trx, changed, context);
  return settled;
}

/** A node that has it, but not as deep as required yet, says neither yes nor no. */
function isSilent(vote: DepositVote | undefined): boolean {
  return vote === undefined || vote.kind === 'silent' || (vote.kind === 'has' && !vote.deep);
}
