import type { Clock } from '../../clock.ts';
import { confirmationsAt } from '../../core/confirmations.ts';
import type { Capability, Enough, NodeAnswer } from '../../core/node.ts';
import type { Deposit } from '../../core/payment.ts';
import type { DueDeposit } from '../../storage/deposits/waiting.ts';
import type { ChainSource, Inclusion, InclusionQuery } from '../source.ts';
import { type DepositVote, isSettled } from './deposit.ts';

/** The answers of each node about deposits: host name to what it says of each. Who gave none is silent about all. */
export type DepositAnswers = {
  votes: Map<Deposit, Map<string, DepositVote>>;
  /** Who was not waited for: that it said nothing is no silence. */
  late: ReadonlySet<string>;
  /** Why nobody could say, for the log. */
  reasons: Map<Deposit, string>;
};

/** Asks each node about deposits, all of them in one request to each, until all are confirmed whatever the others say. */
export async function askAbout(
  source: Pick<ChainSource, 'inclusionsOfEach'>,
  deposits: readonly DueDeposit[],
  signal: AbortSignal,
): Promise<DepositAnswers> {
  const queries = new Map(
    deposits.map((deposit) => [deposit, { ...queryOf(deposit), byDepth: deposit.byDepth }]),
  );
  const votesOn = (deposit: DueDeposit, query: InclusionQuery, answers: readonly InclusionAnswer[]) =>
    new Map(
      answers.map((answer) => {
        const { host } = answer;
        return [host, voteOf(inclusionOf(answer, query), deposit, host)];
      }),
    );
  const settled: Enough<Map<InclusionQuery, Inclusion>> = (answers, missing) =>
    [...queries].every(([deposit, query]) => isSettled(deposit, votesOn(deposit, query, answers), missing));
  const answers = await source.inclusionsOfEach([...queries.values()], signal, settled);
  const late = answers.flatMap((answer) => (answer.kind === 'silent' && answer.late ? [answer.host] : []));
  const asked: DepositAnswers = { votes: new Map(), late: new Set(late), reasons: new Map() };
  for (const [deposit, query] of queries) {
    asked.votes.set(deposit, votesOn(deposit, query, answers));
    const inclusions = answers.map((answer) => inclusionOf(answer, query));
    const reasons = inclusions.flatMap((inclusion) => ('reason' in inclusion ? [inclusion.reason] : []));
    asked.reasons.set(deposit, reasons.join('; ') || 'not deep enough below the head of another node');
  }
  return asked;
}

/** Whether there is no second node that could be asked. Two URLs of one host are one node. */
export function isAlone(source: Pick<ChainSource, 'endpoints'>): boolean {
  return new Set(source.endpoints().map(({ host }) => host)).size < 2;
}

/** What a node says of transfers. */
export type InclusionAnswer = NodeAnswer<Map<InclusionQuery, Inclusion>>;

/** What a node says of one transfer: who gave no answer does not know. */
export function inclusionOf(answer: InclusionAnswer, query: InclusionQuery): Inclusion {
  if (answer.kind === 'silent') return { kind: 'unknown', reason: `${answer.host}: ${answer.reason}` };
  return answer.value.get(query) ?? { kind: 'unknown', reason: `${answer.host}: not answered` };
}

function voteOf(inclusion: Inclusion, deposit: DueDeposit, host: string): DepositVote {
  switch (inclusion.kind) {
    case 'included': {
      const { block, amount, head, weak } = inclusion;
      if (block.hash !== deposit.blockHash) return { kind: 'denies', weak: false };
      // Of another node that is no second word.
      if (weak === true && host !== deposit.reportedBy) return { kind: 'silent' };
      const deep = confirmationsAt(head, deposit.height) >= deposit.requiredConfirmations;
      return { kind: 'has', statement: { hash: block.hash, time: block.time, amount }, deep };
    }
    case 'absent':
      return { kind: 'denies', weak: false };
    case 'doubtful':
      return { kind: 'denies', weak: true };
    case 'unknown':
      return { kind: 'silent' };
    default:
      return inclusion satisfies never;
  }
}

export function queryOf(deposit: Deposit): InclusionQuery {
  return {
    txHash: deposit.txHash,
    token: deposit.token,
    recipient: deposit.recipient,
    ordinal: deposit.ordinal,
    amount: deposit.amount,
    block: { height: deposit.height, hash: deposit.blockHash, time: deposit.blockTime },
  };
}

type Outage = { since: number; askedAt: number; answeredAt: number | null };

export type Outages = {
  /** Told whether a node had something to say when it was asked. */
  note(host: string, silent: boolean): void;
  /** Since when all of these have had nothing to say; null while one of them has. */
  since(hosts: readonly string[]): number | null;
  /** Whether that has lasted for as long as a fact waits for a second node. */
  haveLasted(hosts: readonly string[]): boolean;
};

/**
 * Since when nodes have had nothing to say to questions that need `what`, by `clock`, which never goes back. One that answered something else since it
 * was last asked, a wait ago or longer, may have been able to say: then the wait begins anew.
 */
export function createOutages(
  clock: Clock,
  source: Pick<ChainSource, 'endpoints'>,
  waitMs: number,
  what: Capability | null = 'receipts',
): Outages {
  const outages = new Map<string, Outage>();

  function note(host: string, silent: boolean): void {
    const known = outages.get(host);
    if (!silent) {
      outages.delete(host);
      return;
    }
    const node = source.endpoints().find((endpoint) => endpoint.host === host);
    const answeredAt = node?.answeredAt ?? null;
    // What a node does not serve it does not serve whatever else it answers.
    const lasts =
      known !== undefined &&
      (clock() - known.askedAt < waitMs ||
        known.answeredAt === answeredAt ||
        (what !== null && node?.lacks.includes(what) === true));
    outages.set(host, { since: lasts ? known.since : clock(), askedAt: clock(), answeredAt });
  }

  function since(hosts: readonly string[]): number | null {
    const found = hosts.map((host) => outages.get(host)?.since ?? null);
    return found.length === 0 || found.includes(null) ? null : Math.max(...(found as number[]));
  }

  function haveLasted(hosts: readonly string[]): boolean {
    const began = since(hosts);
    return began !== null && clock() - began >= waitMs;
  }

  return { note, since, haveLasted };
}
