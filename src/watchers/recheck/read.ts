import { type BlockRef, type Cursor, noTransaction, type Transfer } from '../../core/chain.ts';
import type { Capability } from '../../core/node.ts';
import type { Deposit } from '../../core/payment.ts';
import { listDepositsIn } from '../../storage/deposits/range.ts';
import type { Db } from '../../storage/schema.ts';
import { type InclusionAnswer, inclusionOf, type Outages, queryOf } from '../agreement/ask.ts';
import { decideLeftOut, type LeftOutVote } from '../agreement/left-out.ts';
import type { ReadFor } from '../assets-in-use.ts';
import type { ChainSource, Hosts, InclusionQuery, Span, Watchlist } from '../source.ts';

/*
 * Blocks that were read before, read again, and what differs from what is recorded. Nothing is written here.
 */

/** Which blocks to read again, and from whom. */
export type RereadRange = {
  /** The block below the first. */
  cursor: Cursor;
  upTo: number;
  /** A block of ours at or above `upTo`. */
  anchor: BlockRef;
  /** Whether the blocks were read whole, and are again. */
  native: boolean;
  /** Who showed them before. */
  hosts: Hosts;
};

/** A transfer of which nothing is recorded where it stands; `agreed` when another node has it too. */
export type Missed = { transfer: Transfer; agreed: boolean };

/** A recorded deposit that this answer leaves out and that is not known to be gone; who has it, of those asked. */
export type Disputed = { deposit: Deposit; hadBy: 'third node' | 'earlier reader' | 'nobody yet' };

/** What reading blocks again has shown. */
export type Reading = {
  range: RereadRange;
  span: Span;
  /** Transfers that are recorded just so. */
  known: number;
  missed: Missed[];
  /** Recorded, and not on the chain by two answers. */
  vanished: Deposit[];
  /** While there is any, the answer proves nothing. */
  disputed: Disputed[];
};

export type RereadDeps = {
  db: Db;
  source: ChainSource;
  readFor: ReadFor;
  watch: Watchlist;
  outages: Outages;
};

export type RereadOutcome =
  | { kind: 'reading'; reading: Reading }
  /** The node has another block where the range begins. */
  | { kind: 'forked'; reason: string; retryAt: number }
  | { kind: 'failed'; reason: string; retryAt: number };

/** Reads as much of a range as one node serves at once, from any but `except`, and compares it with what is recorded. */
export async function reread(
  deps: RereadDeps,
  range: RereadRange,
  except: Hosts,
  signal: AbortSignal,
): Promise<RereadOutcome> {
  const { db, readFor, source, watch } = deps;
  const { chain, tokens } = readFor;
  const { cursor, upTo, anchor, native } = range;
  const outcome = await source.reread({ cursor, upTo, anchor, except, watch, tokens, native, signal });
  if (outcome.kind === 'failed') return outcome;
  if (outcome.kind === 'reorg') {
    const reason = `another block ${cursor.height} than the one that was read`;
    return { kind: 'forked', reason, retryAt: 0 };
  }
  const { span } = outcome;
  const recorded = await listDepositsIn(db, chain.network, { above: cursor.height, upTo: span.to.height });
  // What contracts paid was recorded when a node could tell; that none can now says nothing.
  const untraced = new Set(span.untraced);
  const asked = recorded.filter((deposit) => isAskedFor(deposit, deps, native));
  const compared = compare(span.transfers, asked);
  const { missed, known } = compared;
  const absent = compared.absent.filter(({ token, txHash }) => token !== 'native' || !untraced.has(txHash));

  const left = absent.map((deposit) => ({ deposit, query: queryOf(deposit) }));
  const queries = [...missed, ...left.map(({ query }) => query)];
  const answers = queries.length === 0 ? [] : await source.inclusionsOfEach(queries, signal);
  noteOutages(deps.outages, answers, queries);
  const others = answers.filter(({ host }) => host !== span.host);
  const reading: Reading = { range, span, known, missed: [], vanished: [], disputed: [] };
  for (const transfer of missed) {
    const agreed = others.some((answer) => voteOn(transfer, answer) === 'has');
    reading.missed.push({ transfer, agreed });
  }
  for (const { deposit, query } of left) {
    const votesOf = (who: (host: string) => boolean) =>
      answers.filter(({ host }) => who(host)).map((answer) => voteOn(query, answer));
    const verdict = decideLeftOut({
      third: votesOf((host) => host !== span.host && !range.hosts.has(host)),
      earlier: votesOf((host) => host !== span.host && range.hosts.has(host)),
      reader: votesOf((host) => host === span.host)[0] ?? 'silent',
      confirmed: deposit.status === 'confirmed',
      waited: deps.outages.haveLasted(others.map(({ host }) => host)),
    });
    if (verdict.kind === 'vanished') reading.vanished.push(deposit);
    else if (verdict.kind === 'undecided') reading.disputed.push({ deposit, hadBy: 'nobody yet' });
    else reading.disputed.push({ deposit, hadBy: verdict.byThird ? 'third node' : 'earlier reader' });
  }
  return { kind: 'reading', reading };
}

/** What a node says of a transfer in its block: another amount, or another block, is another transfer. */
function voteOn(query: InclusionQuery, answer: InclusionAnswer): LeftOutVote {
  const inclusion = inclusionOf(answer, query);
  switch (inclusion.kind) {
    case 'included':
      return inclusion.block.hash === query.block.hash && inclusion.amount === query.amount
        ? 'has'
        : 'denies';
    case 'absent':
      return 'denies';
    // What a balance alone speaks against is not gone.
    case 'doubtful':
    case 'unknown':
      return 'silent';
    default:
      return inclusion satisfies never;
  }
}

function noteOutages(
  outages: Outages,
  answers: readonly InclusionAnswer[],
  queries: readonly InclusionQuery[],
): void {
  for (const answer of answers) {
    outages.note(
      answer.host,
      queries.every((query) => voteOn(query, answer) === 'silent'),
    );
  }
}

/** Whether a node that was asked for everything watched would show this deposit. */
function isAskedFor(deposit: Deposit, { readFor, watch }: RereadDeps, native: boolean): boolean {
  if (!watch.has(deposit.recipient) || deposit.txHash === noTransaction) return false;
  if (deposit.token === 'native') return native;
  return readFor.tokens.has(deposit.token);
}

/** What is shown and not recorded at its place, and what is recorded and not shown. */
export function compare(
  transfers: readonly Transfer[],
  recorded: readonly Deposit[],
): { missed: Transfer[]; absent: Deposit[]; known: number } {
  const shown = new Set(transfers.map((transfer) => placeOf(transfer, transfer.block.hash)));
  const held = new Set(recorded.map((deposit) => placeOf(deposit, deposit.blockHash)));
  const missed = transfers.filter((transfer) => !held.has(placeOf(transfer, transfer.block.hash)));
  return {
    missed,
    absent: recorded.filter((deposit) => !shown.has(placeOf(deposit, deposit.blockHash))),
    known: transfers.length - missed.length,
  };
}

/** The hosts of a chain that may be asked for something, those in backoff too. */
export function hostsServing(source: ChainSource, what: Capability): string[] {
  const serving = source
    .endpoints()
    .filter(({ state, lacks }) => state !== 'wrong chain' && !lacks.includes(what));
  return serving.map(({ host }) => host);
}

type Identity = Pick<Transfer, 'txHash' | 'token' | 'recipient' | 'ordinal' | 'amount'>;

function placeOf({ txHash, token, recipient, ordinal, amount }: Identity, block: string): string {
  return [block, txHash, token, recipient, ordinal, amount].join(' ');
}
