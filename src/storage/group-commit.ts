import { setTimeout } from 'node:timers/promises';
import { CompiledQuery } from 'kysely';
import { codeOf } from './faults.ts';
import type { Db, Trx } from './schema.ts';

type Work<T> = (trx: Trx) => Promise<T>;
type Job = {
  work: Work<unknown>;
  resolve: (result: unknown) => void;
  reject: (error: unknown) => void;
  /** When it was asked for, on the clock of `performance`. */
  since: number;
};

/** Most changes in one commit: what comes later must not wait for more than this. */
const largestGroup = 32;

/** Another process may hold the write lock: how often it is tried again, and for how long, ms. */
const retryMs = 50;
const patienceMs = 10_000;

const savepoint = CompiledQuery.raw('savepoint work');
const release = CompiledQuery.raw('release work');
const rollback = CompiledQuery.raw('rollback to work');

/**
 * Lets changes that are asked for at the same time share one commit. A durable commit waits for the disk, and
 * SQLite has one writer: alone, each change would wait for the commits of all before it.
 *
 * Each change has a savepoint of its own, so that one which throws is undone alone; none is reported as done
 * before all of them are on the disk, and when that fails, all have failed.
 *
 * While another process holds the write lock they wait, each for ten seconds at most.
 */
export function createGroupCommit(db: Db): <T>(work: Work<T>) => Promise<T> {
  const waiting: Job[] = [];
  let running = false;

  async function run(): Promise<void> {
    while (waiting.length > 0) {
      // What else has arrived at this process by now comes along.
      await new Promise((resolve) => setImmediate(resolve));
      const group = waiting.splice(0, largestGroup);
      const locked = await commit(db, group);
      if (locked !== null) await yieldTo(locked, group);
    }
    running = false;
  }

  /** Waits without holding anything, so that reading goes on and the process answers meanwhile. */
  async function yieldTo(locked: unknown, group: readonly Job[]): Promise<void> {
    const givenUpBefore = performance.now() - patienceMs;
    for (const job of group) if (job.since < givenUpBefore) job.reject(locked);
    waiting.unshift(...group.filter((job) => job.since >= givenUpBefore));
    await setTimeout(retryMs);
  }

  return <T>(work: Work<T>) =>
    new Promise<T>((resolve, reject) => {
      waiting.push({ work, resolve: resolve as Job['resolve'], reject, since: performance.now() });
      if (running) return;
      running = true;
      void run();
    });
}

/** Never rejects: every job is told how it went, unless another process holds the write lock: then that is the answer. */
async function commit(db: Db, jobs: readonly Job[]): Promise<unknown> {
  const answers: (() => void)[] = [];
  let begun = false;
  try {
    await db.transaction().execute(async (trx) => {
      begun = true;
      for (const job of jobs) answers.push(await attempt(trx, job, jobs.length === 1));
    });
  } catch (error) {
    if (!begun && isBusy(error)) return error;
    for (const job of jobs) job.reject(error);
    return null;
  }
  for (const answer of answers) answer();
  return null;
}

function isBusy(error: unknown): boolean {
  return codeOf(error)?.startsWith('SQLITE_BUSY') === true;
}

/** @throws when the change could not be undone alone: then the whole transaction has failed. */
async function attempt(trx: Trx, { work, resolve, reject }: Job, alone: boolean): Promise<() => void> {
  if (alone) {
    const result = await work(trx);
    return () => resolve(result);
  }
  await trx.executeQuery(savepoint);
  try {
    const result = await work(trx);
    await trx.executeQuery(release);
    return () => resolve(result);
  } catch (error) {
    try {
      await trx.executeQuery(rollback);
      await trx.executeQuery(release);
    } catch {
      // After a full disk, say, SQLite has rolled back everything by itself.
      throw error;
    }
    return () => reject(error);
  }
}
