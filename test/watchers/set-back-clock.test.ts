import { expect, test } from 'vitest';
import { steadyClock } from '../../src/clock.ts';
import { listDeposits } from '../../src/storage/deposits/deposits.ts';
import { openWorld, type World } from '../support/chain-world.ts';
import { describeDecisions } from '../support/databases.ts';
import { testClock } from '../support/evm.ts';

/*
 * A clock that is set back, by hand or by a time server, makes nothing wait for as long as it went back.
 */

const day = 86_400;

test('a steady clock goes on where the other was set back, at the pace of the other', () => {
  const clock = testClock(1_000);
  const steady = steadyClock(clock);
  expect(steady()).toBe(1_000);
  clock.advance(5);
  expect(steady()).toBe(1_005);
  clock.advance(-900);
  expect(steady()).toBe(1_005);
  clock.advance(7);
  expect(steady()).toBe(1_012);
  clock.advance(-50);
  clock.advance(60);
  expect(steady()).toBe(1_022);
});

/** Steps every ten seconds for so long. */
async function live(world: World, seconds: number): Promise<void> {
  for (let passed = 0; passed < seconds; passed += 10) {
    world.pass(10);
    await world.step();
  }
}

/** A payment that is deep enough, on two nodes of which the second says nothing of transactions, or denies them. */
async function openUnproven(db: World['db'], { denied }: { denied: boolean }) {
  const world = await openWorld(db, { scripted: { nodes: 2 } });
  await world.read();
  const payment = await world.create();
  const tx = world.pay(payment);
  const [, second] = world.chain.nodes;
  if (second === undefined) throw new Error('no second node');
  if (denied) second.denies.add(tx);
  else second.up = false;
  world.mine(5);
  await world.read();
  return { world, payment, second };
}

describeDecisions('while the clock is set back', (openTestDb) => {
  test('a deposit that was denied is asked about again within a minute', async () => {
    const { world, payment, second } = await openUnproven(await openTestDb(), { denied: true });
    await live(world, 120);
    expect(await world.status(payment)).toMatchObject({ status: 'pending' });
    second.denies.clear();
    world.pass(-day);
    await live(world, 70);
    expect(await world.status(payment)).toMatchObject({ status: 'confirmed' });
  });

  test('a deposit about which the others are silent waits a minute', async () => {
    const { world, payment } = await openUnproven(await openTestDb(), { denied: false });
    await live(world, 30);
    world.pass(-day);
    await live(world, 20);
    expect(await world.status(payment)).toMatchObject({ status: 'pending' });
    await live(world, 30);
    expect(await world.status(payment)).toMatchObject({ status: 'confirmed' });
  });

  test('balances that no node could tell are compared once one can', async () => {
    const world = await openWorld(await openTestDb());
    await world.read();
    const payment = await world.create('native');
    await world.read();
    const tx = world.chain.send(world.transferTo(payment));
    for (const node of world.chain.nodes) {
      node.hides.add(tx);
      node.knowsBalances = false;
    }
    world.mine(8);
    await world.read();
    for (const node of world.chain.nodes) node.knowsBalances = true;
    world.pass(-day);
    for (let rounds = 0; rounds < 2; rounds++) {
      world.mine(1);
      await world.read();
    }
    const { deposits } = await listDeposits(world.db, { role: 'unmatched', limit: 9 });
    expect(deposits).toMatchObject([{ amount: payment.expectedAmount }]);
  });
});
