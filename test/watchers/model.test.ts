import { test } from 'vitest';
import type { Db } from '../../src/storage/schema.ts';
import { describeDatabases } from '../support/databases.ts';
import { liveThrough, modelRuns } from '../support/histories.ts';
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

const runs = modelRuns(8);

describeDatabases(
  'S2: random histories of payments, mining, reorgs, nodes, faults and restarts',
  (openTestDb, kind) => {
    test(
      'end with the deposits of the winning chain, each credited once, and every payment where they put it',
      () => liveThrough({ openTestDb, kind, history, live, runs }),
      runs * 10_000,
    );
  },
);
