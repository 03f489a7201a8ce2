import { expect, test } from 'vitest';
import type { OnchainPayment } from '../../src/core/payment.ts';
import { listCompleting } from '../../src/storage/deposits/waiting.ts';
import { evmKey } from '../support/addresses.ts';
import { openWorld, type World } from '../support/chain-world.ts';
import { describeDecisions } from '../support/databases.ts';
import { tokenKey } from '../support/payments.ts';
import type { ScriptedNode } from '../support/scripted-chain.ts';

/*
 * Which deposits are looked at first. A step asks about fifty transactions: here there are always hundreds of grains, each
 * in one of its own, that lie below the customers' money and were deep enough before it.
 */

const grains = 300;
const policy = { lifetimeSeconds: 1_800 };

async function open(db: World['db'], addresses = 4): Promise<World> {
  const world = await openWorld(db, { addresses, policy });
  await world.read();
  return world;
}

function sendDust(world: World, payment: OnchainPayment, amount: (n: number) => bigint = () => 1n): void {
  for (let n = 0; n < grains; n++) world.chain.send({ ...world.transferTo(payment), amount: amount(n) });
}

/** Reads what was mined, with all of it deep enough, and confirms a part of it. */
async function readOnce(world: World): Promise<void> {
  world.mine(3);
  await world.step();
  await world.step();
}

async function seenOf(world: World, payment: OnchainPayment): Promise<number> {
  return (await world.deposits(payment)).filter(({ status }) => status === 'seen').length;
}

const statusOf = async (world: World, payment: OnchainPayment) => (await world.status(payment)).status;

describeDecisions('a customer who has paid', (openTestDb) => {
  test('is not held up by dust to another payment', async () => {
    const world = await open(await openTestDb());
    const [dusted, paid] = [await world.create(), await world.create()];
    sendDust(world, dusted);
    world.mine();
    world.pay(paid);
    await readOnce(world);
    expect(await statusOf(world, paid)).toBe('confirmed');
    expect(await seenOf(world, dusted)).toBeGreaterThan(100);
  });

  test('is not held up by dust to his own payment, of whatever size below his', async () => {
    const world = await open(await openTestDb());
    const paid = await world.create();
    sendDust(world, paid, (n) => 10n ** BigInt(n % 15));
    world.mine();
    world.pay(paid);
    await readOnce(world);
    expect(await statusOf(world, paid)).toBe('confirmed');
    expect(await seenOf(world, paid)).toBeGreaterThan(100);
  });

  test('in some parts is not held up by dust to his own payment', async () => {
    const world = await open(await openTestDb());
    const paid = await world.create();
    sendDust(world, paid);
    world.mine();
    for (let part = 0; part < 5; part++) world.pay(paid, 2);
    await readOnce(world);
    expect(await statusOf(world, paid)).toBe('confirmed');
  });

  test('is looked at with no more than it takes: not with dust to his own payment, nor is that before his money is deep enough', async () => {
    const world = await open(await openTestDb());
    const paid = await world.create();
    sendDust(world, paid, (n) => 10n ** BigInt(n % 15));
    world.mine();
    const parts = [world.pay(paid, 4), world.pay(paid, 6)];
    world.mine(2);
    await world.step();
    await world.step();
    const { height } = world.chain.head();
    const first = async (head: number) => {
      const depth = { head, read: head, final: Number.MAX_SAFE_INTEGER };
      return (await listCompleting(world.db, world.network, depth)).map(({ txHash }) => txHash);
    };
    expect(await first(height)).toEqual([]);
    expect(new Set(await first(height + 1))).toEqual(new Set(parts));
  });

  test('is not held up by money that is nobody’s, nor by late money', async () => {
    const world = await open(await openTestDb());
    const [cancelled, paid] = [await world.create(), await world.create()];
    await world.cancel(cancelled);
    sendDust(world, cancelled);
    for (let n = 0; n < grains; n++)
      world.chain.send({
        token: tokenKey(world.network, 'usdc'),
        currency: 'usdc',
        recipient: evmKey(4),
        amount: 1n,
      });
    world.mine();
    world.pay(paid);
    await readOnce(world);
    expect(await statusOf(world, paid)).toBe('confirmed');
  });

  test('is not held up by what a node denies, however often it is asked about', async () => {
    const world = await openWorld(await openTestDb(), { scripted: { nodes: 2 }, policy });
    await world.read();
    const [dusted, paid] = [await world.create(), await world.create()];
    const node = world.chain.nodes[1] as ScriptedNode;
    for (let n = 0; n < grains; n++)
      node.denies.add(world.chain.send({ ...world.transferTo(dusted), amount: 1n }));
    world.mine(4);
    await world.read();
    world.pay(paid);
    await readOnce(world);
    expect(await statusOf(world, paid)).toBe('confirmed');
  });

  test('again after a revert is not held up either', async () => {
    const world = await open(await openTestDb());
    const [dusted, paid] = [await world.create(), await world.create()];
    world.pay(paid);
    await readOnce(world);
    world.chain.reorg({ depth: 3, blocks: 4, place: () => null });
    await world.read();
    expect(await statusOf(world, paid)).toBe('failed');
    sendDust(world, dusted);
    world.mine();
    world.pay(paid);
    await readOnce(world);
    expect(await statusOf(world, paid)).toBe('confirmed');
  });

  test('is confirmed in the step of all others who have, and dust after them', async () => {
    const world = await open(await openTestDb(), 12);
    const customers = await Promise.all(Array.from({ length: 10 }, () => world.create()));
    const dusted = await world.create();
    sendDust(world, dusted);
    world.mine();
    for (const customer of customers) world.pay(customer);
    await readOnce(world);
    for (const customer of customers) expect(await statusOf(world, customer)).toBe('confirmed');
  });
});

describeDecisions('dust', (openTestDb) => {
  test('has its turn: all of it is confirmed though customers pay all the time', async () => {
    const world = await open(await openTestDb(), 40);
    const dusted = await world.create();
    sendDust(world, dusted);
    await readOnce(world);
    for (let steps = 0; steps < 12; steps++) {
      world.pay(await world.create());
      await readOnce(world);
    }
    expect(await seenOf(world, dusted)).toBe(0);
  });

  test('that nobody confirms does not keep other dust from its turn', async () => {
    const world = await openWorld(await openTestDb(), { scripted: { nodes: 2 }, policy });
    await world.read();
    const [denied, other] = [await world.create(), await world.create()];
    const node = world.chain.nodes[1] as ScriptedNode;
    for (let n = 0; n < grains; n++)
      node.denies.add(world.chain.send({ ...world.transferTo(denied), amount: 1n }));
    world.mine();
    sendDust(world, other);
    for (let steps = 0; steps < 10; steps++) await readOnce(world);
    expect(await seenOf(world, other)).toBe(0);
    expect(await seenOf(world, denied)).toBe(grains);
  });
});
