import { expect, test } from 'vitest';
import type { TxHash } from '../../src/core/chain.ts';
import type { Deposit, OnchainPayment } from '../../src/core/payment.ts';
import { attachDeposit } from '../../src/payments/attach.ts';
import { surplusOf } from '../../src/payments/surplus.ts';
import { listUncompared } from '../../src/storage/chains/balance-marks.ts';
import { listDeposits } from '../../src/storage/deposits/deposits.ts';
import { listEvents } from '../../src/storage/webhooks/events.ts';
import { openWorld, type World, type WorldOptions } from '../support/chain-world.ts';
import { describeDecisions } from '../support/databases.ts';

/*
 * The native coin, paid in a way that no reading of blocks shows: what is left is the balance.
 */

test('a surplus is what the balance grew by beyond what is explained, and never less than nothing', () => {
  expect(surplusOf(5n, 12n, [])).toBe(7n);
  expect(surplusOf(5n, 12n, [{ amount: 3n }, { amount: 2n }])).toBe(2n);
  expect(surplusOf(5n, 12n, [{ amount: 7n }])).toBe(0n);
  expect(surplusOf(5n, 4n, [])).toBe(0n);
  expect(surplusOf(5n, 8n, [{ amount: 7n }])).toBe(0n);
});

describeDecisions('the balance at the end of a native payment', (openTestDb) => {
  async function open(options: WorldOptions = {}): Promise<World> {
    const world = await openWorld(await openTestDb(), options);
    await world.read();
    return world;
  }

  test('shows what nothing else did: an unmatched deposit, told to the merchant with the payment it was for', async () => {
    const world = await open();
    const payment = await world.create('native');
    await world.read();
    payUnseen(world, payment);
    await expire(world);
    expect(await world.status(payment)).toEqual({ status: 'expired', reason: null });
    const [deposit] = await unmatched(world);
    expect(deposit).toMatchObject({
      txHash: '',
      token: 'native',
      amount: payment.expectedAmount,
      unmatchedReason: 'unexplained',
      addressId: payment.addressId,
      paymentId: null,
    });
    expect(await bodies(world, 'deposit.unmatched')).toMatchObject([
      {
        tx_hash: '',
        deposit: { id: deposit?.id, reason: 'unexplained', address: payment.address },
        expected: { payment_number: payment.paymentNumber, status: 'expired' },
      },
    ]);
    expect(world.lines.filter(({ msg }) => msg === 'unexplained balance')).toMatchObject([
      { level: 'warn', payment_number: payment.paymentNumber, address: payment.address },
    ]);
  });

  test('is compared for a payment that was cancelled too', async () => {
    const world = await open();
    const payment = await world.create('native');
    await world.read();
    payUnseen(world, payment);
    await world.cancel(payment);
    world.mine(2);
    await world.read();
    expect(await unmatched(world)).toMatchObject([{ amount: payment.expectedAmount }]);
  });

  test('can be attached by an operator once it is confirmed, and then pays', async () => {
    const world = await open();
    const payment = await world.create('native');
    await world.read();
    payUnseen(world, payment);
    await expire(world);
    expect(await attach(world, payment)).toMatchObject({ outcome: 'not_attachable' });
    await settle(world);
    expect(await unmatched(world)).toMatchObject([{ status: 'confirmed' }]);
    expect(await attach(world, payment)).toMatchObject({ outcome: 'attached' });
    expect(await world.status(payment)).toEqual({ status: 'confirmed', reason: 'late' });
  });

  test('shows what an underpaid payment lacked', async () => {
    const world = await open();
    const payment = await world.create('native');
    await world.read();
    world.pay(payment, 4);
    payUnseen(world, payment, 6);
    await expire(world);
    await settle(world);
    expect(await world.status(payment)).toEqual({ status: 'failed', reason: 'underpaid' });
    expect(await unmatched(world)).toMatchObject([{ amount: (payment.expectedAmount * 6n) / 10n }]);
    await settle(world);
    expect(await attach(world, payment)).toMatchObject({ outcome: 'attached' });
    expect((await world.status(payment)).status).toBe('confirmed');
  });

  test.each(['is explained by what was recorded', 'was there before', 'came for a token'] as const)(
    'is no surplus where it %s',
    async (why) => {
      const world = await open();
      const first = await world.create('native');
      await world.read();
      if (why === 'was there before') payUnseen(world, first);
      else if (why === 'came for a token') world.chain.send({ ...world.wrongToken(first) });
      else world.pay(first, 5);
      await expire(world);
      await settle(world);
      const raised = (await unmatched(world)).filter(
        ({ unmatchedReason }) => unmatchedReason === 'unexplained',
      );
      expect(raised).toHaveLength(why === 'was there before' ? 1 : 0);
      // The next to get the same address.
      await world.create('native');
      await world.create('native');
      const again = await world.create('native');
      expect(again.address).toBe(first.address);
      await world.read();
      await expire(world);
      await settle(world);
      expect((await unmatched(world)).length).toBe(raised.length + (why === 'came for a token' ? 1 : 0));
    },
  );

  test('is asked for once at the beginning and once at the end, for all addresses that are due at once', async () => {
    const world = await open();
    await world.create('native');
    await world.create('native');
    await world.create();
    await world.read();
    expect(world.chain.calls.balances).toBe(1);
    world.mine(3);
    await world.read();
    expect(world.chain.calls.balances).toBe(1);
    await expire(world);
    await settle(world);
    expect(world.chain.calls.balances).toBe(2);
  });

  test('is not asked for where the payment was paid', async () => {
    const world = await open();
    const payment = await world.create('native');
    await world.read();
    world.pay(payment);
    await settle(world);
    expect((await world.status(payment)).status).toBe('confirmed');
    await expire(world);
    expect(world.chain.calls.balances).toBe(1);
  });

  test('holds up nothing while no node tells it, and is compared once one does', async () => {
    const world = await open();
    const payment = await world.create('native');
    await world.read();
    payUnseen(world, payment);
    for (const node of world.chain.nodes) node.knowsBalances = false;
    await expire(world);
    await settle(world);
    expect((await world.status(payment)).status).toBe('expired');
    expect(await unmatched(world)).toEqual([]);
    expect(world.lines.filter(({ msg }) => msg === 'balances not compared')).toMatchObject([
      { level: 'warn', payments: 1 },
    ]);
    for (const node of world.chain.nodes) node.knowsBalances = true;
    await settle(world);
    expect(await unmatched(world)).toMatchObject([{ amount: payment.expectedAmount }]);
  });

  test('is compared anew where a fork took the block in which it was, and is the same deposit', async () => {
    const world = await open();
    const payment = await world.create('native');
    await world.read();
    payUnseen(world, payment);
    await expire(world);
    const [before] = await unmatched(world);
    world.chain.reorg({ depth: 1, blocks: 1 });
    world.mine(1);
    await world.read();
    const [after, ...others] = await unmatched(world);
    expect(others).toEqual([]);
    expect(after).toMatchObject({ id: before?.id, amount: payment.expectedAmount, status: 'seen' });
    expect(after?.blockHash).not.toBe(before?.blockHash);
    expect(await bodies(world, 'deposit.unmatched')).toHaveLength(1);
  });

  test('waits while the block in which the address was looked at first is above the cursor: a fork may have taken it', async () => {
    const world = await open();
    const payment = await world.create('native');
    world.mine(2);
    await world.read();
    await world.cancel(payment);
    const { hash, height, time } = world.chain.head();
    const uncompared = (upTo: number) => {
      const cursor = { hash, height: upTo, time: time + 1 };
      return listUncompared(world.db, 'bsc', { now: world.clock(), cursor });
    };
    const [mark] = await uncompared(height);
    const markedAt = mark?.height ?? 0;
    expect(await uncompared(markedAt)).toMatchObject([{ paymentId: payment.id }]);
    expect(await uncompared(markedAt - 1)).toEqual([]);
  });

  test('is no surplus any more where a fork took the money', async () => {
    const world = await open();
    const payment = await world.create('native');
    world.mine(1);
    await world.read();
    payUnseen(world, payment);
    await expire(world);
    world.chain.reorg({ depth: 8, place: () => null });
    world.mine(1);
    await world.read();
    expect(await unmatched(world)).toMatchObject([{ status: 'orphaned' }]);
  });

  test('is raised for one of two payments that had the address one after the other', async () => {
    const world = await open({ addresses: 1 });
    const first = await world.create('native');
    await world.read();
    payUnseen(world, first);
    await expire(world);
    const second = await world.create('native');
    await world.read();
    world.pay(second, 3);
    await expire(world);
    await settle(world);
    expect(await world.status(second)).toEqual({ status: 'failed', reason: 'underpaid' });
    expect(await unmatched(world)).toMatchObject([{ amount: first.expectedAmount }]);
  });

  test('gives way to the transfer itself, when a second reading finds that after all', async () => {
    const world = await open();
    const payment = await world.create('native');
    await world.read();
    const tx = payUnseen(world, payment);
    await expire(world);
    show(world, tx);
    world.mine(3);
    await world.read();
    await world.recheck();
    expect(await world.deposits(payment)).toMatchObject([{ txHash: tx, role: 'counted' }]);
    expect(await unmatched(world)).toMatchObject([{ status: 'orphaned' }]);
    await settle(world);
    expect((await world.status(payment)).status).toBe('confirmed');
  });

  test('is less by what a second reading finds of it', async () => {
    const world = await open();
    const payment = await world.create('native');
    await world.read();
    payUnseen(world, payment, 6);
    const tx = payUnseen(world, payment, 4);
    await expire(world);
    show(world, tx);
    world.mine(3);
    await world.read();
    await world.recheck();
    expect(await world.deposits(payment)).toMatchObject([{ txHash: tx }]);
    expect(await unmatched(world)).toMatchObject([{ amount: (payment.expectedAmount * 6n) / 10n }]);
  });

  test.each([10, 4])(
    'that an operator gave to a payment goes over to the transfer that explains %s tenths of it',
    async (tenths) => {
      const world = await open();
      const payment = await world.create('native');
      await world.read();
      const tx = payUnseen(world, payment, tenths);
      if (tenths < 10) payUnseen(world, payment, 10 - tenths);
      await expire(world);
      await settle(world);
      await attach(world, payment);
      const events = await world.events(payment);
      show(world, tx);
      await world.recheck();
      await settle(world);
      const live = (await world.deposits(payment)).filter(({ status }) => status !== 'orphaned');
      expect(live.reduce((sum, { amount }) => sum + amount, 0n)).toBe(payment.expectedAmount);
      expect(live).toContainEqual(expect.objectContaining({ txHash: tx, status: 'confirmed' }));
      expect(await world.status(payment)).toEqual({ status: 'confirmed', reason: 'late' });
      expect(await world.events(payment)).toEqual(events);
      expect(await unmatched(world)).toEqual([]);
    },
  );
});

