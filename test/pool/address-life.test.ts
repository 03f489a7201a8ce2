import { expect, test } from 'vitest';
import { listAudit } from '../../src/storage/operators/audit.ts';
import { describeDecisions } from '../support/databases.ts';
import { openShop } from '../support/shop.ts';

const daySeconds = 24 * 60 * 60;

describeDecisions('the life of an address', (openTestDb) => {
  test('retired it finishes its payment, and no other payment gets it', async () => {
    const shop = await openShop(await openTestDb(), { addresses: 1 });
    const payment = await shop.create();
    await shop.setRetired(payment.address, true);
    shop.pay(payment, 50);
    await shop.confirmAll();
    expect(await shop.state(payment)).toBe('confirmed');
    expect((await shop.tryCreate({})).outcome).toBe('no_address');

    await shop.setRetired(payment.address, false);
    expect((await shop.create()).address).toBe(payment.address);
  });

  test('retired it is watched for 30 days after its last use: money that comes late is seen', async () => {
    const shop = await openShop(await openTestDb());
    const payment = await shop.create();
    shop.passTime(2_000);
    await shop.read();
    await shop.setRetired(payment.address, true);
    shop.passTime(29 * daySeconds);
    await shop.read();
    expect(shop.watches(payment.address)).toBe(true);
    shop.pay(payment, 50);
    await shop.confirmAll();
    expect(await shop.state(payment)).toBe('expired late');
  });

  test('then it leaves the watchlist, unless it is active', async () => {
    const shop = await openShop(await openTestDb(), { payments: { watchRetiredDays: 7 } });
    const [retired, active] = [await shop.create(), await shop.create()];
    shop.passTime(2_000);
    await shop.read();
    await shop.setRetired(retired.address, true);
    shop.passTime(9 * daySeconds);
    await shop.read();
    expect(shop.watches(retired.address)).toBe(false);
    expect(shop.watches(active.address)).toBe(true);
    shop.pay(retired, 50);
    shop.pay(active, 50);
    await shop.confirmAll();
    expect(await shop.state(retired)).toBe('expired');
    expect(await shop.state(active)).toBe('expired late');
  });

  test('while a payment holds it, it stays on the watchlist however long that takes', async () => {
    const shop = await openShop(await openTestDb(), {
      payments: { watchRetiredDays: 1, lifetimeSeconds: 20 * daySeconds },
    });
    const payment = await shop.create();
    await shop.setRetired(payment.address, true);
    shop.passTime(15 * daySeconds);
    await shop.read();
    shop.pay(payment, 50);
    await shop.confirmAll();
    expect(await shop.state(payment)).toBe('confirmed');
  });

  test('one that left is watched again as soon as it is active again', async () => {
    const shop = await openShop(await openTestDb(), { addresses: 1, payments: { watchRetiredDays: 1 } });
    const first = await shop.create();
    shop.passTime(2_000);
    await shop.read();
    await shop.setRetired(first.address, true);
    shop.passTime(5 * daySeconds);
    await shop.read();
    expect(shop.watches(first.address)).toBe(false);

    await shop.setRetired(first.address, false);
    const payment = await shop.create();
    expect(payment.address).toBe(first.address);
    shop.pay(payment, 50);
    await shop.confirmAll();
    expect(await shop.state(payment)).toBe('confirmed');
  });

  test('listed on two networks it stays watched while either is active', async () => {
    const shop = await openShop(await openTestDb(), {
      addresses: 1,
      shared: true,
      payments: { watchRetiredDays: 1 },
    });
    const payment = await shop.create({ network: 'bsc' });
    shop.passTime(2_000);
    await shop.read();
    await shop.setRetired(payment.address, true, 'bsc');
    shop.passTime(5 * daySeconds);
    await shop.read();
    shop.pay(payment, 50);
    await shop.confirmAll();
    expect(await shop.state(payment)).toBe('expired late');
  });

  test('each change is in the audit log, and what changes nothing is not', async () => {
    const shop = await openShop(await openTestDb(), { addresses: 1 });
    const { address } = await shop.create();
    for (const retired of [true, true, false, false]) await shop.setRetired(address, retired);
    const audit = await listAudit(shop.db, { subject: shop.merchantId, beforeId: null, limit: 10 });
    const changes = audit.filter((entry) => entry.action !== 'addresses.added');
    expect(changes.map(({ action, detail }) => [action, detail])).toEqual([
      ['address.restored', { network: 'bsc', address }],
      ['address.retired', { network: 'bsc', address }],
    ]);
  });

  test('is chosen again after all that were let go before, and under strict quarantine not before its time', async () => {
    const soft = await openShop(await openTestDb(), { addresses: 2 });
    const first = await soft.create();
    await soft.cancel(first);
    const second = await soft.create();
    expect(second.address).not.toBe(first.address);
    expect((await soft.create()).address).toBe(first.address);

    const strict = await openShop(await openTestDb(), {
      addresses: 1,
      payments: { quarantine: 'strict', quarantineSeconds: 600 },
    });
    const held = await strict.create();
    await strict.cancel(held);
    expect((await strict.tryCreate({})).outcome).toBe('all_held');
    strict.passTime(601);
    await strict.read();
    expect((await strict.create()).address).toBe(held.address);
  });
});
