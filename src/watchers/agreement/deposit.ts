import { type BlockHash, noTransaction } from '../../core/chain.ts';
import type { Deposit } from '../../core/payment.ts';

/** What a node says of a transfer that it has. Two nodes agree only if block, time and amount are the same. */
export type Statement = { hash: BlockHash; time: number; amount: bigint };

/** What one node says of a deposit now. */
export type DepositVote =
  /** `deep`: with as many confirmations below the node's own head as are required. */
  | { kind: 'has'; statement: Statement; deep: boolean }
  /** `weak`: the transaction and its log are there, and only the recipient's balance speaks against the transfer. */
  | { kind: 'denies'; weak: boolean }
  | { kind: 'silent' };

export type DepositFacts = {
  /** The votes of all nodes that are configured, by host name. */
  votes: ReadonlyMap<string, DepositVote>;
  /** Who denied it before, in this block. */
  deniedBy: ReadonlySet<string>;
  /** Whether all nodes but the reporting one have been silent for `secondNodeWaitSeconds`. */
  waited: boolean;
};

export type DepositVerdict =
  /** `alone`: on the reporting node's word, because no other node has answered for so long. */
  | { kind: 'confirm'; agreed: AgreedDeposit; alone: boolean }
  /** The caller takes it back once this verdict has stood for a while. */
  | { kind: 'gone'; agreed: GoneDeposit }
  | { kind: 'disputed' }
  | { kind: 'wait' };

declare const agreedBrand: unique symbol;

/** A deposit that may be confirmed, with what the nodes agree on. Only {@link decideDeposit} makes one. */
export type AgreedDeposit = { deposit: Deposit; statement: Statement } & { readonly [agreedBrand]: true };

/** A deposit that may be taken back before it was confirmed. Only {@link decideDeposit} makes one. */
export type GoneDeposit = { deposit: Deposit; deniedBy: readonly string[] } & {
  readonly [agreedBrand]: true;
};

type Named = { host: string; vote: DepositVote };

/**
 * May a deposit be confirmed? The node that reported it also confirms its own lie, so another one must have it. The
 * first row that fits decides:
 *
 *   the other nodes                    the reporting node               verdict
 *   one has it, deep enough            any                              confirm
 *   there are none                     has it, deep enough              confirm
 *   nobody has it, one denies          denies                           gone
 *   nobody has it, two deny, or one    no longer configured, or unknown gone
 *     where one is all there is
 *   there are none                     denies                           gone
 *   one denies, or did before          any                              disputed
 *   all silent for long enough         has it, deep enough              confirm, alone
 *   else                                                                wait
 *
 * A node that has the transfer, but in another block or with another time or amount than is recorded, disputes the deposit and keeps it
 * from being gone. What it states is confirmed instead once two nodes state it: see {@link agreedStatement}. A weak denial disputes a
 * deposit, and never makes it gone. A deposit without a transaction, which a balance alone shows, is never gone either: no node can say
 * how it came.
 */
export function decideDeposit(deposit: Deposit, { votes, deniedBy, waited }: DepositFacts): DepositVerdict {
  const all = [...votes].map(([host, vote]): Named => ({ host, vote }));
  const others = all.filter(({ host }) => host !== deposit.reportedBy);
  const reporter = all.find(({ host }) => host === deposit.reportedBy)?.vote ?? null;

  const statement = agreedStatement(deposit, others, reporter);
  if (statement !== null) return confirm(deposit, statement, false);
  const [only, ...more] = all;
  if (only?.vote.kind === 'has' && only.vote.deep && more.length === 0)
    return confirm(deposit, only.vote.statement, false);

  const deniers = all.filter(({ vote }) => vote.kind === 'denies' && !vote.weak).map(({ host }) => host);
  const has = all.some(({ vote }) => vote.kind === 'has');
  const enough = Math.min(2, all.length);
  const reporterDenies = reporter === null || (reporter.kind === 'denies' && !reporter.weak);
  if (!has && reporterDenies && deposit.txHash !== noTransaction && deniers.length >= enough && enough > 0)
    return { kind: 'gone', agreed: { deposit, deniedBy: deniers } as unknown as GoneDeposit };

  const contradicts = ({ vote }: Named) =>
    vote.kind === 'denies' || (vote.kind === 'has' && !isRecorded(deposit, vote.statement));
  if (others.some((other) => contradicts(other) || deniedBy.has(other.host))) return { kind: 'disputed' };

  if (waited && reporter?.kind === 'has' && reporter.deep) return confirm(deposit, reporter.statement, true);
  return { kind: 'wait' };
}

/**
 * Whether these votes confirm a deposit whatever the `missing` nodes will say, so that nobody has to wait for them. A denial takes no
 * confirmation back; only nodes that all state the same other block, time or amount could.
 */
export function isSettled(
  deposit: Deposit,
  votes: ReadonlyMap<string, DepositVote>,
  missing: number,
): boolean {
  const others = [...votes].flatMap(([host, vote]) => (host === deposit.reportedBy ? [] : [{ host, vote }]));
  const reporter = votes.get(deposit.reportedBy ?? '') ?? null;
  const [first, second] = countStatements(deposit, others, reporter);
  return first !== undefined && first.nodes >= 2 && first.nodes > (second?.nodes ?? 0) + missing;
}

/** The statement that most nodes make, if at least two do. Null otherwise, and where two statements tie. */
function agreedStatement(
  deposit: Deposit,
  others: readonly Named[],
  reporter: DepositVote | null,
): Statement | null {
  const [first, second] = countStatements(deposit, others, reporter);
  if (first === undefined || first.nodes < 2 || first.nodes === second?.nodes) return null;
  return first.statement;
}

/**
 * How many nodes make each statement, most first. Only nodes that have the transfer deep enough count. The reporting node counts for what
 * is recorded, whatever it says now, and for another statement too where it makes one now.
 */
function countStatements(
  deposit: Deposit,
  others: readonly Named[],
  reporter: DepositVote | null,
): { statement: Statement; nodes: number }[] {
  const made = [...others.map(({ vote }) => vote), ...(reporter === null ? [] : [reporter])].flatMap(
    (vote) => (vote.kind === 'has' && vote.deep ? [vote.statement] : []),
  );
  const recorded = statementOf(deposit);
  const distinct = [recorded, ...made].filter(
    (one, i, all) => all.findIndex((other) => isSame(one, other)) === i,
  );
  const counted = distinct.map((statement) => ({ statement, nodes: countOf(statement) }));
  return counted.toSorted((a, b) => b.nodes - a.nodes);

  function countOf(statement: Statement): number {
    const byOthers = others.filter(
      ({ vote }) => vote.kind === 'has' && vote.deep && isSame(vote.statement, statement),
    ).length;
    if (isSame(statement, recorded)) return byOthers + 1;
    return (
      byOthers + Number(reporter?.kind === 'has' && reporter.deep && isSame(reporter.statement, statement))
    );
  }
}

function confirm(deposit: Deposit, statement: Statement, alone: boolean): DepositVerdict {
  return { kind: 'confirm', agreed: { deposit, statement } as AgreedDeposit, alone };
}

function statementOf({ blockHash, blockTime, amount }: Deposit): Statement {
  return { hash: blockHash, time: blockTime, amount };
}

function isRecorded(deposit: Deposit, statement: Statement): boolean {
  return isSame(statementOf(deposit), statement);
}

function isSame(a: Statement, b: Statement): boolean {
  return a.hash === b.hash && a.time === b.time && a.amount === b.amount;
}
