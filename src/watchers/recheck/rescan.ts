import { steadyClock } from '../../clock.ts';
import type { Cursor } from '../../core/chain.ts';
import type { HeightRange } from '../../core/coverage.ts';
import type { Deposit, OnchainPayment, PaymentStatus } from '../../core/payment.ts';
import { CommandError } from '../../errors.ts';
import { systemSleep } from '../../loop.ts';
import type { Settlement } from '../../payments/settle.ts';
import { type ChainState, readChain } from '../../storage/chains/chains.ts';
import { readRecheckMark } from '../../storage/chains/recheck-marks.ts';
import { recordMissingScan } from '../../storage/chains/scans.ts';
import { inTransaction } from '../../storage/database.ts';
import { listDueOfTransactions } from '../../storage/deposits/waiting.ts';
import { findPaymentById } from '../../storage/payments/payments.ts';
import type { Trx } from '../../storage/schema.ts';
import { createOutages } from '../agreement/ask.ts';
import { type AssetsInUse, createAssetsInUse, type ReadFor } from '../assets-in-use.ts';
import type { CommitContext } from '../commit.ts';
import { agreeAtOnce, commitConfirmed, depthOf } from '../confirmations.ts';
import type { WatcherDeps } from '../watcher.ts';
import { commitReading, type Repair } from './apply.ts';
import { nextRange } from './next-range.ts';
import { hostsServing, type Reading, type RereadRange, reread } from './read.ts';

export type RescanDeps = Omit<WatcherDeps, 'onEvents'>;

export type RescanRequest = HeightRange & {
  /** Read whole blocks even where that was not done before. */
  native: boolean;
  signal: AbortSignal;
  /** Told of the last block read. */
  progress: (height: number) => void;
  /** Writes what belongs to a span with what it changes. */
  committed?: (trx: Trx, span: RescannedSpan) => Promise<void>;
};

/** Blocks that one node showed, and what came of them; `before`: what payments were whose deposits were found. */
export type RescannedSpan = {
  to: number;
  reading: Reading;
  repair: Repair;
  before: ReadonlyMap<number, PaymentStatus>;
};

/** What reading a range again has come to. */
export type RescanReport = {
  /** Who answered for which blocks. */
  ranges: (HeightRange & { host: string; native: boolean })[];
  /** Transfers that were recorded just so. */
  known: number;
  /** Deposits that are new, or stand in another place than was recorded. */
  found: Deposit[];
  /** Deposits that are no longer on the chain. */
  takenBack: Deposit[];
  /** Deposits that were not shown, though nobody says that they are gone. */
  disputed: Deposit[];
  /** Payments that are in another state than before. */
  payments: { payment: OnchainPayment; from: PaymentStatus }[];
};

/** Failures of one range after which no node is hoped for any more. */
const mostFailures = 5;

/** Deposits that nodes are asked about at once. */
const portion = 200;

/** Longest wait between them, ms. */
const longestWaitMs = 10_000;

/**
 * Reads blocks again and repairs what differs, like the recheck but on an operator's word: any range up to the
 * cursor, whatever was read there before or not at all, and everything that was paid to addresses of ours, also before
 * they were listed. Works beside a running daemon. Repeating it finds nothing new.
 *
 * @throws CommandError when the range was not read yet or no node shows it; what was found until then is recorded.
 */
export async function rescan(deps: RescanDeps, request: RescanRequest): Promise<RescanReport> {
  const { db, chain, source, watch, assetsInUse = createAssetsInUse(deps) } = deps;
  const { from, to, signal } = request;
  const state = await readableChain(deps, to);
  await source.verify(signal);
  await watch.refresh(db);

  const report: RescanReport = { ranges: [], known: 0, found: [], takenBack: [], disputed: [], payments: [] };
  const settled: Settlement[] = [];
  const before = new Map<number, PaymentStatus>();
  let position = await blockAt(deps, from - 1, signal);
  while (position.height < to) {
    signal.throwIfAborted();
    const next = await nextRange(db, chain.network, { position, upTo: to, cursor: state.cursor });
    const range = { ...next, native: next.native || request.native };
    const done = await rereadAndRepair({ ...deps, assetsInUse }, range, request);
    if (done === null) {
      // A fork was found meanwhile: the blocks below may be others now. Or a payment was made in something else.
      await readableChain(deps, to);
      position = await blockAt(deps, position.height, signal);
      continue;
    }
    add(report, range, done.reading, done.repair);
    settled.push(...done.repair.settled);
    for (const [id, status] of done.before) before.set(id, before.get(id) ?? status);
    position = done.reading.span.to;
    request.progress(position.height);
  }
  settled.push(...(await confirmFound(deps, report.found, signal)));
  settled.push(...(await settledMeanwhile(deps, before, settled)));
  return { ...report, payments: changes(settled) };
}

async function readableChain({ db, chain }: RescanDeps, to: number): Promise<ChainState> {
  const state = await readChain(db, chain.network);
  if (state === null)
    throw new CommandError(`${chain.network} has not been read yet: start the daemon first`);
  if (state.stoppedReason !== null) {
    throw new CommandError(`${chain.network} is stopped, nothing is recorded on it: ${state.stoppedReason}`);
  }
  if (to > state.cursor.height) {
    throw new CommandError(`${chain.network} is read to block ${state.cursor.height} only, not to ${to}`);
  }
  return state;
}

