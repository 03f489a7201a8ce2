import { expect, test } from 'vitest';
import { openWorld } from '../support/chain-world.ts';
import { describeDecisions } from '../support/databases.ts';

describeDecisions('payments whose time is over', (openTestDb) => {
  test('expire though hundreds of others wait for a transfer that no node can show', async () => {
    const world = await openWorld(await openTestDb(), { addresses: 206 });
    await world.read();
    const waiting = [];
    for (let i = 0; i < 205; i++) waiting.push(await world.create());
    world.pass(1);
    const unpaid = await world.create();
    for (const payment of waiting) world.pay(payment, 1);
    const node = world.chain.nodes[0];
    if (node !== undefined) node.knowsTransactions = false;
    world.mine(8);
    await world.read();
    expect(await world.status(unpaid)).toEqual({ status: 'expired', reason: null });
    for (const payment of waiting.slice(0, 3)) {
      expect(await world.status(payment)).toEqual({ status: 'pending', reason: null });
    }
  });

  test('expire at once, however many an outage left', async () => {
    const world = await openWorld(await openTestDb(), { addresses: 450 });
    await world.read();
    for (let i = 0; i < 450; i++) await world.create();
    world.mine(8);
    await world.step();
    let pauses = 0;
    for (let pending = 450; pending > 0; ) {
      const { nextAt } = await world.step();
      const rows = await world.db
        .selectFrom('payments')
        .select('id')
        .where('status', '=', 'pending')
        .execute();
      pending = rows.length;
      if (pending > 0 && nextAt > world.clock()) pauses += 1;
    }
    expect(pauses).toBe(0);
    const events = await world.db
      .selectFrom('events')
      .select('id')
      .where('type', '=', 'payment.expired')
      .execute();
    expect(events).toHaveLength(450);
  });
});
