import fc from 'fast-check';
import { openDatabase } from '../../src/storage/database.ts';
import type { Db } from '../../src/storage/schema.ts';
import type { DatabaseKind } from './databases.ts';
import { emptyDatabase } from './empty.ts';

/*
 * Random histories, each lived through from its beginning on an empty database.
 */

/**
 * `DEPOSITD_TEST_SEED=7` repeats a run, wherever histories are random; followed by `/` and a failure's path, that history
 * alone. Without it every run has a seed of its own, which stands in the failure; in CI it is always the same one, so that
 * a change is red for what it did.
 */
const usual = process.env.CI === undefined ? String(Date.now() % 2 ** 31) : '20261128';
const [given = '', path] = (process.env.DEPOSITD_TEST_SEED ?? usual).split('/');

/** Of this run; the same in a second try. */
export const seed = Number(given);

export type HistoriesOptions<T> = {
  openTestDb: () => Promise<Db>;
  kind: DatabaseKind;
  history: fc.Arbitrary<T>;
  /** Fails where something is not as it should be. */
  live: (db: Db, history: T) => Promise<unknown>;
  /** Histories on SQLite. */
  runs: number;
  /** On PostgreSQL there are so many times fewer. Default 10. */
  fewer?: number;
  /** Where a run needs several rounds: another seed for each. Default 0. */
  round?: number;
};

/** How often histories are lived through, as `MODEL_RUNS=5000` says, which looks for rarer things. */
export function modelRuns(usual: number): number {
  return Number(process.env.MODEL_RUNS ?? usual);
}

/** Lives through random histories in one database, on SQLite in memory, that is emptied in between. */
export async function liveThrough<T>(options: HistoriesOptions<T>): Promise<void> {
  const { openTestDb, kind, history, live, runs, fewer = 10, round = 0 } = options;
  const db = kind === 'PostgreSQL' ? await openTestDb() : await openDatabase('sqlite::memory:');
  const lived = fc.assert(
    fc.asyncProperty(history, async (each) => {
      await emptyDatabase(db);
      await live(db, each);
    }),
    {
      numRuns: kind === 'SQLite' ? runs : Math.ceil(runs / fewer),
      seed: (seed + round * 0x9e3779b1) | 0,
      ...(path === undefined ? {} : { path }),
    },
  );
  await lived.finally(() => db.destroy());
}
