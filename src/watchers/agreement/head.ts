import { type Clock, steadyClock } from '../../clock.ts';
import type { ChainConfig } from '../../config.ts';
import type { BlockRef } from '../../core/chain.ts';
import { chainTimeAt, lockSlackMs, skewLimits } from '../../core/chain-time.ts';
import type { NodeAnswer } from '../../core/node.ts';
import type { Logger } from '../../log.ts';
import { type ChainState, listAnchors } from '../../storage/chains/chains.ts';
import type { Db } from '../../storage/schema.ts';
import type { ChainSource, NodeHead } from '../source.ts';

/** What the other nodes say of a head that one shows. */
export type HeadFacts = {
  /** Nodes that are configured. */
  configured: number;
  /** Others whose own head is near it, and others whose head is not. */
  near: number;
  far: number;
  /** Whether all others have been silent for as long as a fact waits for a second node. */
  waited: boolean;
};

export type HeadVerdict = 'use' | 'use alone' | 'reject' | 'wait';

/**
 * May a head be used that our clock and the chain's pace do not explain? Confirmations are counted from it and the
 * chain's time is told by it. The first row that fits decides:
 *
 *   configured   near   far   waited   verdict
 *   one          –      –     –        use
 *   more         ≥ 1    any   –        use
 *   more         0      ≥ 1   –        reject: the node is wrong
 *   more         0      0     yes      use alone
 *   more         0      0     no       wait
 */
export function decideHead({ configured, near, far, waited }: HeadFacts): HeadVerdict {
  if (configured < 2 || near >= 1) return 'use';
  if (far >= 1) return 'reject';
  return waited ? 'use alone' : 'wait';
}

/** Of two nodes that are asked one after the other, one may be further by so many blocks, or by so long, seconds. */
const nearBlocks = 20;
const nearSeconds = 15;

/** Whether another node's head is where this one should be, with as much time as passes between two questions. */
export function isNear(head: BlockRef, other: BlockRef): boolean {
  return other.height >= head.height - nearBlocks && Math.abs(other.time - head.time) <= nearSeconds;
}

/** What is known before a node shows its head. */
export type HeadExpectation = {
  head: BlockRef;
  /** How long ago the last answer came, ms. */
  elapsedMs: number;
  /** What a block of this chain takes, seconds. */
  blockSeconds: number;
};

/** Whether a chain can have grown so high meanwhile: twice as fast as measured, and some blocks at once. */
export function isHeightExplained(
  { height }: BlockRef,
  { head, elapsedMs, blockSeconds }: HeadExpectation,
): boolean {
  return height - head.height <= nearBlocks + (2 * Math.max(0, elapsedMs)) / 1000 / blockSeconds;
}

/** No chain that we read is faster. */
const fastestBlockSeconds = 0.1;

/** How long a block takes, by blocks that we know; those may have been made all at once. */
export function blockSecondsOf(anchors: readonly BlockRef[]): number {
  const [highest, lowest] = [anchors[0], anchors.at(-1)];
  const blocks = (highest?.height ?? 0) - (lowest?.height ?? 0);
  const seconds = (highest?.time ?? 0) - (lowest?.time ?? 0);
  return blocks === 0 ? fastestBlockSeconds : Math.max(fastestBlockSeconds, seconds / blocks);
}

/** A head as a node shows it; times as they are stored. */
export type ShownBy = { host: string; head: BlockRef; at: number; steadyAt: number; appeared: boolean };

export type HeadAgreement = {
  /**
   * Whether a head may be used. Asks other nodes only where the time that passed does not explain it.
   */
  check(before: ChainState, shown: ShownBy, signal: AbortSignal): Promise<boolean>;
};

export type HeadAgreementDeps = {
  db: Db;
  chain: Pick<ChainConfig, 'network'>;
  /** How long a head waits for a second node while all others are silent, ms. */
  waitMs: number;
  source: Pick<ChainSource, 'headsOfEach' | 'distrust'>;
  clock: Clock;
  log: Logger;
};

