import { type Clock, steadyClock } from '../clock.ts';
import { slowestPollSeconds } from '../config/chain.ts';
import type { ChainConfig } from '../config.ts';
import { doubled } from '../core/backoff.ts';
import { sameBlock } from '../core/chain.ts';
import { nextReference } from '../core/chain-time.ts';
import type { Network } from '../core/networks.ts';
import { ConfigError, FinalityViolation, RpcError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { RecheckFinding } from '../metrics.ts';
import {
  type ChainState,
  insertAnchors,
  insertChain,
  lockChain,
  readChain,
  updateChain,
} from '../storage/chains/chains.ts';
import { insertRecheckMark } from '../storage/chains/recheck-marks.ts';
import { type DatabaseTime, inTransaction } from '../storage/database.ts';
import { hasSeenDeposit } from '../storage/deposits/waiting.ts';
import { hasOpenPayment } from '../storage/payments/payments.ts';
import type { Db } from '../storage/schema.ts';
import { isAlone } from './agreement/ask.ts';
import { createBlockAgreement } from './agreement/block.ts';
import { createFinalBlockAgreement } from './agreement/final-block.ts';
import { thinOutAnchors } from './anchors.ts';
import { type AssetsInUse, createAssetsInUse } from './assets-in-use.ts';
import { createBalanceCheck } from './balance-check.ts';
import { createSkewAlarm } from './clock-skew.ts';
import {
  type CommitContext,
  type Committed,
  commitSpan,
  describeDeposits,
  describeSettlements,
  isRead,
} from './commit.ts';
import { commitConfirmed, createConfirmations, type Turn } from './confirmations.ts';
import { createFinality } from './finality.ts';
import { createChainHead } from './head.ts';
import { decideReadScope, isOvertaken, type ReadScope } from './read-scope.ts';
import { commitFork, findFork, findVanished, firstAnchors } from './reorg.ts';
import type { ChainSource, Span, Watchlist } from './source.ts';
import { createFinalityAlarm, createLagAlarm } from './stalls.ts';
import type { TableWatchlist } from './watchlist.ts';

export type WatcherDeps = {
  db: Db;
  chain: ChainConfig;
  source: ChainSource;
  watch: Pick<TableWatchlist, keyof Watchlist | 'refresh' | 'inUse'>;
  latePolicy: 'flag' | 'confirm';
  clock: Clock;
  /** For tests, whose time is their own. */
  timeOf?: DatabaseTime;
  log: Logger;
  /** The assets that the chain is read for, shared with the second reading and the look-ups; if not given, the watcher has its own. */
  assetsInUse?: AssetsInUse;
  /** Called when something was committed that causes webhooks. */
  onEvents: () => void;
  /** Told of each finding, for metrics. */
  found?: (network: Network, finding: RecheckFinding) => void;
};

/** What a step came to, and when the next one is due. */
export type StepOutcome = {
  kind: 'unmoved' | 'advanced' | 'reorged' | 'stale' | 'failed' | 'stopped';
  /** Unix ms; now or earlier: at once. */
  nextAt: number;
  /** No payment or deposit of this chain waits for anything now. A payment that is created meanwhile makes the next step due at once. */
  idle: boolean;
};

export type Watcher = { step(signal: AbortSignal): Promise<StepOutcome> };

/** A stopped chain is looked at again this often, ms: it goes on by itself once it agrees with us. */
const stoppedMs = 15_000;

/** Steps between two thinnings of the anchors. */
const thinEvery = 64;

/** After this many failures in a row a step does not ask for the head that was seen before: the chain may have become shorter. */
const forgetHeadAfter = 3;

/** The longest wait between two tries while nothing can be read, ms. */
const longestWaitMs = 15_000;

/**
 * Watches one chain. A step reads what a node shows, with no transaction open; writes it, everything it
 * implies and the new cursor in one transaction; then asks every node about deposits that are deep enough and
 * confirms what they agree on in another. Killed at any line, the next step begins from the cursor and nothing is lost;
 * repeated, it changes nothing.
 */
export function createWatcher(deps: WatcherDeps): Watcher {
  const { db, chain, source, watch, clock, log, onEvents } = deps;
  const { network } = chain;
  const { assetsInUse = createAssetsInUse(deps) } = deps;
  const scopeDeps = { db, network, watch, assetsInUse, clock };
  let verified = false;
  let failures = 0;
  let advances = 0;
  const steady = steadyClock(clock);
  let stoppedFor: string | null = null;
  /** Whether a payment was made while the last answer was on its way. */
  let overtaken = false;
  const confirmations = createConfirmations(deps);
  const blockAgreement = createBlockAgreement(deps);
  const waitMs = chain.secondNodeWaitSeconds * 1000;
  const finalBlocks = createFinalBlockAgreement({ source, clock, waitMs });
  const heads = createChainHead(deps);
  const finality = createFinality(deps);
  const finalityAlarm = createFinalityAlarm(deps);
  const lag = createLagAlarm(deps);
  const skew = createSkewAlarm(deps);
  const balances = createBalanceCheck(deps);

  function context(): CommitContext {
    return { chain, latePolicy: deps.latePolicy, now: clock() };
  }

  async function step(signal: AbortSignal): Promise<StepOutcome> {
    try {
      if (!verified) await source.verify(signal);
      verified = true;
      const state = await readChain(db, network);
      return state === null ? await begin(signal) : await readOn(state, signal);
    } catch (error) {
      if (error instanceof RpcError) return failed(error.message, clock() + chain.pollSeconds * 1000);
      if (error instanceof ConfigError) return stop(error.faults.join('; '), 'chain misconfigured');
      if (error instanceof FinalityViolation) return stop(error.message, 'finality violated');
      throw error;
    }
  }

  async function begin(signal: AbortSignal): Promise<StepOutcome> {
    const { cursor, head } = await source.start(chain.startBlock, signal);
    const answeredAt = steady();
    await heads.checkStart(head, signal);
    const anchors = await firstAnchors(source, cursor, signal);
    await inTransaction(db, async (trx) => {
      const answered = await heads.timesOf(trx, answeredAt);
      const state: ChainState = {
        network,
        // Its time is one node's word, but nothing is dated after the head.
        cursor: { ...cursor, time: Math.min(cursor.time, head.time) },
        head,
        time: nextReference(null, { head, at: answered.steadyAt, news: 'first' }),
        finalizedHeight: null,
        readAt: answered.at,
        stoppedReason: null,
      };
      if (!(await insertChain(trx, state))) return;
      await insertAnchors(trx, network, anchors);
      await insertRecheckMark(trx, { network, position: cursor, forks: 0, recheckedAt: clock() });
    });
    log.info({ height: cursor.height, head: head.height }, 'chain initialized');
    return { kind: 'advanced', nextAt: clock(), idle: false };
  }

  async function readOn(state: ChainState, signal: AbortSignal): Promise<StepOutcome> {
    const scope = await decideReadScope(scopeDeps, state, overtaken);
    overtaken = false;
    const { readFor, inUse, upTo, native } = scope;
    const forgetsHead = failures % (forgetHeadAfter + 1) === forgetHeadAfter;
    const outcome = await source.poll({
      cursor: state.cursor,
      head: forgetsHead ? state.cursor : state.head,
      finalizedHeight: state.finalizedHeight,
      finality: await finality.isAsked(state, inUse?.size === 0),
      upTo,
      showHead: heads.isDue(),
      watch,
      tokens: readFor.tokens,
      ...(inUse === null ? {} : { inUse }),
      native,
      signal,
    });
    const answeredAt = steady();
    switch (outcome.kind) {
      case 'failed':
        return failed(outcome.reason, outcome.retryAt);
      case 'reorg':
        return reorganize(state, signal);
      case 'span':
        return advance(state, { span: outcome.span, scope, answeredAt }, signal);
      default:
        return outcome satisfies never;
    }
  }

  async function advance(
    before: ChainState,
    { span, scope, answeredAt }: { span: Span; scope: ReadScope; answeredAt: number },
    signal: AbortSignal,
  ): Promise<StepOutcome> {
    const blocks = await findVanished(db, source, before, span, signal);
    const { cursor } = before;
    const vanished = await blockAgreement.agree({ blocks, cursor, reach: span.to.height }, signal);
    const { head, news, readTime } = await heads.judge(before, span, answeredAt, signal);
    /** By how much the time that is stored is ahead of our steady clock. */
    let aheadMs = 0;
    const committed = await inTransaction(db, async (trx) => {
      overtaken = await isOvertaken(trx, scopeDeps, span, scope);
      if (overtaken) return null;
      const answered = await heads.timesOf(trx, answeredAt);
      aheadMs = answered.steadyAt - answeredAt;
      return commitSpan(
        trx,
        before.cursor,
        // Where there are several nodes a block is final only once two of them say so: see finality.raise below.
        {
          ...span,
          native: scope.native,
          head,
          finalizedHeight: isAlone(source) ? span.finalizedHeight : null,
          vanished,
          answered,
          news,
          readTime,
        },
        { ...context(), chain: scope.readFor.chain },
      );
    });
    if (overtaken) return { kind: 'stale', nextAt: clock(), idle: false };
    if (committed === null) return { kind: 'stale', ...(await paceOf()) };
    // A head alone is no success where there are blocks below it that could not be read.
    if (isRead(before.cursor, span)) failures = 0;
    else if (failures > 0) failures += 1;
    if (stoppedFor !== null) log.info({}, 'chain resumed');
    stoppedFor = null;
    const { state, recorded, settled } = committed;
    if (recorded.length > 0 || settled.length > 0) {
      const found = describeDeposits(recorded.map(({ deposit }) => deposit));
      log.info({ height: state.cursor.height, ...found, ...describeSettlements(settled) }, 'chain read');
      onEvents();
    }
    advances += 1;
    if (advances % thinEvery === 0) await thinOutAnchors(db, network);
    lag.note(state);
    skew.note(state, steady() + aheadMs);
    if (scope.native) await balances.check(state, signal);
    const more = (await confirmDeposits(committed, span.finalizedHeight, signal)) || committed.more;
    const behind = state.head.height > state.cursor.height;
    const moved = !sameBlock(before.cursor, state.cursor);
    const pace = behind || more ? { nextAt: clock(), idle: false } : await paceOf();
    return { kind: moved ? 'advanced' : 'unmoved', ...pace };
  }

  /**
   * Raises the final height where the nodes agree on it, and confirms what is deep enough.
   *
   * @param claimed the final height that the answering node claims; null where it was not asked.
   * @returns whether the next step should follow at once, because more deposits may be confirmed.
   */
  async function confirmDeposits(
    { state, recorded }: Committed,
    claimed: number | null,
    signal: AbortSignal,
  ): Promise<boolean> {
    const final = await finality.raise(state, claimed, signal);
    // For the alarm, a block that one node calls final and no other does is not final.
    const finalizedHeight = final.disputed ? (final.state.finalizedHeight ?? 0) : claimed;
    finalityAlarm.note({ head: state.head, finalizedHeight });
    const completed = await confirmDeep(final.state, 'completing', signal);
    const confirmed = await confirmDeep(final.state, 'others', signal);
    // A deposit that was found just now may be deep enough already; then the next poll should ask how far the chain is final.
    const unasked = recorded.length > 0 && claimed === null && (await finality.isAwaited(state));
    return completed || confirmed || unasked;
  }

  /** @returns whether it confirmed any, or took one back: more may wait to be agreed on. */
  async function confirmDeep(state: ChainState, which: Turn, signal: AbortSignal): Promise<boolean> {
    const agreed = await confirmations.agree(state, which, signal);
    const { confirmed, gone } = agreed;
    if (confirmed.length + gone.length === 0) return false;
    const settled = await inTransaction(db, (trx) => commitConfirmed(trx, agreed, context()));
    const deposits = confirmed.map(({ deposit }) => deposit);
    log.info(
      { height: state.cursor.height, ...describeDeposits(deposits), ...describeSettlements(settled) },
      confirmed.length > 0 ? 'deposits confirmed' : 'payments repaired',
    );
    if (settled.length > 0) onEvents();
    return true;
  }

  async function reorganize(state: ChainState, signal: AbortSignal): Promise<StepOutcome> {
    // Where depth alone decides, a fork below what nodes call final does not stop the chain.
    const bound = chain.finality === 'depth' ? { ...state, finalizedHeight: null } : state;
    const fork = await findFork({ db, source, finalBlocks }, bound, signal);
    const { cursor } = state;
    const replaced = { blocks: fork.disconnected, cursor, reach: cursor.height };
    const disconnected = await blockAgreement.agree(replaced, signal);
    const settled = await inTransaction(db, (trx) =>
      commitFork(trx, state, { ...fork, disconnected }, context()),
    );
    if (settled === null) return { kind: 'stale', nextAt: clock(), idle: false };
    failures = 0;
    const fields = {
      fork_point: fork.forkPoint.height,
      depth: state.cursor.height - fork.forkPoint.height,
      disconnected: fork.disconnected.length,
      ...describeSettlements(settled),
    };
    log.info(fields, 'chain reorganized');
    for (const { payment, from } of settled) {
      if (from !== 'confirmed' || payment.status === 'confirmed') continue;
      // The merchant may have delivered the goods: the one line an operator must not miss.
      log.warn({ payment_number: payment.paymentNumber }, 'confirmed payment reverted');
    }
    if (settled.length > 0) onEvents();
    return { kind: 'reorged', nextAt: clock(), idle: false };
  }

  function failed(reason: string, retryAt: number): StepOutcome {
    failures += 1;
    // After a first failure another node usually answers. It is logged once it lasts, and then now and then.
    if (failures === forgetHeadAfter || failures % 100 === 0)
      log.warn({ reason, failures }, 'chain poll failing');
    // A node that serves heads but no blocks would otherwise be asked at full pace.
    const waitMs = doubled(1_000, failures - forgetHeadAfter - 1, longestWaitMs);
    const nextAt = failures > forgetHeadAfter ? Math.max(retryAt, clock() + waitMs) : retryAt;
    return { kind: 'failed', nextAt, idle: false };
  }

  async function stop(reason: string, msg: string): Promise<StepOutcome> {
    if (stoppedFor !== reason) log.fatal({ reason }, msg);
    stoppedFor = reason;
    await inTransaction(db, async (trx) => {
      const state = await lockChain(trx, network);
      if (state !== null) await updateChain(trx, { ...state, stoppedReason: reason });
    });
    return { kind: 'stopped', nextAt: clock() + stoppedMs, idle: false };
  }

  async function paceOf(): Promise<Pick<StepOutcome, 'nextAt' | 'idle'>> {
    const open = (await hasOpenPayment(db, network)) || (await hasSeenDeposit(db, network));
    const used = open || (await watch.inUse(db, clock())).size > 0;
    const idleSeconds = used ? Math.max(chain.pollSeconds, chain.idlePollSeconds) : slowestPollSeconds(chain);
    const seconds = open ? chain.pollSeconds : idleSeconds;
    return { nextAt: clock() + seconds * 1000, idle: !open };
  }

  return { step };
}
