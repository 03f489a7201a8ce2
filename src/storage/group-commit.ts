import { CompiledQuery } from 'kysely';
import type { Db, Trx } from './schema.ts';

type Work<T> = (trx: Trx) => Promise<T>;
type Job = { work: Work<unknown>; resolve: (result: unknown) => void; reject: (error: unknown) => void };

/** Most changes in one commit: what comes later must not wait for more than this. */
const largestGroup = 32;

const savepoint = CompiledQuery.raw('savepoint work');
const release = CompiledQuery.raw('release work');
const rollback = CompiledQuery.raw('rollback to work');

/**
 * Lets changes that are asked for at the same time share one commit. A durable commit waits for the disk, and
 * SQLite has one writer: alone, each change would wait for the commits of all before it.
 *
 * Each change has a savepoint of its own, so that one which throws is undone alone; none is reported as done
 * before all of them are on the disk, and when that fails, all have failed.
 */
export function createGroupCommit(db: Db): <T>(work: Work<T>) => Promise<T> {
  const waiting: Job[] = [];
  let running = false;

  async function run(): Promise<void> {
    while (waiting.length > 0) {
      // What else has arrived at this process by now comes along.
      await new Promise((resolve) => setImmediate(resolve));
      await commit(db, waiting.splice(0, largestGroup));
    }
    running = false;
  }

  return <T>(work: Work<T>) =>
    new Promise<T>((resolve, reject) => {
      waiting.push({ work, resolve: resolve as Job['resolve'], reject });
      if (running) return;
      running = true;
      void run();
    });
}

/** Never rejects: every job is told how it went. */
async function commit(db: Db, jobs: readonly Job[]): Promise<void> {
  const answers: (() => void)[] = [];
  try {
    await db.transaction().execute(async (trx) => {
      for (const job of jobs) answers.push(await attempt(trx, job, jobs.length === 1));
    });
  } catch (error) {
    for (const job of jobs) job.reject(error);
    return;
  }
  for (const answer of answers) answer();
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
