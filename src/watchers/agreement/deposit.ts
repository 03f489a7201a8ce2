import { type BlockHash, noTransaction } from '../../core/chain.ts';
import type { Deposit } from '../../core/payment.ts';

/** What a node states of a transfer that it has: another hash, time or amount is another statement. */
export type Statement = { hash: BlockHash; time: number; amount: bigint };

/** What one node says of a deposit now. */
export type DepositVote =
  /** `deep`: with as many confirmations below the node's own head as are required. */
  | { kind: 'has'; statement: Statement; deep: boolean }
  /** `weak`: all is in place, only the recipient's balance speaks against it. */
  | { kind: 'denies'; weak: boolean }
  | { kind: 'silent' };

export type DepositFacts = {
  /** The votes of all nodes that are configured, by host name. */
  votes: ReadonlyMap<string, DepositVote>;
  /** Who denied it before, in this block. */
  deniedBy: ReadonlySet<string>;
  /** Whether all but the reporting node have had nothing to say for as long as a fact waits for a second node. */
  waited: boolean;
};

export type DepositVerdict =
  /** `alone`: though there are other nodes, none of them could be asked. */
  | { kind: 'confirm'; agreed: AgreedDeposit; alone: boolean }
  /** Taken back when it stays so for a while. */
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
 * A statement that differs from the recorded one needs two nodes that make it now: see {@link agreedStatement}. Until
 * then whoever makes it denies what is recorded, but keeps it from being gone. A balance alone speaks against nothing
 * for good, and money without a transaction is never gone: no node can say how it came.
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
 * Whether these votes confirm a deposit whatever `missing` other nodes say: then nobody has to wait for them. What they
 * could change is how many state another block, time or amount. A denial takes no confirmation back.
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

/** What two nodes state. Null where no statement has two, or where two statements have equally many. */
function agreedStatement(
  deposit: Deposit,
  others: readonly Named[],
  reporter: DepositVote | null,
): Statement | null {
  const [first, second] = countStatements(deposit, others, reporter);
  if (first === undefined || first.nodes < 2 || first.nodes === second?.nodes) return null;
  return first.statement;
}

/** How many nodes state what, deep enough, most first: the reporting node has stated what is recorded. */
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
