import { expect, test } from 'vitest';
import type { Finality } from '../../src/core/networks.ts';
import type { OnchainPayment } from '../../src/core/payment.ts';
import { presentPayment } from '../../src/present/payments.ts';
import type { Db } from '../../src/storage/schema.ts';
import { openWorld, type World, type WorldOptions } from '../support/chain-world.ts';
import { describeDecisions } from '../support/databases.ts';
import type { ScriptedNode } from '../support/scripted-chain.ts';

/*
 * Fewer confirmations for small payments: two up to 50 USD, four up to 100 USD, six above.
 */

const confirmationTiers = [
  { upToUsdCents: 5_000, confirmations: 2 },
  { upToUsdCents: 10_000, confirmations: 4 },
];

async function open(db: Db, options: WorldOptions & { finality?: Finality } = {}): Promise<World> {
  const { finality = 'depth', scripted, ...rest } = options;
  const world = await openWorld(db, {
    chain: { requiredConfirmations: 6, finality, confirmationTiers },
    scripted: { height: 12, finalityLag: 20, ...scripted },
    policy: { lifetimeSeconds: 1_800 },
    ...rest,
  });
  await world.read();
  return world;
}

async function mineAndRead(world: World, blocks = 1): Promise<void> {
  world.mine(blocks);
  await world.read();
}

/** How many confirmations a payment has when it is confirmed; it has been sent and is in no block yet. */
async function confirmationsAtLast(world: World, payment: OnchainPayment): Promise<number> {
  for (let blocks = 1; blocks <= 40; blocks++) {
    await mineAndRead(world);
    if ((await world.status(payment)).status === 'confirmed') return blocks;
  }
  throw new Error('never confirmed');
}

async function shown(world: World, payment: OnchainPayment) {
  return presentPayment(await world.view(payment), 'https://pay.example.com');
}

const node = ({ chain }: World, n: number) => chain.nodes[n] as ScriptedNode;

describeDecisions('a payment of a small amount', (openTestDb) => {
  test('is confirmed with the confirmations of the first tier it fits in, a larger one with all', async () => {
    const world = await open(await openTestDb(), { addresses: 5 });
    for (const [usdCents, needed] of [
      [100, 2],
      [5_000, 2],
      [5_001, 4],
      [10_000, 4],
      [10_001, 6],
    ] as const) {
      const payment = await world.create('usdt', usdCents);
      expect((await shown(world, payment)).required_confirmations).toBe(needed);
      world.pay(payment);
      expect(await confirmationsAtLast(world, payment), `${usdCents} cents`).toBe(needed);
      expect((await shown(world, payment)).required_confirmations).toBe(needed);
    }
  });

  test('is confirmed by depth alone where finality decides about larger ones', async () => {
    const world = await open(await openTestDb(), { finality: 'finalized' });
    const [small, large] = [await world.create('usdt', 5_000), await world.create('usdt', 20_000)];
    world.pay(small);
    world.pay(large);
    await mineAndRead(world, 10);
    expect([(await world.status(small)).status, (await world.status(large)).status]).toEqual([
      'confirmed',
      'pending',
    ]);
    expect((await world.deposits(small))[0]?.height).toBeGreaterThan(world.chain.head().height - 20);
    await mineAndRead(world, 20);
    expect((await world.status(large)).status).toBe('confirmed');
  });

  test('is not confirmed by the word of the node that showed it', async () => {
    const world = await open(await openTestDb(), { scripted: { nodes: 2 } });
    const payment = await world.create();
    const tx = world.pay(payment);
    node(world, 1).denies.add(tx);
    await mineAndRead(world, 30);
    expect((await world.status(payment)).status).toBe('pending');
    node(world, 1).denies.clear();
    for (let minute = 0; minute < 2; minute++) {
      world.pass(60);
      await world.read();
    }
    expect((await world.status(payment)).status).toBe('confirmed');
  });

  test('needs the other node to have its block as deep as the tier says', async () => {
    const world = await open(await openTestDb(), { scripted: { nodes: 2 } });
    const payment = await world.create();
    node(world, 1).view = { behind: 1 };
    world.pay(payment);
    expect(await confirmationsAtLast(world, payment)).toBe(3);
  });

  test('in the native coin needs as few', async () => {
    const world = await open(await openTestDb());
    const payment = await world.create('native');
    world.pay(payment);
    expect(await confirmationsAtLast(world, payment)).toBe(2);
  });

  test('that is paid in parts needs as few for the part that completes it', async () => {
    const world = await open(await openTestDb());
    const payment = await world.create();
    world.pay(payment, 4);
    await mineAndRead(world, 2);
    expect((await world.status(payment)).status).toBe('pending');
    world.pay(payment, 6);
    expect(await confirmationsAtLast(world, payment)).toBe(2);
    expect(await world.events(payment)).toEqual([
      ...['payment.detected', 'payment.partially_paid', 'payment.confirmed'],
    ]);
  });

  test('fails for too little only once what came has all confirmations', async () => {
    const world = await open(await openTestDb(), { policy: { lifetimeSeconds: 20 } });
    const payment = await world.create();
    world.pay(payment, 4);
    await mineAndRead(world, 5);
    expect((await world.status(payment)).status).toBe('pending');
    await mineAndRead(world);
    expect(await world.status(payment)).toEqual({ status: 'failed', reason: 'underpaid' });
  });
});

