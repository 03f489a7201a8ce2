import { test } from 'vitest';
import type { Db } from '../../../src/storage/schema.ts';
import { describeDatabases } from '../../support/databases.ts';
import { liveThrough, modelRuns } from '../../support/histories.ts';
import { checkPayments, checkReplay, checkRoles, noteNative } from '../../support/model-checks.ts';
import { act, comeToRest, type History, history, modelAddresses } from '../../support/model-history.ts';
import { openTronModel } from '../../support/tron/model.ts';

/** Lives through a history with the TRON source over simulated nodes; its outcome is what the winning chain says. */
async function live(db: Db, { actions, ...options }: History): Promise<void> {
  const model = await openTronModel(db, options);
  try {
    for (const each of actions) await act(model, each);
    await comeToRest(model);
    await noteNative(model.world);
    await checkReplay(model.world, modelAddresses);
    await checkRoles(model.world);
    await checkPayments(model.world);
  } catch (error) {
    const lines = model.world.lines.slice(-40).map((line) => JSON.stringify(line));
    throw new Error([(error as Error).message, ...lines].join('\n'), { cause: error });
  } finally {
    await model.close();
  }
}

const runs = modelRuns(4);

describeDatabases('S2: random histories on TRON, over simulated nodes', (openTestDb, kind) => {
  test(
    'end with the deposits of the winning chain, each credited once, and every payment where they put it',
    () => liveThrough({ openTestDb, kind, history, live, runs }),
    runs * 20_000,
  );
});
