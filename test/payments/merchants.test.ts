import { describe, expect, test } from 'vitest';
import { counted } from '../../src/core/plural.ts';
import { removeMerchant } from '../../src/payments/merchants.ts';
import { describePools } from '../../src/pool/status.ts';
import { inTransaction } from '../../src/storage/database.ts';
import { listAudit } from '../../src/storage/operators/audit.ts';
import {
  addApiKey,
  countOpenPayments,
  findMerchantByKeyHash,
  getMerchant,
  hashApiKey,
} from '../../src/storage/operators/merchants.ts';
import { listEndpoints } from '../../src/storage/webhooks/endpoints.ts';
import { describeDecisions } from '../support/databases.ts';
import { openShop, type Shop } from '../support/shop.ts';
import { openShop as openReceiver } from '../support/webhooks.ts';

describeDecisions('removing a merchant', (openTestDb) => {
  const remove = (shop: Shop, force = false) =>
    removeMerchant(shop, { merchantId: shop.merchantId, force, actor: 'cli' });

  test('that has nothing but keys revokes these, once', async () => {
    const shop = await openShop(await openTestDb(), { addresses: 0 });
    const { merchantId, db } = shop;
    const { secret } = await inTransaction(db, (trx) => addApiKey(trx, { merchantId, at: 1 }));
    expect(await remove(shop)).toMatchObject({ outcome: 'removed', merchant: { id: merchantId } });
    expect(await findMerchantByKeyHash(db, hashApiKey(secret))).toBeNull();
    expect(await remove(shop)).toEqual({ outcome: 'not_found' });
    expect(await listAudit(db, { subject: merchantId, beforeId: null, limit: 1 })).toMatchObject([
      { action: 'merchant.removed', actor: 'cli', detail: { keys: 1, payments: 0 } },
    ]);
  });

  test('that has more is refused with a sentence that names it, and done where it is forced', async () => {
    const db = await openTestDb();
    const shop = await openShop(db);
    const payment = await shop.create();
    shop.pay(payment, 50);
    await shop.confirmAll();
    expect(await remove(shop)).toEqual({
      outcome: 'not_removable',
      why: expect.stringMatching(/^it has 1 payment, 6 addresses; if it is to go all the same/),
    });
    expect(await getMerchant(db, shop.merchantId)).toMatchObject({ removedAt: null });
    expect((await shop.tryCreate({})).outcome).toBe('created');
    await shop.cancel(await shop.create());
    shop.passTime(2_000);
    await shop.read();

    expect(await remove(shop, true)).toMatchObject({ outcome: 'removed' });
    expect((await shop.tryCreate({})).outcome).toBe('no_address');
    expect(await shop.state(payment)).toBe('confirmed');
    expect(await describePools(db, null, shop.config.payments, shop.clock())).toEqual([]);
    // What comes late is still seen.
    shop.pay(payment, 7);
    await shop.confirmAll();
    expect((await shop.show(payment)).deposits).toContainEqual(
      expect.objectContaining({ amount: '7.000000', status: 'late' }),
    );
  });

  test('removes its endpoints for good', async () => {
    const receiver = await openReceiver(await openTestDb(), Date.now);
    await receiver.addEndpoint('https://shop.example/');
    const { db, merchantId } = receiver;
    const deps = { db, clock: Date.now };
    expect(await removeMerchant(deps, { merchantId, force: false, actor: 'cli' })).toMatchObject({
      why: expect.stringMatching(/^it has 1 webhook endpoint;/),
    });
    expect(await listEndpoints(db, merchantId)).toHaveLength(1);
    expect(await removeMerchant(deps, { merchantId, force: true, actor: 'cli' })).toMatchObject({
      outcome: 'removed',
    });
    expect(await listEndpoints(db, merchantId)).toEqual([]);
  });

  test('with an open payment is refused however it is forced, and changes nothing', async () => {
    const shop = await openShop(await openTestDb());
    const payment = await shop.create();
    expect(await remove(shop, true)).toEqual({
      outcome: 'not_removable',
      why: 'it has 1 open payment: cancel, or wait until none is open',
    });
    await shop.cancel(await shop.create());
    shop.pay(payment, 50);
    await shop.confirmAll();
    expect(await shop.state(payment)).toBe('confirmed');
    // A reverted one can be paid anew.
    shop.chains.bsc.reorg(4);
    await shop.read();
    expect(await shop.state(payment)).toBe('failed reorged');
    expect(await remove(shop, true)).toMatchObject({ why: expect.stringContaining('1 open payment') });
  });

  test('at the same time as payments are created leaves none open', async () => {
    for (let round = 0; round < 10; round++) {
      const shop = await openShop(await openTestDb());
      const [removal, ...created] = await Promise.all([
        remove(shop, true),
        ...Array.from({ length: round % 4 }, () => shop.tryCreate({})),
      ]);
      const open = created.filter(({ outcome }) => outcome === 'created').length;
      expect(await countOpenPayments(shop.db, shop.merchantId)).toBe(open);
      if (removal.outcome === 'removed') expect(open).toBe(0);
      else expect(open).toBeGreaterThan(0);
    }
  });
});

describe('a number with its noun', () => {
  test.each([
    [0, 'address', '0 addresses'],
    [1, 'address', '1 address'],
    [2, 'delivery', '2 deliveries'],
    [2, 'day', '2 days'],
    [1n, 'block', '1 block'],
    [3, 'webhook endpoint', '3 webhook endpoints'],
  ])('%s %s', (count, noun, text) => {
    expect(counted(count, noun)).toBe(text);
  });
});