describeDecisions('more than the tier of a payment', (openTestDb) => {
  test('needs all confirmations when it comes at once', async () => {
    const world = await open(await openTestDb());
    const payment = await world.create();
    world.pay(payment, 11);
    expect(await confirmationsAtLast(world, payment)).toBe(6);
    expect(await world.status(payment)).toEqual({ status: 'confirmed', reason: 'overpaid' });
    expect((await shown(world, payment)).required_confirmations).toBe(6);
  });

  test('needs all confirmations when it comes in parts of which each is small', async () => {
    const world = await open(await openTestDb());
    const payment = await world.create();
    for (let part = 0; part < 4; part++) world.pay(payment, 9);
    expect(await confirmationsAtLast(world, payment)).toBe(6);
  });

  test('may be as much as the tier allows', async () => {
    const world = await open(await openTestDb());
    const payment = await world.create('usdt', 2_500);
    world.pay(payment, 20);
    expect(await confirmationsAtLast(world, payment)).toBe(2);
  });

  test('that comes before the last confirmation holds the payment up, and one unit is enough for that', async () => {
    const world = await open(await openTestDb());
    const payment = await world.create();
    world.pay(payment);
    await mineAndRead(world);
    expect((await shown(world, payment)).required_confirmations).toBe(2);
    world.chain.send({ ...world.transferTo(payment), amount: 1n });
    await mineAndRead(world, 4);
    expect((await world.status(payment)).status).toBe('pending');
    expect(await shown(world, payment)).toMatchObject({ required_confirmations: 6, confirmations: 5 });
    await mineAndRead(world);
    expect((await world.status(payment)).status).toBe('confirmed');
  });

  test('that comes after the confirmation is confirmed with all, and what confirmed the payment stays', async () => {
    const world = await open(await openTestDb());
    const payment = await world.create();
    world.pay(payment);
    await mineAndRead(world, 2);
    expect((await world.status(payment)).status).toBe('confirmed');
    world.pay(payment, 20);
    await mineAndRead(world, 5);
    expect((await world.deposits(payment)).map(({ status, role }) => [status, role])).toEqual([
      ['confirmed', 'counted'],
      ['seen', 'late'],
    ]);
    expect((await shown(world, payment)).required_confirmations).toBe(2);
    await mineAndRead(world);
    expect((await world.deposits(payment)).map(({ status }) => status)).toEqual(['confirmed', 'confirmed']);
  });

  test('that the chain takes back lets fewer suffice again', async () => {
    const world = await open(await openTestDb());
    const payment = await world.create();
    world.pay(payment);
    await mineAndRead(world);
    const surplus = world.pay(payment, 20);
    await mineAndRead(world);
    expect((await shown(world, payment)).required_confirmations).toBe(6);
    world.chain.reorg({ depth: 1, blocks: 2, place: (tx) => (tx === surplus ? null : 0) });
    await world.read();
    expect((await world.status(payment)).status).toBe('confirmed');
    expect((await shown(world, payment)).required_confirmations).toBe(2);
  });
});

