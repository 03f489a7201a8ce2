import { describe, expect, test } from 'vitest';
import { openTestSqlite } from '../../support/databases.ts';
import { tronIllnesses } from '../../support/tron/illnesses.ts';
import { openTronModel } from '../../support/tron/model.ts';

/*
 * What one honest node of three is worth on TRON, through the watcher and the second reading. Three blocks confirm, six
 * make solid; a block every ten seconds.
 */

async function open() {
  const db = await openTestSqlite();
  const model = await openTronModel(db, {
    late: 'flag',
    finality: 'finalized',
    balanced: false,
    tiered: false,
  });
  const close = async () => {
    await model.close();
    await db.destroy();
  };
  return { ...model, close };
}

describe('L1: while two of three nodes have', () => {
  const failures = tronIllnesses.filter(({ lies = false }) => !lies);

  test.each(failures)('$name, everything is read by the third, and paid', async ({ fault }) => {
    const { world, ills, close } = await open();
    ills.push(fault, fault);
    const payment = await world.create();
    world.pay(payment);
    world.mine(8);
    for (let tries = 0; tries < 20 && (await world.status(payment)).status === 'pending'; tries++) {
      await world.read();
      // The honest one is alone for long enough to be believed.
      world.pass(40);
      world.mine(1);
    }
    expect(await world.status(payment)).toEqual({ status: 'confirmed', reason: null });
    expect(await world.deposits(payment)).toHaveLength(1);
    await close();
  });
});

describe('L2: what a node leaves out without a word', () => {
  test.each(['infos without logs', 'failed infos'])('by %s is found from another one, once', async (name) => {
    const { world, ills, close } = await open();
    const payment = await world.create();
    ills[0] = tronIllnesses.find((illness) => illness.name === name)?.fault ?? null;
    const tx = world.pay(payment);
    world.mine(10);
    await world.read();
    expect(await world.deposits(payment)).toEqual([]);
    for (let windows = 0; windows < 2; windows++) {
      world.pass(60);
      await world.recheck();
      await world.read();
      expect((await world.deposits(payment)).map(({ txHash }) => txHash)).toEqual([tx]);
    }
    expect(await world.status(payment)).toMatchObject({ status: 'confirmed' });
    await close();
  });
});
