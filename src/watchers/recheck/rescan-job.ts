import { counted } from '../../core/plural.ts';
import { addFindings, nextPortion, type Rescan, type RescanFindings } from '../../core/rescan.ts';
import { CommandError, RpcError } from '../../errors.ts';
import { readChain } from '../../storage/chains/chains.ts';
import { advanceRescan, endRescan, findOpenRescan, startRescan } from '../../storage/chains/rescans.ts';
import { inTransaction } from '../../storage/database.ts';
import { recordAudit } from '../../storage/operators/audit.ts';
import { createWatchlist, type TableWatchlist } from '../watchlist.ts';
import { type RescanDeps, type RescannedSpan, rescan } from './rescan.ts';

/** Between two looks for one that somebody wants, where no signal comes, and while a node's plan has nothing to spare, ms. */
const glanceMs = 5_000;
const restMs = 60_000;

/** Errors of nodes in a row, each after a wait of its own, after which it is given up. */
const mostFailures = 8;

export type RescanJobDeps = Omit<RescanDeps, 'watch'> & {
  /** Something was found that has to be confirmed, or told. */
  onFound: () => void;
  /** Whether a plan of a node is about to be used up: then nothing is read twice. */
  isSlowed: () => boolean;
};

export type RescanJob = { step(signal: AbortSignal): Promise<number> };

/**
 * What an operator wants to have read again, read by the process that leads the chain, with its nodes and within their plans. How
 * far it got and what was found is written with what it changes: a step that dies loses nothing and counts nothing twice,
 * and whoever leads the chain next goes on from there.
 */
export function createRescanJob(deps: RescanJobDeps): RescanJob {
  const { db, chain, clock, log, onFound, isSlowed } = deps;
  /** Every address there is, as long as it is needed. */
  let watch: TableWatchlist | null = null;
  let failures = 0;

  /** @returns when to step again, ms. */
  async function step(signal: AbortSignal): Promise<number> {
    const job = await findOpenRescan(db, chain.network);
    if (job === null) {
      watch = null;
      return glanceMs;
    }
    if (job.cancelledBy !== null) return end(job, 'cancelled', null);
    if (job.reached >= job.to) return end(job, 'done', null);
    if (isSlowed()) return restMs;
    const to = nextPortion(job);
    // A fork was found meanwhile: the chain is read again up to there before.
    if (await isUnread(to)) return glanceMs;
    if (job.status === 'waiting') await inTransaction(db, (trx) => startRescan(trx, job.id, clock()));
    watch ??= createWatchlist(chain.family);
    try {
      await readPortion({ ...deps, watch }, { job, to }, signal);
      failures = 0;
    } catch (error) {
      if (signal.aborted) throw error;
      if (error instanceof CommandError)
        return (await isUnread(to)) ? glanceMs : end(job, 'failed', error.message);
      if (error instanceof RpcError && ++failures >= mostFailures) return end(job, 'failed', error.message);
      throw error;
    }
    return 0;
  }

  /** Not of a chain that is stopped: it is not read any further by itself. */
  async function isUnread(to: number): Promise<boolean> {
    const state = await readChain(db, chain.network);
    return state !== null && state.stoppedReason === null && state.cursor.height < to;
  }

  async function readPortion(
    given: RescanDeps,
    { job, to }: { job: Rescan; to: number },
    signal: AbortSignal,
  ): Promise<void> {
    const cancelled = new AbortController();
    let { reached, findings } = job;
    let isCancelled = false;
    let hasFound = false;
    try {
      await rescan(given, {
        from: job.reached + 1,
        to,
        native: job.native,
        signal: AbortSignal.any([signal, cancelled.signal]),
        async committed(trx, span) {
          const next = { reached: span.to, findings: addFindings(findings, findingsOf(span)) };
          const advanced = await advanceRescan(trx, { id: job.id, reached }, next);
          if (advanced === null) throw new Overtaken();
          isCancelled = advanced.cancelled;
          hasFound = span.repair.recorded.length > 0 || span.repair.settled.length > 0;
          ({ reached, findings } = next);
        },
        progress() {
          if (hasFound) onFound();
          if (isCancelled) cancelled.abort();
        },
      });
    } catch (error) {
      if (error instanceof Overtaken || (cancelled.signal.aborted && !signal.aborted)) return;
      throw error;
    }
  }

  async function end(
    job: Rescan,
    status: 'done' | 'failed' | 'cancelled',
    error: string | null,
  ): Promise<number> {
    const { id, from, to, reached, findings } = job;
    const at = clock();
    const ended = await inTransaction(db, async (trx) => {
      if (!(await endRescan(trx, id, { status, error, at }))) return false;
      const { payments: _, ...counts } = findings;
      const detail = { rescan: id, from, to, reached, status, error, ...counts };
      const entry = { at, actor: job.actor, action: 'chain.rescanned', subject: chain.network, detail };
      await recordAudit(trx, entry);
      return true;
    });
    watch = null;
    failures = 0;
    const blocks = counted(Math.max(0, reached - from + 1), 'block');
    if (ended) log.info({ rescan: id, status, blocks, reason: error }, 'rescan ended');
    return 0;
  }

  return { step };
}

/** Another step has got further, or it has ended: nothing of this one is kept. */
class Overtaken extends Error {}

function findingsOf({ reading, repair, before }: RescannedSpan): RescanFindings {
  const changed = repair.settled.map(({ payment, from }) => ({ id: payment.id, was: from }));
  const ids = new Set(changed.map(({ id }) => id));
  const others = [...before].flatMap(([id, was]) => (ids.has(id) ? [] : [{ id, was }]));
  return {
    known: reading.known,
    new: repair.recorded.length,
    takenBack: repair.orphaned.length,
    disputed: reading.disputed.length,
    payments: [...changed, ...others],
  };
}
