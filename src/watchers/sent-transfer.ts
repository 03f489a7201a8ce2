import { steadyClock } from '../clock.ts';
import type { BlockRef } from '../core/chain.ts';
import { confirmationsAt } from '../core/confirmations.ts';
import type { NodeAnswer } from '../core/node.ts';
import type { SentFinding, SentTransfer } from '../core/refund-record.ts';
import { DepositdError, InvariantError } from '../errors.ts';
import { readChain } from '../storage/chains/chains.ts';
import { createOutages, type InclusionAnswer, inclusionOf } from './agreement/ask.ts';
import { settledHeight } from './confirmations.ts';
import { agreeOnLocation } from './recheck/find-transaction.ts';
import type { ChainSource, InclusionQuery, NodeHead } from './source.ts';
import type { WatcherDeps } from './watcher.ts';

export type SentTransfers = {
  /** Looks for a transfer with the nodes and by the rules of a confirmation. Records nothing. */
  verify(transfer: SentTransfer, signal: AbortSignal): Promise<SentFinding>;
};

/** Transfers of one token to one recipient in one transaction that are looked at: the first ones. */
const mostTransfers = 10;

/** What one node says of it. `time`: of its block, Unix seconds; `other`: what it moves there instead, if anything. */
export type SentVote =
  | { kind: 'has'; time: number }
  | { kind: 'denies'; other: bigint | null }
  | { kind: 'silent' };

export type SentVerdict = 'verified' | 'mismatch' | 'not yet';

/**
 * Has a transfer been made, in a block that is final? A node that says so may lie or be mistaken, and so may one that
 * denies it: both need a second node where there is one. Who gives its block another time has not said the same; those
 * count that are most. The first row that fits decides:
 *
 *   has it              denies it                 waited for the others   verdict
 *   two                 any                       any                     verified
 *   the only node       –                         any                     verified
 *   one                 nobody, others silent     yes                     verified
 *   nobody              two, or the only node     any                     mismatch
 *   else                                                                  not yet
 */
export function decideSent(votes: ReadonlyMap<string, SentVote>, waited: boolean): SentVerdict {
  const times = timesOf(votes);
  const has = times[0]?.nodes ?? 0;
  const denies = [...votes.values()].filter(({ kind }) => kind === 'denies').length;
  const enough = Math.min(2, votes.size);
  if (has > 0 && has >= enough) return 'verified';
  if (has === 1 && times.length === 1 && denies === 0 && waited) return 'verified';
  if (has === 0 && denies > 0 && denies >= enough) return 'mismatch';
  return 'not yet';
}

/** The times that nodes which have it give its block, the one that most of them give first. */
function timesOf(votes: ReadonlyMap<string, SentVote>): { time: number; nodes: number }[] {
  const given = [...votes.values()].flatMap((vote) => (vote.kind === 'has' ? [vote.time] : []));
  return [...Map.groupBy(given, (time) => time)]
    .map(([time, nodes]) => ({ time, nodes: nodes.length }))
    .toSorted((a, b) => b.nodes - a.nodes);
}

