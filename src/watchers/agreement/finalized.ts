import { type Clock, steadyClock } from '../../clock.ts';
import type { BlockHash, BlockRef } from '../../core/chain.ts';
import type { Enough, NodeAnswer } from '../../core/node.ts';
import type { Logger } from '../../log.ts';
import type { ChainSource, NodeHead } from '../source.ts';
import { createOutages } from './ask.ts';

/** What one node says is final. */
export type FinalizedVote = {
  host: string;
  latest: number;
  finalized: number;
  /** Its blocks at the heights that any node calls final. */
  blocks: ReadonlyMap<number, BlockRef>;
};

export type FinalizedFacts = {
  /** Nodes that are configured. */
  configured: number;
  votes: readonly FinalizedVote[];
  /** The highest block that we have read: what lies above is not ours to call final. */
  upTo: number;
  /** Whether all but one have had nothing to say of so high a block for as long as a fact waits for a second node. */
  waited: boolean;
};

/** The agreed block, if there is one; whose word it is where that is one alone; and who is not to be believed. */
export type FinalizedVerdict = { block: BlockRef | null; alone: string | null; distrusted: string[] };

/**
 * Which block is final? One node's word may make up finality, and then an ordinary reorg looks like a broken chain, or all
 * honest nodes like nodes that are behind. At each height that a node calls final, highest first, of the nodes whose
 * finalized block is there or above:
 *
 *   configured   with the same hash   nodes that have got so far and do not say so   waited   verdict
 *   one          1                    –                                             –        final
 *   more         ≥ 2                  any                                           –        final
 *   more         1                    none                                          yes      final, alone
 *   more         1                    any                                           no       not final
 *   more         1                    ≥ 1                                           yes      not final
 *
 * Who calls its latest block final, where others keep a distance, or one above the latest of two others, is wrong.
 */
export function decideFinalized({ configured, votes, upTo, waited }: FinalizedFacts): FinalizedVerdict {
  const distrusted =
    configured < 2 ? [] : votes.filter((vote) => isMadeUp(vote, votes)).map(({ host }) => host);
  const trusted = votes.filter(({ host }) => !distrusted.includes(host));
  const needed = configured < 2 ? 1 : 2;
  for (const height of heightsOf(trusted, upTo)) {
    const reached = trusted.filter(({ finalized }) => finalized >= height);
    const blocks = reached.flatMap((vote) => vote.blocks.get(height) ?? []);
    const block = blocks.find(({ hash }) => sharing(blocks, hash) >= needed);
    if (block !== undefined) return { block, alone: null, distrusted };
    const [only] = reached;
    const own = only?.blocks.get(height);
    if (only === undefined || own === undefined || !waited) continue;
    const others = votes.filter(({ host }) => host !== only.host);
    if (others.every(({ latest }) => latest < height)) return { block: own, alone: only.host, distrusted };
  }
  return { block: null, alone: null, distrusted };
}

/** Highest first. */
function heightsOf(votes: readonly Pick<FinalizedVote, 'finalized'>[], upTo: number): number[] {
  return [...new Set(votes.map(({ finalized }) => Math.min(finalized, upTo)))].sort((a, b) => b - a);
}

function sharing(blocks: readonly BlockRef[], hash: BlockHash): number {
  return blocks.filter((block) => block.hash === hash).length;
}

/** By what two others say. Chains on which each block is final at once are none of this: there all say so. */
function isMadeUp(vote: FinalizedVote, votes: readonly FinalizedVote[]): boolean {
  const others = votes.filter(({ host }) => host !== vote.host);
  const below = others.filter(({ latest }) => latest < vote.finalized);
  const distant = others.filter(({ latest, finalized }) => finalized < latest);
  return below.length >= 2 || (vote.finalized >= vote.latest && distant.length >= 2);
}

/** Up to which height what is final is looked for, and from which on what is found suffices. */
export type FinalizedQuestion = { upTo: number; wanted: number };

export type FinalizedAgreement = {
  /**
   * The highest block up to `upTo` that nodes agree is final; null when they agree on none. Nobody is waited for once two
   * agree on one at or above `wanted`: then it may be lower than what the others would show.
   */
  agree(question: FinalizedQuestion, signal: AbortSignal): Promise<BlockRef | null>;
};