/** A node that trails for so long, ms, is no longer outweighed by what was shown before it did. */
const trailsMs = 5 * 60_000;

/** A clock that is wrong is no reason to ask others with each block, ms. */
const skewAskedEveryMs = 60_000;

export function createHeadAgreement(deps: HeadAgreementDeps): HeadAgreement {
  const { db, chain, source, clock, log } = deps;
  const steady = steadyClock(clock);
  /** The latest time that nodes agreed on, as the difference to the time in which it is stored: it does not creep. */
  let agreedOffset: number | null = null;
  /** Since when all others have been silent. */
  let silentSince: number | null = null;
  let skewAskedAt = Number.NEGATIVE_INFINITY;

  async function check(before: ChainState, shown: ShownBy, signal: AbortSignal): Promise<boolean> {
    const offset = shown.head.time * 1000 - shown.steadyAt;
    const doubt = await doubtOf(before, shown);
    if (doubt === null) {
      agreedOffset ??= offset;
      return true;
    }
    const usable = await ask(shown, doubt, signal);
    if (usable) agreedOffset = offset;
    return usable;
  }

  /** Why a second node has to be asked; null when what passed since the last answer explains the head. */
  async function doubtOf(
    before: ChainState,
    { head, at, steadyAt, appeared }: ShownBy,
  ): Promise<string | null> {
    if (head.height > before.head.height + nearBlocks) {
      const blockSeconds = blockSecondsOf(await listAnchors(db, chain.network));
      const expectation = { head: before.head, elapsedMs: at - before.readAt, blockSeconds };
      if (!isHeightExplained(head, expectation)) return `its latest block ${head.height} is too high`;
    }
    const offset = head.time * 1000 - steadyAt;
    if (agreedOffset !== null && offset - agreedOffset > lockSlackMs)
      return `the time of its latest block ${head.height} is too late`;
    const trails = chainTimeAt(before.time, steadyAt) - head.time * 1000;
    if (agreedOffset !== null && trails > nearSeconds * 1000 && steadyAt - before.time.shownAt > trailsMs)
      return `the time of its latest block ${head.height} is too early`;
    // A head that was shown before stands still, and says nothing about our clock.
    const newer = appeared && head.height > before.head.height;
    const skewed = newer && Math.abs(clock() - head.time * 1000) > skewLimits.warnMs;
    if (!skewed || steady() - skewAskedAt < skewAskedEveryMs) return null;
    skewAskedAt = steady();
    return `the time of its latest block ${head.height} is not that of our clock`;
  }

  async function ask({ host, head }: ShownBy, doubt: string, signal: AbortSignal): Promise<boolean> {
    const heads = await source.headsOfEach(signal, (shown) => nearOf(shown).near > 0);
    const { others, near } = nearOf(heads);
    if (others.length > 0) silentSince = null;
    else silentSince ??= steady();
    const waited = silentSince !== null && steady() - silentSince >= deps.waitMs;
    const facts = { configured: heads.length, near, far: others.length - near, waited };
    const verdict = decideHead(facts);
    switch (verdict) {
      case 'use':
        return true;
      case 'use alone':
        log.warn({ host, head: head.height }, 'head used without second node');
        return true;
      case 'reject':
        source.distrust(host, `${doubt}: no other node has it`);
        return false;
      case 'wait':
        return false;
      default:
        return verdict satisfies never;
    }

    /** What the others show, and how many of them are near this head: one is enough. */
    function nearOf(shown: readonly NodeAnswer<NodeHead>[]): { others: BlockRef[]; near: number } {
      const others = shown.filter((answer) => answer.host !== host).flatMap(latestOf);
      return { others, near: others.filter((other) => isNear(head, other)).length };
    }
  }

  return { check };
}

function latestOf(answer: NodeAnswer<NodeHead>): BlockRef[] {
  return answer.kind === 'answered' ? [answer.value.latest] : [];
}