async function blockAt({ source, chain }: RescanDeps, height: number, signal: AbortSignal): Promise<Cursor> {
  const block = (await source.blocksAt([height], signal)).get(height);
  if (block == null) throw new CommandError(`no node of ${chain.network} has block ${height}`);
  return block;
}

/** Null when a fork was found, or a payment made in something else, while it was read. */
async function rereadAndRepair(
  deps: RescanDeps & { assetsInUse: AssetsInUse },
  range: RereadRange,
  { signal, committed }: RescanRequest,
): Promise<{ reading: Reading; repair: Repair; before: Map<number, PaymentStatus> } | null> {
  const { db, chain, clock, assetsInUse } = deps;
  const { forks } = (await readRecheckMark(db, chain.network)) ?? { forks: 0 };
  const readFor = await assetsInUse.read(0);
  const reading = await readStubbornly({ ...deps, readFor }, range, signal);
  const before = new Map<number, PaymentStatus>();
  const repair = await inTransaction(db, async (trx) => {
    if (await assetsInUse.isOvertaken(trx, readFor)) return null;
    const context = {
      ...contextOf({ ...deps, chain: readFor.chain }),
      forks,
      asksForAll: false,
      owedOnly: false,
    };
    const done = await commitReading(trx, reading, context);
    if (done === null) return null;
    const heights = { from: range.cursor.height + 1, to: reading.span.to.height };
    const { host } = reading.span;
    const { native } = range;
    await recordMissingScan(trx, { network: chain.network, ...heights, host, native, at: clock() });
    for (const { paymentId } of done.recorded) {
      if (paymentId !== null) before.set(paymentId, (await findPaymentById(trx, paymentId)).status);
    }
    await committed?.(trx, { to: heights.to, reading, repair: done, before });
    return done;
  });
  return repair === null ? null : { reading, repair, before };
}

/** From another node than the first time where one answers, else from any. */
async function readStubbornly(
  deps: RescanDeps & { readFor: ReadFor },
  range: RereadRange,
  signal: AbortSignal,
): Promise<Reading> {
  const { source, clock } = deps;
  const outages = createOutages(steadyClock(clock), source, deps.chain.secondNodeWaitSeconds * 1000);
  const others = hostsServing(source, 'logs').some((host) => !range.hosts.has(host));
  for (let failures = 0; ; failures++) {
    const except = others && failures % 2 === 0 ? range.hosts : new Set<string>();
    const outcome = await reread({ ...deps, outages }, range, except, signal);
    signal.throwIfAborted();
    if (outcome.kind === 'reading') return outcome.reading;
    if (failures >= mostFailures) {
      throw new CommandError(
        `no node shows the blocks from ${range.cursor.height + 1} on: ${outcome.reason}`,
      );
    }
    const waitMs = Math.min(longestWaitMs, Math.max(0, outcome.retryAt - clock()));
    if (except.size === 0) await systemSleep(waitMs, signal);
  }
}

/** Confirms what the nodes agree on at once, so that the payments it completes need not wait for the daemon. */
async function confirmFound(
  deps: RescanDeps,
  found: readonly Deposit[],
  signal: AbortSignal,
): Promise<Settlement[]> {
  const { db, chain } = deps;
  const state = await readChain(db, chain.network);
  if (state === null) return [];
  const ids = new Set(found.map(({ id }) => id));
  const settled: Settlement[] = [];
  for (let start = 0; start < found.length; start += portion) {
    const some = found.slice(start, start + portion);
    const due = await listDueOfTransactions(db, chain.network, some, depthOf(state, chain));
    const deep = due.filter(({ id }) => ids.delete(id));
    if (deep.length === 0) continue;
    const agreed = await agreeAtOnce(deps, deep, signal);
    settled.push(...(await inTransaction(db, (trx) => commitConfirmed(trx, agreed, contextOf(deps)))));
  }
  return settled;
}

/** What a running daemon, which may be faster than we are, has made meanwhile of payments that were in these states. */
async function settledMeanwhile(
  { db }: RescanDeps,
  before: ReadonlyMap<number, PaymentStatus>,
  settled: readonly Settlement[],
): Promise<Settlement[]> {
  const meanwhile: Settlement[] = [];
  for (const [id, from] of before) {
    if (settled.some(({ payment }) => payment.id === id)) continue;
    meanwhile.push({ payment: await findPaymentById(db, id), from, partiallyPaid: false });
  }
  return meanwhile;
}

function contextOf({ chain, latePolicy, clock }: RescanDeps): CommitContext {
  return { chain, latePolicy, now: clock() };
}

function add(report: RescanReport, { cursor, native }: RereadRange, reading: Reading, repair: Repair): void {
  const { span, known, disputed } = reading;
  const last = report.ranges.at(-1);
  if (last !== undefined && last.host === span.host && last.native === native) last.to = span.to.height;
  else report.ranges.push({ from: cursor.height + 1, to: span.to.height, host: span.host, native });
  report.known += known;
  report.found.push(...repair.recorded.map(({ deposit }) => deposit));
  report.takenBack.push(...repair.orphaned);
  report.disputed.push(...disputed.map(({ deposit }) => deposit));
}

/** Each payment once: what it was at first and what it is now. */
function changes(settled: readonly Settlement[]): RescanReport['payments'] {
  const byId = new Map<number, Pick<Settlement, 'payment' | 'from'>>();
  for (const { payment, from } of settled) {
    byId.set(payment.id, { payment, from: byId.get(payment.id)?.from ?? from });
  }
  return [...byId.values()].filter(({ payment, from }) => payment.status !== from);
}
