import fc from 'fast-check';
import { test } from 'vitest';
import type { Db } from '../../../src/storage/schema.ts';
import { describeDatabases } from '../../support/databases.ts';
import { InjectedFault } from '../../support/faulty-db.ts';
import { liveThrough, seed } from '../../support/histories.ts';
import {
  checkPayments,
  checkReplay,
  checkReplayAfterLies,
  checkRoles,
  noteNative,
} from '../../support/model-checks.ts';
import { act, action, comeToRest, modelAddresses } from '../../support/model-history.ts';
import { tronIllnesses } from '../../support/tron/illnesses.ts';
import { openTronModel, type TronModel } from '../../support/tron/model.ts';

/*
 * S1, S2, S3, L1, L2 on TRON: random faults of several simulated nodes at once while a chain grows and forks, payments are
 * made and paid, writes fail and the watcher is restarted.
 */

/** `DEPOSITD_MIXES=200` looks for rarer things. */
const mixes = Number(process.env.DEPOSITD_MIXES ?? 2);

const ail = fc.record({
  do: fc.constant('ail' as const),
  node: fc.nat(2),
  nth: fc.nat(10_000),
  chance: fc.constantFrom(0.2, 0.5, 1),
});
const step = fc.oneof(
  { weight: 30, arbitrary: action.filter((one) => one.do !== 'node') },
  { weight: 8, arbitrary: ail },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('heal' as const), node: fc.nat(2) }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('recheck' as const) }) },
);

const mix = fc.record({
  /** Whether the first of three nodes lies; the others are ill at most. */
  liar: fc.boolean(),
  late: fc.constantFrom('flag' as const, 'confirm' as const),
  finality: fc.constantFrom('depth' as const, 'finalized' as const),
  tiered: fc.boolean(),
  dice: fc.integer({ min: 1, max: 2 ** 31 - 2 }),
  steps: fc.array(step, { minLength: 20, maxLength: 70, size: 'max' }),
});

type Mix = typeof mix extends fc.Arbitrary<infer T> ? T : never;

async function live(db: Db, { liar, dice, steps, ...history }: Mix): Promise<void> {
  const model = await openTronModel(db, { ...history, balanced: false });
  const told: string[] = [];
  let die = dice;
  const roll = () => {
    die = (die * 16_807) % 2_147_483_647;
    return die / 2_147_483_647;
  };
  try {
    for (const each of steps) {
      switch (each.do) {
        case 'ail': {
          const { node, nth, chance } = each as typeof ail extends fc.Arbitrary<infer T> ? T : never;
          const all = tronIllnesses.filter(({ lies = false }) => !lies || (liar && node === 0));
          const illness = all[nth % all.length] ?? all[0];
          told.push(`node ${node}: ${illness?.name} (${chance})`);
          model.ills[node] = (call, answer) =>
            roll() < chance ? (illness?.fault(call, answer) ?? answer) : answer;
          break;
        }
        case 'heal':
          model.ills[(each as { node: number }).node] = null;
          break;
        case 'recheck':
          await recheck(model);
          break;
        default:
          await act(model, each as never);
      }
    }
    model.ills.fill(null);
    await comeToRest(model);
    // Whoever was ill rests for ten minutes at most, and what was left out is found by the second reading.
    for (let round = 0; round < (liar ? 90 : 1); round++) {
      model.world.mine();
      await model.world.read();
      await recheck(model);
    }
    await comeToRest(model);
    await noteNative(model.world);
    await (liar ? checkReplayAfterLies : checkReplay)(model.world, modelAddresses);
    await checkRoles(model.world);
    if (!liar) await checkPayments(model.world);
  } catch (error) {
    const lines = model.world.lines.slice(-40).map((line) => JSON.stringify(line));
    throw new Error([(error as Error).message, ...told, ...lines].join('\n'), { cause: error });
  } finally {
    await model.close();
  }
}

async function recheck({ world }: TronModel): Promise<void> {
  try {
    await world.recheckStep();
  } catch (error) {
    if (!(error instanceof InjectedFault)) throw error;
  }
}

describeDatabases('random mixes of faults of TRON nodes', (openTestDb, kind) => {
  test(
    `end as the chain says (DEPOSITD_TEST_SEED=${seed})`,
    () => liveThrough({ openTestDb, kind, history: mix, live, runs: mixes }),
    mixes * 60_000,
  );
});
