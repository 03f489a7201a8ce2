import fc from 'fast-check';
import { test } from 'vitest';
import { openDatabase } from '../../src/storage/database.ts';
import type { Db } from '../../src/storage/schema.ts';
import { describeDatabases } from '../support/databases.ts';
import { emptyPostgres } from '../support/empty.ts';
import { checkPayments, checkReplay, checkRoles } from '../support/model-checks.ts';
import {
  act,
  comeToRest,
  type History,
  history,
  modelAddresses,
  openModel,
} from '../support/model-history.ts';

/** Lives through a history and checks that its outcome is what the winning chain says. */
async function live(db: Db, { actions, ...options }: History): Promise<void> {
  const model = await openModel(db, options);
  for (const each of actions) await act(model, each);
  await comeToRest(model);
  await checkReplay(model.world, modelAddresses);
  await checkRoles(model.world);
  await checkPayments(model.world);
}

/** `MODEL_RUNS=5000` looks for rarer things. A failure prints the seed and the shortest history that shows it. */
const runs = Number(process.env.MODEL_RUNS ?? 60);

describeDatabases(
  'S2: random histories of payments, mining, reorgs, nodes, faults and restarts',
  (openTestDb, kind) => {
    test(
      'end with the deposits of the winning chain, each credited once, and every payment where they put it',
      async () => {
        // Emptied between histories where making a database takes long.
        const shared = kind === 'PostgreSQL' ? await openTestDb() : null;
        await fc.assert(
          fc.asyncProperty(history, async (given) => {
            if (shared !== null) {
              await emptyPostgres(shared);
              return live(shared, given);
            }
            const db = await openDatabase('sqlite::memory:');
            await live(db, given).finally(() => db.destroy());
          }),
          { numRuns: kind === 'SQLite' ? runs : Math.ceil(runs / 10) },
        );
      },
      runs * 10_000,
    );
  },
);
