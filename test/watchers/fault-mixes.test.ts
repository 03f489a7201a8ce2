import fc from 'fast-check';
import { test } from 'vitest';
import { openDatabase } from '../../src/storage/database.ts';
import { describeDatabases } from '../support/databases.ts';
import { emptyPostgres } from '../support/empty.ts';
import { liveMix, mix } from '../support/fault-mix.ts';

/*
 * S1, S2, S3, L1, L2 all the way: random faults of several nodes at once, over real HTTP, while a chain grows and forks,
 * payments are made and paid, writes fail and the watcher is restarted. Nothing is lost, nothing doubled, the cursor is
 * never past what was proven, every payment is decided as the chain says, and the chain is read again soon after.
 */

/** `DEPOSITD_MIXES=200` looks for rarer things. */
const mixes = Number(process.env.DEPOSITD_MIXES ?? 12);

/** `DEPOSITD_TEST_SEED=7` repeats a run; followed by `/` and a failure's path, that mix alone. The same in a second try. */
const [seed = '', path] = (process.env.DEPOSITD_TEST_SEED ?? String(Date.now() % 2 ** 31)).split('/');

describeDatabases('random mixes of faults', (openTestDb, kind) => {
  test(
    `end as the chain says (DEPOSITD_TEST_SEED=${seed})`,
    async () => {
      // Emptied between mixes where making a database takes long.
      const shared = kind === 'PostgreSQL' ? await openTestDb() : null;
      await fc.assert(
        fc.asyncProperty(mix, async (given) => {
          if (shared !== null) {
            await emptyPostgres(shared);
            await liveMix(shared, given);
            return;
          }
          const db = await openDatabase('sqlite::memory:');
          await liveMix(db, given).finally(() => db.destroy());
        }),
        {
          numRuns: kind === 'SQLite' ? mixes : Math.ceil(mixes / 10),
          seed: Number(seed),
          ...(path === undefined ? {} : { path }),
        },
      );
    },
    mixes * 30_000,
  );
});
