import { type Clock, steadyClock } from '../../clock.ts';
import type { BlockHash, BlockRef } from '../../core/chain.ts';
import type { Logger } from '../../log.ts';
import type { ChainSource } from '../source.ts';

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
  /** Up to here one node has called blocks final for as long as a fact waits for a second one; null: not yet. */
  waitedFor: number | null;
};

/** The agreed block, if there is one; whose word it is where that is one alone; and who is not to be believed. */
export type FinalizedVerdict = { block: BlockRef | null; alone: string | null; distrusted: string[] };

/**
 * Which block is final? One node's word may make up finality, and then an ordinary reorg looks like a broken chain, or all
 * honest nodes like nodes that are behind. At each height that a node calls final, highest first, of the nodes whose
 * finalized block is there or above:
 *
 *   configured   with the same hash   nodes with another block there   waited   verdict
 *   one          1                    –                                –        final
 *   more         ≥ 2                  any                              –        final
 *   more         1                    none                             yes      final, alone
 *   more         1                    ≥ 1                              yes      not final
 *   more         1                    any                              no       not final
 *
 * Who calls its latest block final, where others keep a distance, or one above the latest of two others, is wrong.
 */
export function decideFinalized({ configured, votes, upTo, waitedFor }: FinalizedFacts): FinalizedVerdict {
  const distrusted =
    configured < 2 ? [] : votes.filter((vote) => isMadeUp(vote, votes)).map(({ host }) => host);
  const trusted = votes.filter(({ host }) => !distrusted.includes(host));
  const needed = configured < 2 ? 1 : 2;
  for (const height of heightsOf(trusted, upTo, waitedFor)) {
    const reached = trusted.filter(({ finalized }) => finalized >= height);
    const blocks = reached.flatMap((vote) => vote.blocks.get(height) ?? []);
    const block = blocks.find(({ hash }) => sharing(blocks, hash) >= needed);
    if (block !== undefined) return { block, alone: null, distrusted };
    const [only] = reached;
    const own = only?.blocks.get(height);
    if (only === undefined || own === undefined || waitedFor === null || height > waitedFor) continue;
    const contradicted = votes.some((vote) => (vote.blocks.get(height) ?? own).hash !== own.hash);
    if (!contradicted) return { block: own, alone: only.host, distrusted };
  }
  return { block: null, alone: null, distrusted };
}

/** Highest first. */
function heightsOf(
  votes: readonly Pick<FinalizedVote, 'finalized'>[],
  upTo: number,
  waitedFor: number | null,
): number[] {
  const claimed = votes.map(({ finalized }) => Math.min(finalized, upTo));
  return [...new Set(waitedFor === null ? claimed : [...claimed, waitedFor])].sort((a, b) => b - a);
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

export type FinalizedAgreement = {
  /** The highest block up to `upTo` that nodes agree is final; null when they agree on none. */
  agree(upTo: number, signal: AbortSignal): Promise<BlockRef | null>;
};

export type FinalizedAgreementDeps = {
  /** How long a block waits for a second node to call it final, ms. */
  waitMs: number;
  source: Pick<ChainSource, 'headsOfEach' | 'blocksOfEach' | 'distrust'>;
  clock: Clock;
  log: Logger;
};

/** Asks each node twice: what it calls final, and for its blocks at those heights. Not for a tick in which nothing waits. */
export function createFinalizedAgreement(deps: FinalizedAgreementDeps): FinalizedAgreement {
  const { source, log } = deps;
  const steady = steadyClock(deps.clock);
  /** The highest blocks that one node called final when no second one did, and since when each has been so. */
  let claims: { height: number; since: number }[] = [];

  async function agree(upTo: number, signal: AbortSignal): Promise<BlockRef | null> {
    const heads = await source.headsOfEach(signal);
    const told = heads.flatMap((answer) => {
      if (answer.kind === 'silent' || answer.value.finalized === null) return [];
      const { latest, finalized } = answer.value;
      return [{ host: answer.host, latest: latest.height, finalized: finalized.height }];
    });
    if (told.length === 0) return null;
    const highest = Math.min(upTo, Math.max(...told.map(({ finalized }) => finalized)));
    if (highest > (claims.at(-1)?.height ?? -1)) claims.push({ height: highest, since: steady() });
    const waited = claims.filter(({ since }) => steady() - since >= deps.waitMs);
    const waitedFor = waited.length === 0 ? null : Math.min(waited.at(-1)?.height ?? 0, upTo);
    const shown = await source.blocksOfEach(heightsOf(told, upTo, waitedFor), signal);
    const votes = told.map((node): FinalizedVote => {
      const answer = shown.find(({ host }) => host === node.host);
      const blocks = answer?.kind === 'answered' ? [...answer.value] : [];
      return {
        ...node,
        blocks: new Map(blocks.flatMap(([at, block]) => (block === null ? [] : [[at, block]]))),
      };
    });
    const verdict = decideFinalized({ configured: heads.length, votes, upTo, waitedFor });
    for (const host of verdict.distrusted)
      source.distrust(host, 'it calls blocks final that others do not, or do not have');
    if (verdict.alone !== null) {
      const fields = { host: verdict.alone, finalized: verdict.block?.height };
      log.info(fields, 'finalized block without second node');
    }
    // What was agreed on waits no more; of what has waited for long enough the highest is all that matters.
    const settled = Math.max(verdict.block?.height ?? -1, (waited.at(-1)?.height ?? 0) - 1);
    claims = claims.filter(({ height }) => height > settled);
    return verdict.block;
  }

  return { agree };
}
