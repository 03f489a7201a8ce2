import { expect, test } from 'vitest';
import { openWorld, type World } from '../support/chain-world.ts';
import { describeDatabases } from '../support/databases.ts';

/** As after a node that showed a head far above the chain's. */
async function pretendHead(world: World, height: number): Promise<void> {
  await world.db.updateTable('chain_cursors').set({ highest_head: height }).execute();
}

async function readBlocks(world: World, blocks: number): Promise<void> {
  for (let i = 0; i < blocks; i++) {
    world.mine();
    await world.read();
  }
}

/** Pays a new payment at once and lets it be confirmed. */
async function buy(world: World) {
  const payment = await world.create();
  world.pay(payment);
  await readBlocks(world, 3);
  return world.status(payment);
}

describeDatabases('a head that a node made up', (openTestDb) => {
  test('keeps transfers from new payments for ten minutes, then no longer', async () => {
    const world = await openWorld(await openTestDb(), { addresses: 10 });
    await readBlocks(world, 1);
    await pretendHead(world, 1_000_000);
    await readBlocks(world, 55);
    expect(await buy(world)).toMatchObject({ status: 'pending' });
    await readBlocks(world, 5);
    expect(await buy(world)).toMatchObject({ status: 'confirmed' });
  });

  test('is not told from an outage, after which nodes may lag: the wait begins anew', async () => {
    const world = await openWorld(await openTestDb(), { addresses: 10 });
    await readBlocks(world, 1);
    await pretendHead(world, 1_000_000);
    world.pass(15 * 60);
    await readBlocks(world, 2);
    expect(await buy(world)).toMatchObject({ status: 'pending' });
  });
});