describeDecisions('a tier', (openTestDb) => {
  test('is judged by blocks that were read, whatever head a node shows', async () => {
    const world = await open(await openTestDb(), { scripted: { maxRange: 1 } });
    const payment = await world.create();
    world.pay(payment);
    world.mine();
    world.pay(payment, 20);
    world.mine(3);
    for (let steps = 0; steps < 20; steps++) {
      await world.step();
      expect((await world.status(payment)).status).toBe('pending');
    }
  });
});

describeDecisions('S1: a reorg deeper than a tier and shallower than all confirmations', (openTestDb) => {
  for (const finality of ['depth', 'finalized'] as const) {
    test(`takes a small payment back and tells it, where ${finality} decides`, async () => {
      const world = await open(await openTestDb(), { finality, scripted: { nodes: 2 } });
      const [small, large] = [await world.create('usdt', 5_000), await world.create('usdt', 20_000)];
      const tx = world.pay(small);
      world.pay(large);
      await mineAndRead(world, 3);
      world.chain.reorg({ depth: 3, blocks: 4, place: () => null });
      await world.read();
      expect(await world.status(small)).toEqual({ status: 'failed', reason: 'reorged' });
      expect(await world.events(small)).toEqual([
        ...['payment.detected', 'payment.confirmed', 'payment.reverted'],
      ]);
      expect(await world.events(large)).toEqual(['payment.detected']);
      expect(world.lines).toContainEqual(
        expect.objectContaining({ msg: 'confirmed payment reverted', payment_number: small.paymentNumber }),
      );
      world.chain.sendAgain(tx);
      expect(await confirmationsAtLast(world, small)).toBe(2);
    });
  }

  test('is told also when the daemon was down for it, and when the money is paid anew', async () => {
    const world = await open(await openTestDb());
    const payment = await world.create();
    world.pay(payment);
    await mineAndRead(world, 2);
    world.chain.reorg({ depth: 2, blocks: 5, place: () => null });
    world.restart();
    await world.read();
    world.pay(payment);
    expect(await confirmationsAtLast(world, payment)).toBe(2);
    expect(await world.events(payment)).toEqual([
      ...['payment.detected', 'payment.confirmed', 'payment.reverted', 'payment.detected'],
      'payment.confirmed',
    ]);
  });
});

describeDecisions('what does not come in time', (openTestDb) => {
  test('needs all confirmations, of an expired payment whose late money confirms it', async () => {
    const world = await open(await openTestDb(), { policy: { lifetimeSeconds: 20, late: 'confirm' } });
    const payment = await world.create();
    await mineAndRead(world, 4);
    expect((await world.status(payment)).status).toBe('expired');
    world.pay(payment);
    expect(await confirmationsAtLast(world, payment)).toBe(6);
  });

  test('needs all confirmations, of a cancelled payment', async () => {
    const world = await open(await openTestDb());
    const payment = await world.create();
    await world.cancel(payment);
    world.pay(payment);
    await mineAndRead(world, 5);
    expect(await world.deposits(payment)).toMatchObject([{ status: 'seen', role: 'late' }]);
    await mineAndRead(world);
    expect(await world.deposits(payment)).toMatchObject([{ status: 'confirmed', role: 'late' }]);
  });

  test('needs all confirmations where the node left it out and the second reading found it', async () => {
    const world = await open(await openTestDb(), { policy: { lifetimeSeconds: 20 } });
    const payment = await world.create();
    const tx = world.pay(payment);
    node(world, 0).hides.add(tx);
    await mineAndRead(world, 4);
    expect((await world.status(payment)).status).toBe('expired');
    node(world, 0).hides.clear();
    await world.recheck();
    expect(await world.deposits(payment)).toEqual([]);
    await mineAndRead(world, 4);
    world.pass(60);
    await world.recheck();
    await world.read();
    expect((await world.status(payment)).status).toBe('confirmed');
  });
});

