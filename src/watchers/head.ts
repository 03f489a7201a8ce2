import { type Clock, steadyClock } from '../clock.ts';
import { slowestPollSeconds } from '../config/chain.ts';
import type { ChainConfig } from '../config.ts';
import type { BlockRef } from '../core/chain.ts';
import type { ShownHead } from '../core/chain-time.ts';
import type { Logger } from '../log.ts';
import type { ChainState } from '../storage/chains/chains.ts';
import { type DatabaseTime, databaseTime } from '../storage/database.ts';
import { isAnyOverBy } from '../storage/payments/payments.ts';
import type { Db } from '../storage/schema.ts';
import { isAlone } from './agreement/ask.ts';
import { createHeadAgreement, type HeadUse } from './agreement/head.ts';
import type { ChainSource, Span } from './source.ts';

/*
 * How far the chain has got, as far as it may be used: what a poll shows of it, what is agreed on, and what it says about
 * the chain's time.
 */

/** While catching up, the node's own head is asked for this often, ms. */
const shownEveryMs = 10_000;

/**
 * A pause in reading of this length, ms, means that the chain was not watched: the next head is the first again. It is longer than
 * passes between two readings while nobody waits for the chain, within bounds.
 */
function watchedMsOf(chain: ChainConfig): number {
  return Math.min(Math.max(60, 1.5 * slowestPollSeconds(chain)), 600) * 1000;
}

/** When an answer came, in the database's time: by a clock that may be set, and by one that nobody sets. */
export type AnsweredAt = { at: number; steadyAt: number };

/**
 * A head that may be used. `news`: what it says about the chain's time; null where the nodes did not agree on it. `readTime`: the chain's
 * time up to which everything was read, Unix seconds, by which payments end. It is that of the block read last, but never later than the
 * head's; and where it would end a payment, another node must give the block the same time.
 */
export type UsableHead = { head: BlockRef; news: ShownHead['news'] | null; readTime: number };

export type ChainHead = {
  /** Whether a poll should show the node's own head, wherever we read. */
  isDue(): boolean;
  /** What may be used as the head after a span that came at `answeredAt` by our steady clock. */
  judge(before: ChainState, span: Span, answeredAt: number, signal: AbortSignal): Promise<UsableHead>;
  /**
   * Makes sure that another node is near the head by which the chain is begun, if any other answers.
   *
   * @throws RpcError when none is.
   */
  checkStart(head: BlockRef, signal: AbortSignal): Promise<void>;
  /** Converts `answeredAt`, by our steady clock, into the times that are stored. */
  timesOf(db: Db, answeredAt: number): Promise<AnsweredAt>;
};

export type ChainHeadDeps = {
  db: Db;
  chain: ChainConfig;
  source: ChainSource;
  clock: Clock;
  timeOf?: DatabaseTime;
  log: Logger;
};

export function createChainHead(deps: ChainHeadDeps): ChainHead {
  const { db, chain, source, clock, timeOf = databaseTime } = deps;
  const steady = steadyClock(clock);
  const watchedMs = watchedMsOf(chain);
  const agreement = createHeadAgreement({ ...deps, waitMs: chain.secondNodeWaitSeconds * 1000 });
  /** When a node was last asked for its own head. */
  let shownAt = Number.NEGATIVE_INFINITY;
  /** The highest head since we began to watch without a pause, and whether one has appeared since. */
  let watched: { height: number; at: number; appeared: boolean } | null = null;

  const isDue = () => steady() - shownAt >= shownEveryMs;

  async function judge(
    before: ChainState,
    { host, head, to }: Span,
    answeredAt: number,
    signal: AbortSignal,
  ): Promise<UsableHead> {
    if (isDue()) shownAt = answeredAt;
    const news = newsOf(head, answeredAt);
    const use = isAlone(source)
      ? 'all'
      : await agreement.check(before, { host, head, ...(await timesOf(db, answeredAt)), news }, signal);
    if (use === 'all') note(head, answeredAt, news);
    const readTime = await readTimeOf(before, { host, head, to }, use, signal);
    // A head that was not agreed on is not used. Nor does the block read to say anything about the time: it may be that same head.
    if (use !== 'nothing') return { head, news: use === 'all' ? news : null, readTime };
    return { head: before.head.height >= to.height ? before.head : to, news: null, readTime };
  }

  async function readTimeOf(
    before: ChainState,
    { host, head, to }: Pick<Span, 'host' | 'head' | 'to'>,
    use: HeadUse,
    signal: AbortSignal,
  ): Promise<number> {
    if (isAlone(source)) return to.time;
    let { time } = to;
    if (use === 'all') {
      // Nothing is dated after the head. So what is taken here ends no payment that is made later either.
      time = Math.min(time, head.time);
      // No block lies between them: nothing in time is unread.
      if (head.height - to.height <= 1 || !(await isAnyOverBy(db, chain.network, time))) return time;
    }
    if (time <= before.cursor.time || (await agreement.checkTime(host, to, signal))) return time;
    return before.cursor.time;
  }

  /** What this head would say about the time: after a pause it is the first again. */
  function newsOf({ height }: BlockRef, at: number): ShownHead['news'] {
    if (watched === null || at - watched.at > watchedMs) return 'first';
    return watched.appeared || height > watched.height ? 'appeared' : 'standing';
  }

  function note({ height }: BlockRef, at: number, news: ShownHead['news']): void {
    const highest = news === 'first' ? height : Math.max(height, watched?.height ?? height);
    watched = { height: highest, at, appeared: news === 'appeared' };
  }

  async function timesOf(from: Db, answeredAt: number): Promise<AnsweredAt> {
    const ago = steady() - answeredAt;
    return { at: (await timeOf(from, clock)) - ago, steadyAt: (await timeOf(from, steady)) - ago };
  }

  async function checkStart(head: BlockRef, signal: AbortSignal): Promise<void> {
    if (!isAlone(source)) await agreement.checkStart(head, signal);
  }

  return { isDue, judge, checkStart, timesOf };
}
