import { expect, test } from 'vitest';
import { describeDecisions } from '../support/databases.ts';
import { openShop, type Shop } from '../support/shop.ts';

/** A payment that was confirmed and whose money the chain has taken back. */
async function reverted(shop: Shop) {
  const payment = await shop.create();
  shop.pay(payment, 50);
  await shop.confirmAll();
  expect(await shop.state(payment)).toBe('confirmed');
  const gone = shop.chains.bsc.reorg(4);
  await shop.read();
  expect(await shop.state(payment)).toBe('failed reorged');
  return { payment, gone };
}

describeDecisions('a payment that was reverted', (openTestDb) => {
  test('and is paid anew confirms, with an event for each change', async () => {
    const shop = await openShop(await openTestDb(), { addresses: 1 });
    const { payment } = await reverted(shop);
    expect((await shop.show(payment)).remaining).toBe('50.000000');
    shop.pay(payment, 20);
    await shop.read();
    shop.pay(payment, 30);
    await shop.confirmAll();
    expect(await shop.state(payment)).toBe('confirmed');
    expect(await shop.events(payment)).toEqual([
      ...['payment.detected', 'payment.confirmed', 'payment.reverted'],
      ...['payment.detected', 'payment.partially_paid', 'payment.confirmed'],
    ]);
    expect((await shop.create()).address).toBe(payment.address);
  });

  test('holds its address until a lifetime after the revert, then lets it go without a further event', async () => {
    const shop = await openShop(await openTestDb(), { addresses: 1 });
    const { payment } = await reverted(shop);
    shop.passTime(1_700);
    await shop.read();
    expect((await shop.tryCreate({})).outcome).toBe('all_held');
    shop.passTime(200);
    await shop.read();
    expect(await shop.state(payment)).toBe('failed reorged');
    expect((await shop.show(payment)).remaining).toBeNull();
    expect((await shop.tryCreate({})).outcome).toBe('created');
    expect((await shop.events(payment)).at(-1)).toBe('payment.reverted');
  });

  test('and is paid anew after its expiry, within a lifetime of the revert, confirms', async () => {
    const shop = await openShop(await openTestDb());
    const payment = await shop.create();
    shop.pay(payment, 50);
    await shop.confirmAll();
    shop.passTime(1_500);
    await shop.read();
    shop.chains.bsc.reorg(5);
    await shop.read();
    shop.passTime(1_000);
    shop.pay(payment, 50);
    await shop.confirmAll();
    expect(await shop.state(payment)).toBe('confirmed');
  });

  test('is late when it is paid after that', async () => {
    const shop = await openShop(await openTestDb());
    const { payment } = await reverted(shop);
    shop.passTime(1_900);
    await shop.read();
    shop.pay(payment, 50);
    await shop.confirmAll();
    expect(await shop.state(payment)).toBe('failed reorged');
    expect((await shop.events(payment)).at(-1)).toBe('payment.late');
  });

  test('and paid anew too little stays failed at the end of its time, and waits for what is seen', async () => {
    const shop = await openShop(await openTestDb(), { addresses: 1 });
    const { payment } = await reverted(shop);
    shop.passTime(1_790);
    shop.pay(payment, 30);
    await shop.read();
    shop.passTime(100);
    await shop.read();
    expect((await shop.tryCreate({})).outcome).toBe('all_held');
    await shop.confirmAll();
    expect(await shop.state(payment)).toBe('failed reorged');
    expect((await shop.tryCreate({})).outcome).toBe('created');
  });

  test('and is mined again and paid anew as well is overpaid', async () => {
    const shop = await openShop(await openTestDb());
    const { payment, gone } = await reverted(shop);
    shop.pay(payment, 50);
    shop.chains.bsc.mine(gone);
    await shop.confirmAll();
    expect(await shop.state(payment)).toBe('confirmed overpaid');
  });

  test('does not take back an address that another payment was given since', async () => {
    const shop = await openShop(await openTestDb(), { addresses: 1 });
    const payment = await shop.create();
    shop.pay(payment, 50);
    await shop.confirmAll();
    const next = await shop.create();
    expect(next.address).toBe(payment.address);
    shop.chains.bsc.reorg(4);
    await shop.read();
    expect(await shop.state(payment)).toBe('failed reorged');
    expect((await shop.show(payment)).remaining).toBeNull();
    shop.pay(next, 50);
    await shop.confirmAll();
    expect(await shop.state(next)).toBe('confirmed');
    expect(await shop.state(payment)).toBe('failed reorged');
  });
});
