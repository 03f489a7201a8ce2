import { expect, test } from 'vitest';
import { cancelPayment } from '../../src/payments/cancel.ts';
import { listEvents } from '../../src/storage/webhooks/events.ts';
import { openWorld } from '../support/chain-world.ts';
import { describeDecisions } from '../support/databases.ts';
import { InjectedFault, makeFaulty } from '../support/faulty-db.ts';
import { addTestMerchant } from '../support/payments.ts';

describeDecisions('cancelling a payment', (openTestDb) => {
  test('ends it, lets go of its address and announces payment.cancelled', async () => {
    const world = await openWorld(await openTestDb(), { addresses: 1 });
    await world.read();
    const payment = await world.create();
    world.pass(5);
    const outcome = await world.cancel(payment);
    expect(outcome).toMatchObject({
      outcome: 'cancelled',
      view: {
        payment: { status: 'cancelled', reason: null, endedAt: world.clock() },
        deposits: { total: 0 },
      },
    });
    expect(await world.events(payment)).toEqual(['payment.cancelled']);
    const [event] = await listEvents(world.db, world.merchantId, 0, 10);
    expect(JSON.parse(event?.body ?? '')).toMatchObject({
      event: 'payment.cancelled',
      payment_id: payment.paymentNumber,
      status: 'cancelled',
      payment: { status: 'cancelled' },
    });
    expect((await world.create()).addressId).toBe(payment.addressId);
  });

  test('is refused once something was seen, confirmed or not', async () => {
    const world = await openWorld(await openTestDb());
    await world.read();
    const payment = await world.create();
    world.pay(payment, 1);
    world.mine(1);
    await world.read();
    expect(await world.cancel(payment)).toEqual({ outcome: 'not_cancellable' });
    world.mine(3);
    await world.read();
    expect(await world.cancel(payment)).toEqual({ outcome: 'not_cancellable' });
    expect(await world.status(payment)).toEqual({ status: 'pending', reason: null });
  });

  test('is possible when all that came was taken back by the chain, or is of another asset', async () => {
    const world = await openWorld(await openTestDb());
    await world.read();
    const [orphaned, mistaken] = [await world.create(), await world.create()];
    world.pay(orphaned);
    world.mine(1);
    await world.read();
    world.chain.reorg({ depth: 1, place: () => null });
    world.chain.send(world.wrongToken(mistaken));
    world.mine(1);
    await world.read();
    expect((await world.cancel(orphaned)).outcome).toBe('cancelled');
    expect((await world.cancel(mistaken)).outcome).toBe('cancelled');
  });

  test('is refused after it ended, in whatever way, and announces nothing then', async () => {
    const world = await openWorld(await openTestDb(), { addresses: 4 });
    await world.read();
    const cancelled = await world.create();
    const confirmed = await world.create();
    const failed = await world.create();
    const expired = await world.create();
    await world.cancel(cancelled);
    world.pay(confirmed);
    world.pay(failed, 5);
    world.mine(10);
    await world.read();
    for (const [payment, status] of [
      [cancelled, 'cancelled'],
      [confirmed, 'confirmed'],
      [failed, 'failed'],
      [expired, 'expired'],
    ] as const) {
      const before = await world.events(payment);
      expect(await world.cancel(payment)).toEqual({ outcome: 'not_cancellable' });
      expect(await world.status(payment)).toMatchObject({ status });
      expect(await world.events(payment)).toEqual(before);
    }
  });

  test('that dies at any of its writes changes nothing', async () => {
    const world = await openWorld(await openTestDb());
    await world.read();
    const payment = await world.create();
    const faulty = makeFaulty(world.db);
    const deps = { db: faulty.db, clock: world.clock };
    const { merchantId } = world;
    let deaths = 0;
    for (let write = 1; ; write++) {
      faulty.failAt(write);
      const cancelling = cancelPayment(deps, { merchantId, paymentNumber: payment.paymentNumber });
      const outcome = await cancelling.catch((error: unknown) => error);
      if (!(outcome instanceof InjectedFault)) break;
      deaths += 1;
      expect(await world.status(payment)).toEqual({ status: 'pending', reason: null });
      expect(await world.events(payment)).toEqual([]);
    }
    expect(deaths).toBeGreaterThanOrEqual(3);
    expect(await world.events(payment)).toEqual(['payment.cancelled']);
  });

  test('finds nothing under an unknown number or that of another merchant', async () => {
    const world = await openWorld(await openTestDb());
    await world.read();
    const payment = await world.create();
    const other = await addTestMerchant(world.db, 'Other');
    const deps = { db: world.db, clock: world.clock };
    const { paymentNumber } = payment;
    expect(await cancelPayment(deps, { merchantId: other, paymentNumber })).toEqual({ outcome: 'not_found' });
    const unknown = { merchantId: world.merchantId, paymentNumber: 'PAY-2026-0000000000' };
    expect(await cancelPayment(deps, unknown)).toEqual({ outcome: 'not_found' });
    expect(await world.status(payment)).toMatchObject({ status: 'pending' });
  });
});
