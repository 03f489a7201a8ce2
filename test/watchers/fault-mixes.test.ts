import { test } from 'vitest';
import { describeDatabases } from '../support/databases.ts';
import { liveMix, mix } from '../support/fault-mix.ts';
import { liveThrough, seed } from '../support/histories.ts';

/*
 * S1, S2, S3, L1, L2 all the way: random faults of several nodes at once, over real HTTP, while a chain grows and forks,
 * payments are made and paid, writes fail and the watcher is restarted. Nothing is lost, nothing doubled, the cursor is
 * never past what was proven, every payment is decided as the chain says, and the chain is read again soon after.
 */

/** `DEPOSITD_MIXES=200` looks for rarer things. */
const mixes = Number(process.env.DEPOSITD_MIXES ?? 5);

describeDatabases('random mixes of faults', (openTestDb, kind) => {
  test(
    `end as the chain says (DEPOSITD_TEST_SEED=${seed})`,
    () => liveThrough({ openTestDb, kind, history: mix, live: liveMix, runs: mixes }),
    mixes * 30_000,
  );
});
