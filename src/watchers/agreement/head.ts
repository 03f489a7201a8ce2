import { type Clock, steadyClock } from '../../clock.ts';
import type { ChainConfig } from '../../config.ts';
import type { BlockRef } from '../../core/chain.ts';
import { chainTimeAt, lockSlackMs, type ShownHead, skewLimits } from '../../core/chain-time.ts';
import type { NodeAnswer } from '../../core/node.ts';
import { RpcError } from '../../errors.ts';
import type { Logger } from '../../log.ts';
import { type ChainState, listAnchors } from '../../storage/chains/chains.ts';
import type { Db } from '../../storage/schema.ts';
import type { ChainSource, NodeHead } from '../source.ts';
import { createOutages } from './ask.ts';

/** What the other nodes say of a head that one shows. */
export type HeadFacts = {
  /** Nodes that are configured. */
  configured: number;
  /** Others whose own head is near it, and others whose head is not. */
  near: number;
  far: number;
  /**
   * Whether the node itself, asked again beside the others, is near one of them by now: what it had shown was old, as after
   * a pause of our own. Believed once in a while.
   */
  caughtUp: boolean;
  /** Whether all others have been silent for as long as a fact waits for a second node. */
  waited: boolean;
};

export type HeadVerdict = 'use' | 'use alone' | 'reject' | 'wait';

/**
 * May a head be used that our clock and the chain's pace do not explain? Confirmations are counted from it and the
 * chain's time is told by it. The first row that fits decides:
 *
 *   configured   near   far   caught up   waited   verdict
 *   one          –      –     –           –        use
 *   more         ≥ 1    any   –           –        use
 *   more         0      ≥ 1   yes         –        wait: the next reading shows it
 *   more         0      ≥ 1   no          –        reject: the node is wrong
 *   more         0      0     –           yes      use alone
 *   more         0      0     –           no       wait
 */
