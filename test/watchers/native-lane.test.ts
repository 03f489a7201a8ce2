import { expect, test } from 'vitest';
import type { BlockHash } from '../../src/core/chain.ts';
import { openWorld, type World } from '../support/chain-world.ts';
import { describeDecisions } from '../support/databases.ts';

const hour = 60 * 60;

/** Whether the next block is read whole. */
async function readsWhole(world: World): Promise<boolean> {
  world.mine(1);
  await world.read();
  return world.chain.readNatively.has(world.chain.head().hash);
}

describeDecisions('whole blocks', (openTestDb) => {
  test('are not read while nobody is asked for the native coin', async () => {
    const world = await openWorld(await openTestDb());
    await world.read();
    await world.create('usdt');
    expect(await readsWhole(world)).toBe(false);
  });

  test('are read from the first block after a native payment was made', async () => {
    const world = await openWorld(await openTestDb());
    await world.read();
    const payment = await world.create('native');
    world.pay(payment);
    expect(await readsWhole(world)).toBe(true);
    expect(await world.deposits(payment)).toMatchObject([
      { token: 'native', logIndex: null, role: 'counted' },
    ]);
    world.mine(2);
    await world.read();
    expect(await world.status(payment)).toEqual({ status: 'confirmed', reason: null });
  });

  test('are read from there on too, and a little below, when the payment was made while a catch-up is under way', async () => {
    const world = await openWorld(await openTestDb());
    await world.read();
    const { height } = world.chain.head();
    world.mine(55);
    await world.step();
    await world.step();
    const payment = await world.create('native');
    const lock = world.chain.head().height;
    world.pay(payment);
    world.mine(25);
    await world.read();
    const whole = Array.from({ length: 80 }, (_, i) => height + 1 + i).filter((at) =>
      world.chain.readNatively.has(world.chain.at(at)?.hash as BlockHash),
    );
    // And a little below: a reorg may put the payment's money there.
    expect(whole).toEqual(Array.from({ length: 25 + 32 }, (_, i) => lock - 32 + 1 + i));
    expect(await world.deposits(payment)).toMatchObject([{ role: 'counted' }]);
  });

  test('are read for an hour after a native payment ended, so that late money is seen', async () => {
    const world = await openWorld(await openTestDb());
    await world.read();
    const payment = await world.create('native');
    await world.cancel(payment);
    world.pass(hour - 20);
    world.pay(payment);
    expect(await readsWhole(world)).toBe(true);
    expect(await world.deposits(payment)).toMatchObject([{ role: 'late' }]);
    world.pass(30);
    await readsWhole(world);
    expect(await readsWhole(world)).toBe(false);
  });

  test('are read for an hour of the chain, not of the clock: an outage hides no late money', async () => {
    const world = await openWorld(await openTestDb());
    await world.read();
    const payment = await world.create('native');
    await world.cancel(payment);
    world.pay(payment);
    world.mine(1);
    world.pass(3 * hour);
    world.restart();
    await world.read();
    expect(await world.deposits(payment)).toMatchObject([{ role: 'late' }]);
    await readsWhole(world);
    expect(await readsWhole(world)).toBe(false);
  });

  test('are read for a day after the chain took back a native transfer, which may be mined again', async () => {
    const world = await openWorld(await openTestDb());
    await world.read();
    const payment = await world.create('native');
    const tx = world.pay(payment);
    world.mine(1);
    await world.read();
    world.chain.reorg({ depth: 1, place: () => null });
    world.mine(10);
    await world.read();
    expect(await world.status(payment)).toMatchObject({ status: 'expired' });
    world.pass(20 * hour);
    world.chain.sendAgain(tx);
    expect(await readsWhole(world)).toBe(true);
    expect(await world.deposits(payment)).toMatchObject([{ role: 'late', status: 'seen' }]);
    world.chain.reorg({ depth: 1, place: () => null });
    world.pass(4 * hour);
    await readsWhole(world);
    expect(await readsWhole(world)).toBe(false);
  });
});
