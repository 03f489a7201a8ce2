import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readCoverage } from '../../../src/storage/chains/recheck-marks.ts';
import type { Db } from '../../../src/storage/schema.ts';
import { describeDatabases } from '../../support/databases.ts';
import { InjectedFault } from '../../support/faulty-db.ts';
import { liveThrough, modelRuns } from '../../support/histories.ts';
import { checkOutcomes, checkReplay, checkRoles } from '../../support/model-checks.ts';
import {
  type Action,
  act,
  action,
  comeToRest,
  type Model,
  modelAddresses,
  openModel,
} from '../../support/model-history.ts';

/*
 * L2 and S2 over random histories: the first of three nodes leaves out transactions without a word, and for good. The
 * second reading makes up for it, whatever else happens: reorgs, faults at any write, restarts, nodes that lag or are
 * down (but for one honest node).
 */

type Step = Action | { do: 'lie'; lying: boolean } | { do: 'recheck'; steps: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 30,
    arbitrary: action.filter((one) => one.do !== 'node' || (one as { node?: number }).node !== 2),
  },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('lie' as const), lying: fc.boolean() }) },
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant('recheck' as const), steps: fc.integer({ min: 1, max: 4 }) }),
  },
);

const options = fc.record({
  late: fc.constantFrom('flag' as const, 'confirm' as const),
  finality: fc.constantFrom('depth' as const, 'finalized' as const),
  balanced: fc.boolean(),
  tiered: fc.boolean(),
});

const lyingHistory = fc.tuple(options, fc.array(step, { minLength: 20, maxLength: 120, size: 'max' }));

type LyingHistory = typeof lyingHistory extends fc.Arbitrary<infer T> ? T : never;

async function live(db: Db, [given, steps]: LyingHistory): Promise<void> {
  const model = await openModel(db, given);
  const { chain } = model.world;
  const liar = chain.nodes[0];
  let lying = true;
  const { send } = chain;
  chain.send = (...transfers) => {
    const tx = send(...transfers);
    if (lying) liar?.hides.add(tx);
    return tx;
  };
  for (const one of steps) {
    if (one.do === 'lie') lying = (one as { lying: boolean }).lying;
    else if (one.do === 'recheck') await recheck(model, (one as { steps: number }).steps);
    else await act(model, one as Action);
  }
  await comeToRest(model);
  await model.world.recheck();
  await comeToRest(model);
  // What is final is agreed upon once a minute where no deposit waits for it.
  model.world.pass(61);
  await model.world.read();
  await model.world.recheck();
  await checkReplay(model.world, modelAddresses);
  await checkRoles(model.world);
  await checkOutcomes(model.world);
  await checkCoverage(model);
}

/** Steps of the recheck, of which any may be made to fail at a write. */
async function recheck({ world }: Model, steps: number): Promise<void> {
  for (let n = 0; n < steps; n++) {
    await world.recheckStep().catch((error: unknown) => {
      if (!(error instanceof InjectedFault)) throw error;
    });
  }
}

/** Every block up to the cursor was read, and every settled one twice. */
async function checkCoverage({ world }: Model): Promise<void> {
  const head = world.chain.head().height;
  const coverage = await readCoverage(world.db, world.network);
  expect(coverage).toMatchObject({ completeTo: head, gaps: [] });
  expect(coverage?.recheckedTo).toBeGreaterThanOrEqual(head - 6);
}

const runs = modelRuns(4);

describeDatabases('L2, S2: random histories with a node that leaves transactions out', (openTestDb, kind) => {
  test(
    'end with every deposit of the winning chain once, and every payment where it should be',
    () => liveThrough({ openTestDb, kind, history: lyingHistory, live, runs }),
    runs * 10_000,
  );
});