/** A payment by a contract that no node traces: it is on the chain and nobody lists it. */
function payUnseen(world: World, payment: OnchainPayment, tenths = 10): TxHash {
  const tx = world.chain.send(world.transferTo(payment, tenths));
  for (const node of world.chain.nodes) node.hides.add(tx);
  return tx;
}

function show(world: World, tx: TxHash): void {
  for (const node of world.chain.nodes) node.hides.delete(tx);
}

/** Lets the payment's minute pass on the chain. */
async function expire(world: World): Promise<void> {
  world.mine(8);
  await world.read();
}

/** Makes what there is deep enough. */
async function settle(world: World): Promise<void> {
  world.mine(3);
  await world.read();
}

async function unmatched({ db }: World): Promise<Deposit[]> {
  return (await listDeposits(db, { role: 'unmatched', limit: 100 })).deposits;
}

async function bodies({ db, merchantId }: World, type: string): Promise<unknown[]> {
  const events = await listEvents(db, merchantId, 0, 1000);
  return events.filter((event) => event.type === type).map(({ body }) => JSON.parse(body) as unknown);
}

async function attach(world: World, { paymentNumber }: OnchainPayment) {
  const [deposit] = await unmatched(world);
  const act = { depositId: deposit?.id ?? 0, paymentNumber, reason: 'it was meant for this', actor: 'admin' };
  const deps = { db: world.db, clock: world.clock };
  return attachDeposit(deps, act as Parameters<typeof attachDeposit>[1]);
}