export function createSentTransfers(
  deps: Pick<WatcherDeps, 'db' | 'chain' | 'clock'> & { source: ChainSource },
): SentTransfers {
  const { db, chain, source } = deps;
  const outages = createOutages(steadyClock(deps.clock), source, chain.secondNodeWaitSeconds * 1000);

  async function look(transfer: SentTransfer, signal: AbortSignal): Promise<SentFinding> {
    const state = await readChain(db, chain.network);
    if (state === null) return notFound(`${chain.network} has not been read yet`);
    if (source.locationsOfEach === undefined) return notFound(`the nodes of ${chain.network} cannot say`);
    const location = agreeOnLocation(await source.locationsOfEach(transfer.txHash, signal));
    switch (location.kind) {
      case 'unknown':
        return notFound(`no node of ${chain.network} knows the transaction`);
      case 'pending':
        return notFound('the transaction is in no block yet');
      case 'disputed':
        return notFound(`the nodes differ in its block (${location.said})`);
      case 'silent':
        return notFound(`no node could be asked: ${location.reason}`);
      case 'mined':
        break;
      default:
        return location satisfies never;
    }
    const { height, hash } = location.block;
    const settled = height <= settledHeight(state, chain) || (await isFinalNow(height, signal));
    if (!settled) return notFound(`block ${height} is not final yet`);
    const block = (await source.blocksAt([height], signal)).get(height) ?? null;
    if (block?.hash !== hash) return notFound(`block ${height} is on a fork, or was replaced just now`);

    const queries = queriesOf(transfer, block);
    const answers = await source.inclusionsOfEach(queries, signal);
    const votes = new Map(
      answers.map((answer) => {
        const vote = voteOf(answer, queries, chain.requiredConfirmations);
        outages.note(answer.host, vote.kind === 'silent');
        return [answer.host, vote] as const;
      }),
    );
    const others = [...votes].flatMap(([host, { kind }]) => (kind === 'has' ? [] : [host]));
    switch (decideSent(votes, outages.haveLasted(others))) {
      case 'verified':
        // Whoever was asked for the block alone may have given it any time.
        return { kind: 'verified', block: { ...block, time: timesOf(votes)[0]?.time ?? block.time } };
      case 'mismatch':
        return mismatch(location.failed, votes);
      case 'not yet':
        return notFound(`not enough nodes agree on it: ${describeVotes(votes)}`);
      default:
        throw new InvariantError('a transfer about which nothing was decided');
    }
  }

  /** How far a chain at rest is final is asked seldom: two nodes, where there are two, can say it of this block now. */
  async function isFinalNow(height: number, signal: AbortSignal): Promise<boolean> {
    const needed = Math.min(2, new Set(source.endpoints().map(({ host }) => host)).size);
    const isFinal = ({ latest, finalized }: NodeHead) =>
      confirmationsAt(latest.height, height) >= chain.requiredConfirmations &&
      (chain.finality === 'depth' || (finalized?.height ?? -1) >= height);
    const enough = (answers: readonly NodeAnswer<NodeHead>[]) => {
      const hosts = answers.flatMap((one) =>
        one.kind === 'answered' && isFinal(one.value) ? [one.host] : [],
      );
      return new Set(hosts).size >= needed;
    };
    return enough(await source.headsOfEach(signal, enough));
  }

  return {
    async verify(transfer, signal) {
      try {
        return await look(transfer, signal);
      } catch (error) {
        if (error instanceof DepositdError && !(error instanceof InvariantError)) {
          return notFound(`the nodes could not be asked: ${error.message}`);
        }
        if (signal.aborted) return notFound('the nodes did not answer in time');
        throw error;
      }
    },
  };
}

/** One for each transfer that the transaction may make there: a contract may pay in parts, or somebody else as well. */
function queriesOf(transfer: SentTransfer, block: BlockRef): InclusionQuery[] {
  // What a balance shows of the native coin is no more than one sum.
  const count = transfer.token === 'native' ? 1 : mostTransfers;
  return Array.from({ length: count }, (_, ordinal) => ({ ...transfer, ordinal, block }));
}

/** Only what a node has seen itself is its word: that nothing speaks against it is not enough. */
function voteOf(
  answer: InclusionAnswer,
  queries: readonly InclusionQuery[],
  requiredConfirmations: number,
): SentVote {
  let other: bigint | null = null;
  let silent = false;
  for (const query of queries) {
    const inclusion = inclusionOf(answer, query);
    const { hash, height } = query.block;
    if (inclusion.kind === 'unknown' || inclusion.kind === 'doubtful') silent = true;
    if (inclusion.kind !== 'included') continue;
    const deep = confirmationsAt(inclusion.head, height) >= requiredConfirmations;
    // A balance that gained more shows that something came, and not how much of it in this transaction.
    const { gained = query.amount } = inclusion;
    const shown = inclusion.weak !== true && gained === query.amount;
    if (inclusion.block.hash !== hash || !shown || !deep) silent = true;
    else if (inclusion.amount === query.amount) return { kind: 'has', time: inclusion.block.time };
    else other ??= inclusion.amount;
  }
  return silent ? { kind: 'silent' } : { kind: 'denies', other };
}

function describeVotes(votes: ReadonlyMap<string, SentVote>): string {
  const words = { has: 'has it', denies: 'denies it', silent: 'cannot say' };
  return [...votes].map(([host, { kind }]) => `${host} ${words[kind]}`).join(', ');
}

function mismatch(failed: boolean, votes: ReadonlyMap<string, SentVote>): SentFinding {
  if (failed) return { kind: 'mismatch', why: 'the transaction failed: it moved nothing' };
  const other = [...votes.values()].some((vote) => vote.kind === 'denies' && vote.other !== null);
  return {
    kind: 'mismatch',
    why: other
      ? 'the transaction sends this address another amount'
      : 'the transaction sends this address nothing in this coin',
  };
}

function notFound(why: string): SentFinding {
  return { kind: 'not_found', why };
}

/** Of whoever watches no such chain. */
export function unwatched(network: string): SentFinding {
  return notFound(`${network} is not read here`);
}