describeDecisions('what a payment was promised', (openTestDb) => {
  test('stays when the tiers are taken out of the configuration', async () => {
    const world = await open(await openTestDb());
    const payment = await world.create();
    world.chainConfig.confirmationTiers = [];
    world.restart();
    const later = await world.create();
    world.pay(payment);
    world.pay(later);
    expect(await confirmationsAtLast(world, payment)).toBe(2);
    expect((await shown(world, later)).required_confirmations).toBe(6);
    expect(await confirmationsAtLast(world, later)).toBe(4);
  });

  test('stays when the chain needs fewer or more from now on', async () => {
    const world = await open(await openTestDb());
    const early = await world.create('usdt', 20_000);
    world.chainConfig.requiredConfirmations = 3;
    world.restart();
    const [middle, middlePaid] = [await world.create('usdt', 20_000), 3];
    world.chainConfig.requiredConfirmations = 9;
    world.restart();
    const late = await world.create('usdt', 20_000);
    for (const payment of [early, middle, late]) world.pay(payment);
    expect(await confirmationsAtLast(world, middle)).toBe(middlePaid);
    expect(await confirmationsAtLast(world, early)).toBe(6 - 3);
    expect(await confirmationsAtLast(world, late)).toBe(9 - 6);
    expect((await shown(world, early)).required_confirmations).toBe(6);
  });

  test('is not less when the configuration asks for fewer while it waits', async () => {
    const world = await open(await openTestDb());
    const payment = await world.create('usdt', 20_000);
    world.pay(payment);
    await mineAndRead(world, 4);
    world.chainConfig.requiredConfirmations = 1;
    world.restart();
    await world.read();
    expect((await world.status(payment)).status).toBe('pending');
    expect(await confirmationsAtLast(world, payment)).toBe(2);
  });
});

describeDecisions('payments of different tiers', (openTestDb) => {
  test('at one address one after another are each confirmed with their own', async () => {
    const world = await open(await openTestDb(), { addresses: 1 });
    const addresses = new Set<string>();
    for (const [usdCents, needed] of [
      [20_000, 6],
      [5_000, 2],
      [10_000, 4],
      [20_000, 6],
    ] as const) {
      const payment = await world.create('usdt', usdCents);
      addresses.add(payment.address);
      world.pay(payment);
      expect(await confirmationsAtLast(world, payment), `${usdCents} cents`).toBe(needed);
    }
    expect(addresses.size).toBe(1);
  });

  test('do not hold one another up, however much dust lies before them', async () => {
    const world = await open(await openTestDb(), { addresses: 4 });
    const dusted = await world.create();
    for (let grain = 0; grain < 700; grain++)
      world.chain.send({ ...world.transferTo(dusted), amount: 1n + BigInt(grain) });
    await mineAndRead(world, 5);
    const [small, other] = [await world.create('usdt', 2_000), await world.create('usdt', 10_000)];
    for (const payment of [small, other, dusted]) world.pay(payment);
    // Two steps look at the dust of a hundred transactions at most.
    for (const payment of [small, other, dusted]) {
      world.mine(2);
      await world.step();
      await world.step();
      expect((await world.status(payment)).status).toBe('confirmed');
    }
    const waiting = (await world.deposits(dusted)).filter(({ status }) => status === 'seen');
    expect(waiting.length).toBeGreaterThan(0);
  });
});