export type FinalizedAgreementDeps = {
  /** How long a block waits for a second node to call it final, ms. */
  waitMs: number;
  source: Pick<ChainSource, 'headsOfEach' | 'blocksOfEach' | 'distrust' | 'endpoints'>;
  clock: Clock;
  log: Logger;
};

type Told = Omit<FinalizedVote, 'blocks'>;
type Asked = { verdict: FinalizedVerdict; someLate: boolean };

/** Asks each node twice: what it calls final, and for its blocks at those heights. Not for a tick in which nothing waits. */
export function createFinalizedAgreement(deps: FinalizedAgreementDeps): FinalizedAgreement {
  const { source, log } = deps;
  const outages = createOutages(steadyClock(deps.clock), source, deps.waitMs, null);

  async function agree({ upTo, wanted }: FinalizedQuestion, signal: AbortSignal): Promise<BlockRef | null> {
    const first = await ask(upTo, wanted, signal);
    const suffices = (first.verdict.block?.height ?? -1) >= wanted;
    // Of two that answered first one may have lied: then everybody is heard.
    const { verdict } = first.someLate && !suffices ? await ask(upTo, null, signal) : first;
    for (const host of verdict.distrusted)
      source.distrust(host, 'it calls blocks final that others do not, or do not have');
    if (verdict.alone !== null) {
      const fields = { host: verdict.alone, finalized: verdict.block?.height };
      log.info(fields, 'finalized block without second node');
    }
    return verdict.block;
  }

  /** Asks everybody, or until two agree on a block at or above `wanted`. */
  async function ask(upTo: number, wanted: number | null, signal: AbortSignal): Promise<Asked> {
    const bothReach: Enough<NodeHead> = (answers) =>
      wanted !== null && answers.flatMap(toldBy).filter(({ finalized }) => finalized >= wanted).length >= 2;
    const heads = await source.headsOfEach(signal, bothReach);
    const told = heads.flatMap(toldBy);
    if (told.length === 0) return { verdict: { block: null, alone: null, distrusted: [] }, someLate: false };
    const waited = haveWaited(heads, Math.min(upTo, Math.max(...told.map(({ finalized }) => finalized))));
    const decideBy = (answers: readonly NodeAnswer<Blocks>[]) =>
      decideFinalized({ configured: heads.length, votes: told.map(withBlocks(answers)), upTo, waited });
    const bothHave: Enough<Blocks> = (answers) => {
      const { block, alone } = decideBy(answers);
      return wanted !== null && alone === null && block !== null && block.height >= wanted;
    };
    const shown = await source.blocksOfEach(heightsOf(told, upTo), signal, bothHave);
    const verdict = decideBy(shown);
    const someLate = [...heads, ...shown].some((answer) => answer.kind === 'silent' && answer.late);
    return { verdict, someLate };
  }

  /** Whether all but one have had nothing to say of a block so high, long enough: they are silent, or have not got so far. */
  function haveWaited(heads: readonly NodeAnswer<NodeHead>[], highest: number): boolean {
    const silent: string[] = [];
    for (const head of heads) {
      if (head.kind === 'silent' && head.late) continue;
      const isSilent = toldBy(head).every(({ latest }) => latest < highest);
      outages.note(head.host, isSilent);
      if (isSilent) silent.push(head.host);
    }
    return silent.length === heads.length - 1 && outages.haveLasted(silent);
  }

  return { agree };
}

type Blocks = Map<number, BlockRef | null>;

function toldBy(answer: NodeAnswer<NodeHead>): Told[] {
  if (answer.kind === 'silent' || answer.value.finalized === null) return [];
  const { latest, finalized } = answer.value;
  return [{ host: answer.host, latest: latest.height, finalized: finalized.height }];
}

function withBlocks(answers: readonly NodeAnswer<Blocks>[]): (told: Told) => FinalizedVote {
  return (told) => {
    const answer = answers.find(({ host }) => host === told.host);
    const blocks = answer?.kind === 'answered' ? [...answer.value] : [];
    const known = blocks.flatMap(([at, block]): [number, BlockRef][] =>
      block === null ? [] : [[at, block]],
    );
    return { ...told, blocks: new Map(known) };
  };
}