export function decideHead({ configured, near, far, caughtUp, waited }: HeadFacts): HeadVerdict {
  if (configured < 2 || near >= 1) return 'use';
  if (far >= 1) return caughtUp ? 'wait' : 'reject';
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
export type ShownBy = {
  host: string;
  head: BlockRef;
  at: number;
  steadyAt: number;
  /** `first`: since we began to watch, or after a pause. `appeared`: blocks have appeared since. */
  news: ShownHead['news'];
};

/**
 * What a head may be used for. Its height alone: of the first one, which tells another time than is expected, while nobody
 * can be asked, or where the others are as high and tell yet another: then what was noted before goes on telling the time.
 */
export type HeadUse = 'all' | 'height' | 'nothing';

/** `reached`: whether another node has got as far. */
type Asked = { verdict: HeadVerdict; reached: boolean };

export type HeadAgreement = {
  /** What a head may be used for. Asks other nodes only where what is known before does not explain it. */
  check(before: ChainState, shown: ShownBy, signal: AbortSignal): Promise<HeadUse>;
  /**
   * Makes sure that another node is near the head by which a chain is begun, if any other answers.
   *
   * @throws RpcError when none is.
   */
  checkStart(head: BlockRef, signal: AbortSignal): Promise<void>;
  /** Whether another node gives a block the same time. */
  checkTime(host: string, block: BlockRef, signal: AbortSignal): Promise<boolean>;
};

export type HeadAgreementDeps = {
  db: Db;
  chain: Pick<ChainConfig, 'network'>;
  /** How long a head waits for a second node while all others are silent, ms. */
  waitMs: number;
  source: Pick<ChainSource, 'headsOfEach' | 'blocksOfEach' | 'distrust' | 'endpoints'>;
  clock: Clock;
  log: Logger;
};

/** Why a second node has to be asked. */
type Doubt = {
  reason: string;
  /** `first`: nothing is known to compare its time with. `trails`: that may last, as where a chain stands still. */
  kind: 'first' | 'trails' | 'other';
};

/** A node that trails for so long, ms, is no longer outweighed by what was shown before it did. */
const trailsMs = 5 * 60_000;

/** Neither a wrong clock nor a head that trails, as that of a chain that stands still, is asked about more often, ms. */
const askedEveryMs = 60_000;

/** An old head of a node is excused this often, ms: a machine sleeps, and one that shows old ones again and again is wrong. */
const excusedEveryMs = 10 * 60_000;

function isExpected(lateMs: number): boolean {
  return lateMs <= lockSlackMs && lateMs >= -nearSeconds * 1000;
}

export function createHeadAgreement(deps: HeadAgreementDeps): HeadAgreement {
  const { db, chain, source, clock, log } = deps;
  const steady = steadyClock(clock);
  const outages = createOutages(steady, source, deps.waitMs, null);
  /** The latest time that nodes agreed on, as the difference to the time in which it is stored: it does not creep. */
  let agreedOffset: number | null = null;
  let skewAskedAt = Number.NEGATIVE_INFINITY;
  /** What was last decided about a head that trails, and whose it was. */
  let trailing: { host: string; use: HeadUse; at: number } | null = null;
  /** When a node's old head was excused last. */
  const excusedAt = new Map<string, number>();

  async function check(before: ChainState, shown: ShownBy, signal: AbortSignal): Promise<HeadUse> {
    const offset = shown.head.time * 1000 - shown.steadyAt;
    const doubt = await doubtOf(before, shown);
    if (doubt === null) {
      agreedOffset ??= offset;
      return 'all';
    }
    const { host } = shown;
    if (doubt.kind === 'trails' && trailing?.host === host && steady() - trailing.at < askedEveryMs)
      return trailing.use;
    const { verdict, reached } = await ask(shown, doubt.reason, signal);
    const use = useOf(verdict, doubt.kind === 'first' && (reached || verdict === 'wait'));
    if (use === 'all') agreedOffset = offset;
    // While nobody else can be asked, it is asked again each time: that costs nothing.
    if (doubt.kind === 'trails') trailing = verdict === 'wait' ? null : { host, use, at: steady() };
    return use;
  }

  /** Why a second node has to be asked; null when what passed since the last answer explains the head. */
  async function doubtOf(before: ChainState, { head, at, steadyAt, news }: ShownBy): Promise<Doubt | null> {
    const its = `its latest block ${head.height}`;
    if (head.height > before.head.height + nearBlocks) {
      const blockSeconds = blockSecondsOf(await listAnchors(db, chain.network));
      const expectation = { head: before.head, elapsedMs: at - before.readAt, blockSeconds };
      if (!isHeightExplained(head, expectation)) return { reason: `${its} is too high`, kind: 'other' };
    }
    const lateMs = head.time * 1000 - chainTimeAt(before.time, steadyAt);
    const offset = head.time * 1000 - steadyAt;
    // The chain's time is told by it from now on. What was noted before may be of a clock that was set since, or be right.
    if (news === 'first' || agreedOffset === null) {
      // By what was agreed on too: a chain that is read seldom shows a first head each time, each a little later than the last.
      const expected = isExpected(lateMs) && (agreedOffset === null || isExpected(offset - agreedOffset));
      return expected
        ? null
        : { reason: `the time of ${its}, the first, is not the expected`, kind: 'first' };
    }
    if (offset - agreedOffset > lockSlackMs)
      return { reason: `the time of ${its} is too late`, kind: 'other' };
    if (-lateMs > nearSeconds * 1000 && steadyAt - before.time.shownAt > trailsMs)
      return { reason: `the time of ${its} is too early`, kind: 'trails' };
    // A head that was shown before stands still, and says nothing about our clock.
    const newer = news === 'appeared' && head.height > before.head.height;
    const skewed = newer && Math.abs(clock() - head.time * 1000) > skewLimits.warnMs;
    if (!skewed || steady() - skewAskedAt < askedEveryMs) return null;
    skewAskedAt = steady();
    return { reason: `the time of ${its} is not that of our clock`, kind: 'other' };
  }

  async function ask({ host, head }: ShownBy, reason: string, signal: AbortSignal): Promise<Asked> {
    const heads = await source.headsOfEach(signal, (shown) => nearOf(shown).near > 0);
    const { others, near } = nearOf(heads);
    const waited = others.length === 0 && haveWaited(host, heads);
    const lastExcused = excusedAt.get(host) ?? Number.NEGATIVE_INFINITY;
    const isExcusable = steady() - lastExcused >= excusedEveryMs;
    const caughtUp = isExcusable && near === 0 && hasCaughtUp(heads, others);
    const facts = { configured: heads.length, near, far: others.length - near, caughtUp, waited };
    const verdict = decideHead(facts);
    if (caughtUp) excusedAt.set(host, steady());
    if (verdict === 'use alone') log.warn({ host, head: head.height }, 'head used without second node');
    if (verdict === 'reject') source.distrust(host, `${reason}: no other node has it`);
    return { verdict, reached: others.some((other) => other.height >= head.height - nearBlocks) };

    /** What the others show, and how many of them are near this head: one is enough. */
    function nearOf(shown: readonly NodeAnswer<NodeHead>[]): { others: BlockRef[]; near: number } {
      const others = shown.filter((answer) => answer.host !== host).flatMap(latestOf);
      return { others, near: others.filter((other) => isNear(head, other)).length };
    }

    function hasCaughtUp(shown: readonly NodeAnswer<NodeHead>[], others: readonly BlockRef[]): boolean {
      const now = shown.filter((answer) => answer.host === host).flatMap(latestOf);
      const later = others.filter(({ height, time }) => height >= head.height && time >= head.time);
      return now.some((its) => later.some((other) => isNear(its, other)));
    }
  }

  /** Whether all others are silent, and have been for long enough. */
  function haveWaited(host: string, answers: readonly NodeAnswer<unknown>[]): boolean {
    for (const answer of answers)
      if (answer.kind !== 'silent' || !answer.late) outages.note(answer.host, answer.kind === 'silent');
    return outages.haveLasted(answers.map((answer) => answer.host).filter((other) => other !== host));
  }

  async function checkTime(host: string, block: BlockRef, signal: AbortSignal): Promise<boolean> {
    const { height, hash, time } = block;
    const othersOf = (shown: readonly NodeAnswer<Map<number, BlockRef | null>>[]) => {
      const others = shown.filter((answer) => answer.host !== host && answer.kind === 'answered');
      const blocks = others.flatMap((answer) =>
        answer.kind === 'answered' ? (answer.value.get(height) ?? []) : [],
      );
      return {
        others: blocks,
        near: blocks.filter((other) => other.hash === hash && other.time === time).length,
      };
    };
    const answers = await source.blocksOfEach([height], signal, (shown) => othersOf(shown).near > 0);
    const { others, near } = othersOf(answers);
    const waited = others.length === 0 && haveWaited(host, answers);
    const facts = { configured: answers.length, near, far: others.length - near, caughtUp: false, waited };
    const verdict = decideHead(facts);
    const second = others.find(
      (other, i) => others.findIndex((same) => same.hash === other.hash && same.time === other.time) < i,
    );
    if (verdict === 'reject' && second !== undefined)
      source.distrust(host, `block ${height} has another time than it has at two other nodes`);
    return verdict === 'use' || verdict === 'use alone';
  }

  async function checkStart(head: BlockRef, signal: AbortSignal): Promise<void> {
    const isNearTo = (answer: NodeAnswer<NodeHead>) => latestOf(answer).some((other) => isNear(head, other));
    const heads = await source.headsOfEach(signal, (shown) => shown.filter(isNearTo).length >= 2);
    const near = heads.filter(isNearTo);
    const far = heads.filter((answer) => answer.kind === 'answered' && !isNearTo(answer));
    if (near.length >= 2 || far.length === 0) return;
    for (const { host } of near)
      source.distrust(host, `its latest block ${head.height}: no other node has it`);
    throw new RpcError('nodes_disagree', `no second node has a head near block ${head.height}`);
  }

  return { check, checkStart, checkTime };
}

function useOf(verdict: HeadVerdict, hasHeight: boolean): HeadUse {
  if (verdict === 'use' || verdict === 'use alone') return 'all';
  return hasHeight ? 'height' : 'nothing';
}

function latestOf(answer: NodeAnswer<NodeHead>): BlockRef[] {
  return answer.kind === 'answered' ? [answer.value.latest] : [];
}
