import { steadyClock } from '../../clock.ts';
import { recheckPaceMs } from '../../config/chain.ts';
import { sameBlock } from '../../core/chain.ts';
import type { Network } from '../../core/networks.ts';
import { RpcError } from '../../errors.ts';
import type { Logger } from '../../log.ts';
import type { RecheckFinding } from '../../metrics.ts';
import { type ChainState, findAnchorBelow, lockChain, readChain } from '../../storage/chains/chains.ts';
import { type RecheckMark, readRecheckMark, updateRecheckMark } from '../../storage/chains/recheck-marks.ts';
import { joinOldScans } from '../../storage/chains/scans.ts';
import { inTransaction } from '../../storage/database.ts';
import { findPaymentById } from '../../storage/payments/payments.ts';
import { createOutages } from '../agreement/ask.ts';
import { createAssetsInUse, type ReadFor } from '../assets-in-use.ts';
import { describeSettlements } from '../commit.ts';
import { settledHeight } from '../confirmations.ts';
import { commitFork, findMisread } from '../reorg.ts';
import type { Hosts } from '../source.ts';
import type { WatcherDeps } from '../watcher.ts';
import { fewAddresses } from '../watchlist.ts';
import { commitReading, type Repair } from './apply.ts';
import { nextRange } from './next-range.ts';
import { hostsServing, type Reading, type RereadRange, reread } from './read.ts';

export type RecheckDeps = WatcherDeps & {
  /** Told of each finding, for metrics. */
  found: (network: Network, finding: RecheckFinding) => void;
};

/** What a step came to, and when the next one is due (Unix ms). */
export type RecheckOutcome = {
  kind: 'nothing' | 'rechecked' | 'stale' | 'failed';
  nextAt: number;
};

export type Recheck = { step(signal: AbortSignal): Promise<RecheckOutcome> };

/** After as many windows without an answer from another node the one that read the blocks before may answer again. */
const patience = 5;

/** Where there is nothing to read a second time, that is looked at again after so long, ms. */
const nothingMs = 2_000;

/** While reading is behind, the second reading leaves the nodes to it, but for one every so often, ms: it may be so for long. */
const postponedMs = 10 * 60_000;

/** Rechecks between two joinings of old scans. */
const joinEvery = 64;

/**
 * Reads every settled block of a chain a second time, from another node than the first time where there is one, and
 * repairs what differs: no check of a single answer can show that a node left something out. A step reads one
 * range; what it finds and how far it got are one transaction, so that it can be killed and repeated at will.
 */
export function createRecheck(deps: RecheckDeps): Recheck {
  const { db, chain, source, watch, clock, log, onEvents } = deps;
  const { network } = chain;
  const { assetsInUse = createAssetsInUse(deps) } = deps;
  const outages = createOutages(steadyClock(clock), source, chain.secondNodeWaitSeconds * 1000);
  let failures = 0;
  let rechecks = 0;
  let noneInUse = false;
  /** Nodes whose reading of the next range was of no use, in this window. */
  const passedOver = new Set<string>();
  /** Where the second reading stood then: at another place, or after a fork, everybody has another chance. */
  let passedAt = '';

  async function step(signal: AbortSignal): Promise<RecheckOutcome> {
    noneInUse = (await watch.inUse(db, clock())).size === 0;
    const state = await readChain(db, network);
    const mark = await readRecheckMark(db, network);
    if (state === null || mark === null || state.stoppedReason !== null) return nothing(mark);
    const upTo = Math.min(settledHeight(state, chain), state.cursor.height);
    if (mark.position.height >= upTo || isPostponed(state, mark)) return nothing(mark);
    const { position, forks } = mark;
    if (passedAt !== `${forks} ${position.hash}`) passedOver.clear();
    passedAt = `${forks} ${position.hash}`;
    const range = await nextRange(db, network, { position, upTo, cursor: state.cursor });

    await watch.refresh(db);
    const readFor = await assetsInUse.read(0);
    const except = nextExcept(range);
    if (except === null) return failed('no node serves logs');
    const outcome = await reread({ ...deps, readFor, outages }, range, except, signal);
    if (outcome.kind !== 'reading') {
      if (outcome.kind === 'forked' && failures >= patience) await stepBack(mark);
      const asked = hostsServing(source, 'logs').filter((host) => !except.has(host));
      const passed = passOver(asked, range, outcome.reason);
      // Nobody could read it: is it of the chain at all?
      if (passed.kind === 'failed') await readAnew(state, mark, signal);
      return passed;
    }
    const { reading } = outcome;
    const repair = await inTransaction(db, (trx) => commit(trx, reading, mark, readFor));
    if (repair === null) return { kind: 'stale', nextAt: clock() };
    await report(reading, repair);
    if (reading.disputed.length > 0) {
      const reason = 'a recorded transfer was left out, and is not known to be gone';
      return passOver([reading.span.host], range, reason);
    }
    failures = 0;
    rechecks += 1;
    if (rechecks % joinEvery === 0) {
      await inTransaction(db, (trx) => joinOldScans(trx, network, reading.span.to.height));
    }
    const more = reading.span.to.height < upTo;
    return more ? { kind: 'rechecked', nextAt: clock() + chain.pollSeconds * 1000 } : later('rechecked');
  }

  function isPostponed({ head, cursor }: ChainState, { recheckedAt }: RecheckMark): boolean {
    const agoMs = clock() - recheckedAt;
    const isBehind = head.height - cursor.height > chain.requiredConfirmations;
    return isBehind && agoMs >= 0 && agoMs < postponedMs;
  }

  /**
   * Who is not asked next for a range; null when nobody is left in this window. First those that did not read it before
   * have their turn; those that did come after them only where there are no others, or these were of no use for long.
   */
  function nextExcept({ hosts }: RereadRange): Hosts | null {
    const serving = hostsServing(source, 'logs');
    const left = serving.filter((host) => !passedOver.has(host));
    if (left.some((host) => !hosts.has(host))) return new Set([...hosts, ...passedOver]);
    const alone = serving.every((host) => hosts.has(host));
    return left.length > 0 && (alone || failures >= patience) ? new Set(passedOver) : null;
  }

  /** What these nodes said of a range is of no use: another is asked at once, or all of them again in the next window. */
  function passOver(useless: readonly string[], range: RereadRange, reason: string): RecheckOutcome {
    for (const host of useless) passedOver.add(host);
    return nextExcept(range) === null ? failed(reason) : { kind: 'stale', nextAt: clock() };
  }

  /** Nobody has the block where the second reading stands: whoever showed it lied. Its own blocks are known to stand. */
  async function stepBack({ position }: RecheckMark): Promise<void> {
    await inTransaction(db, async (trx) => {
      await lockChain(trx, network);
      const mark = await readRecheckMark(trx, network);
      const below = await findAnchorBelow(trx, network, position.height);
      if (mark === null || below === null || !sameBlock(mark.position, position)) return;
      await updateRecheckMark(trx, { ...mark, position: below });
    });
  }

  /**
   * Sets the cursor back below a block that was read and is not of the chain that the cursor is on. What was recorded
   * there is looked at again by whoever reads on.
   */
  async function readAnew(state: ChainState, { position }: RecheckMark, signal: AbortSignal): Promise<void> {
    const { latePolicy } = deps;
    try {
      const forkPoint = await findMisread(db, source, state, position.height, signal);
      if (forkPoint === null) return;
      const context = { chain, latePolicy, now: clock() };
      await inTransaction(db, (trx) => commitFork(trx, state, { forkPoint, disconnected: [] }, context));
      log.warn(
        { fork_point: forkPoint.height, height: state.cursor.height },
        'inconsistent blocks rolled back',
      );
    } catch (error) {
      if (!(error instanceof RpcError)) throw error;
    }
  }

  async function commit(
    trx: Parameters<typeof commitReading>[0],
    reading: Reading,
    before: RecheckMark,
    readFor: ReadFor,
  ): Promise<Repair | null> {
    const { latePolicy } = deps;
    if (await assetsInUse.isOvertaken(trx, readFor)) return null;
    const context = {
      chain: readFor.chain,
      latePolicy,
      now: clock(),
      forks: before.forks,
      asksForAll: watch.size <= fewAddresses,
      owedOnly: true,
    };
    const repair = await commitReading(trx, reading, context);
    // Another process may have read on meanwhile.
    const first = repair !== null && sameBlock(repair.mark.position, before.position);
    if (first && reading.disputed.length === 0) {
      await updateRecheckMark(trx, { ...repair.mark, position: reading.span.to, recheckedAt: clock() });
    }
    return repair;
  }

  async function report(reading: Reading, { recorded, orphaned, settled }: Repair): Promise<void> {
    const { span, range, disputed } = reading;
    const by = { read_by: [...range.hosts], found_by: span.host };
    for (const { deposit, paymentId, agreed, inUse } of recorded) {
      const what = { ...(await describe(deposit, paymentId)), ...by, agreed };
      // Addresses that nobody uses are asked for in this reading only.
      if (!inUse) log.info(what, 'transfer to an unused address');
      else {
        deps.found(network, 'missed');
        log.warn(what, 'missed transfer found');
      }
    }
    for (const deposit of orphaned) {
      deps.found(network, 'vanished');
      const what = await describe(deposit, deposit.paymentId);
      log.warn({ ...what, ...by }, 'recorded transfer not on the chain');
    }
    for (const { deposit, hadBy } of disputed) {
      if (hadBy === 'nobody yet') continue;
      deps.found(network, 'disputed');
      log.warn({ ...(await describe(deposit, deposit.paymentId)), ...by }, 'nodes disagree about a transfer');
    }
    distrust(
      reading,
      recorded.some(({ agreed, inUse }) => agreed && inUse),
    );
    reportSettled(log, settled);
    if (recorded.length + settled.length > 0) onEvents();
  }

  /** Only of what two nodes agree about: one alone may have invented what the other does not show. */
  function distrust({ range, span, disputed }: Reading, leftOut: boolean): void {
    const [first, ...others] = range.hosts;
    if (leftOut && first !== undefined && others.length === 0 && first !== span.host) {
      source.distrust(first, `it left out a transfer below block ${span.to.height + 1}`);
    }
    if (disputed.some(({ hadBy }) => hadBy === 'third node')) {
      source.distrust(span.host, `it left out a transfer below block ${span.to.height + 1}`);
    }
  }

  async function describe(
    { txHash, height }: { txHash: string; height: number },
    paymentId: number | null,
  ): Promise<Record<string, unknown>> {
    const payment = paymentId === null ? null : await findPaymentById(db, paymentId);
    return { tx_hash: txHash, height, payment_number: payment?.paymentNumber ?? null };
  }

  function failed(reason: string): RecheckOutcome {
    failures += 1;
    passedOver.clear();
    // One window without a second reading is daily life; a lasting one means that nothing is read twice.
    if (failures === patience || failures % 100 === 0)
      log.warn({ reason, failures }, 'chain recheck failing');
    return later('failed');
  }

  function later(kind: RecheckOutcome['kind']): RecheckOutcome {
    return { kind, nextAt: clock() + recheckPaceMs(chain, noneInUse && kind !== 'failed') };
  }

  /** What is due and not settled yet may be soon: to look again costs a question to the database. */
  function nothing(mark: RecheckMark | null): RecheckOutcome {
    const paceMs = recheckPaceMs(chain, noneInUse);
    const dueMs = (mark?.recheckedAt ?? 0) + paceMs - clock();
    return { kind: 'nothing', nextAt: clock() + Math.min(paceMs, Math.max(dueMs, nothingMs)) };
  }

  return { step };
}

/** For the log: where payments went because of a second reading. */
function reportSettled(log: Logger, settled: Repair['settled']): void {
  if (settled.length > 0) log.info(describeSettlements(settled), 'payments repaired');
  for (const { payment, from } of settled) {
    if (from !== 'confirmed' || payment.status === 'confirmed') continue;
    log.warn({ payment_number: payment.paymentNumber }, 'confirmed payment reverted');
  }
}
