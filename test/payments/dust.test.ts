import { expect, test } from 'vitest';
import { keyOfHex } from '../../src/core/address.ts';
import type { Currency } from '../../src/core/assets.ts';
import type { OnchainPayment } from '../../src/core/payment.ts';
import { listDeposits } from '../../src/storage/deposits/deposits.ts';
import { countQueries } from '../support/counted.ts';
import { describeDecisions } from '../support/databases.ts';
import { type PaperTransfer, paperHash } from '../support/paper-chain.ts';
import { openShop, type Shop } from '../support/shop.ts';

/** Transfers of one base unit to a payment's address, so many of them in one transaction. */
function grains(
  shop: Shop,
  payment: OnchainPayment,
  count: number,
  currency: Currency = 'usdt',
): PaperTransfer[] {
  const asset = shop.assetOf('bsc', currency);
  const recipient = keyOfHex(payment.address);
  return Array.from({ length: count }, (_, ordinal) => ({
    ...{
      txHash: paperHash(`grains of ${payment.id}`),
      token: asset.token,
      currency,
      recipient,
      ordinal,
      amount: 1n,
    },
  }));
}

type Work = (shop: Shop, payment: OnchainPayment, count: number) => Promise<() => Promise<void>>;

/** What there is to do with thousands of grains. What is counted is the function that each returns. */
const works: Record<string, Work> = {
  'for a payment': async (shop, payment, count) => {
    shop.chains.bsc.mine(grains(shop, payment, count));
    return shop.read;
  },
  'that come late': async (shop, payment, count) => {
    await shop.cancel(payment);
    shop.chains.bsc.mine(grains(shop, payment, count));
    return shop.read;
  },
  'of another token': async (shop, payment, count) => {
    shop.chains.bsc.mine(grains(shop, payment, count, 'usdc'));
    return shop.read;
  },
  'that the chain takes back': async (shop, payment, count) => {
    shop.chains.bsc.mine(grains(shop, payment, count));
    await shop.read();
    shop.chains.bsc.reorg(1);
    return shop.read;
  },
};

describeDecisions('thousands of transfers of next to nothing', (openTestDb) => {
  for (const [what, work] of Object.entries(works)) {
    test(`${what} cost a few queries for each two hundred of them`, async () => {
      const { db, queries } = countQueries(await openTestDb());
      const shop = await openShop(db, { addresses: 3 });
      const cost: number[] = [];
      for (const count of [200, 2_000]) {
        const run = await work(shop, await shop.create(), count);
        const before = queries();
        await run();
        cost.push(queries() - before);
      }
      const [few = 0, many = 0] = cost;
      expect(many - few).toBeLessThan(60);
    });
  }

  test('are confirmed by a query for hundreds of them, and settle their payment once a look', async () => {
    const { db, queries } = countQueries(await openTestDb());
    const shop = await openShop(db);
    const payment = await shop.create();
    const costOfALook = async () => {
      const before = queries();
      await shop.confirmAll();
      return queries() - before;
    };
    const idle = await costOfALook();
    shop.chains.bsc.mine(grains(shop, payment, 500));
    await shop.read();
    for (let looks = 0; looks < 4; looks++) expect((await costOfALook()) - idle).toBeLessThan(20);
    const { deposits } = await listDeposits(db, { limit: 1_000 });
    expect(deposits.filter(({ status }) => status === 'confirmed')).toHaveLength(500);
  });

  test('are told to nobody where they are dust for a payment, and in few events where they are nobody’s', async () => {
    const shop = await openShop(await openTestDb());
    const payment = await shop.create();
    shop.chains.bsc.mine(grains(shop, payment, 1_000, 'usdc'));
    shop.chains.bsc.mine(grains(shop, payment, 1_000));
    await shop.read();
    expect(new Set(await shop.events(payment))).toEqual(new Set(['deposit.unmatched']));
    const bodies = await shop.eventBodies('deposit.unmatched');
    expect(bodies).toHaveLength(51);
    const rest = bodies.at(-1);
    expect(rest).toMatchObject({ deposits_total: 950, deposit: { reason: 'wrong_token' } });
    expect(rest?.deposits).toHaveLength(50);
    expect(JSON.stringify(rest).length).toBeLessThan(64 * 1024);
  });

  test('leave an honest transfer among them an event of its own', async () => {
    const shop = await openShop(await openTestDb());
    const payment = await shop.create();
    const [grain] = grains(shop, payment, 1, 'usdc');
    if (grain === undefined) throw new Error('no grain');
    const honest = { ...grain, txHash: paperHash('honest'), amount: 50n * 10n ** 18n };
    shop.chains.bsc.mine([...grains(shop, payment, 300, 'usdc'), honest]);
    await shop.read();
    const told = (await shop.eventBodies('deposit.unmatched')).filter((body) => body.deposits === undefined);
    expect(told.map((body) => body.tx_hash)).toContain(honest.txHash);
  });
});

describeDecisions('dust', (openTestDb) => {
  test('is shown on its payment and is nothing: no event, it can be cancelled', async () => {
    const shop = await openShop(await openTestDb());
    const payment = await shop.create();
    shop.pay(payment, 0.049999);
    await shop.confirmAll();
    expect(await shop.show(payment)).toMatchObject({
      ...{ status: 'pending', reason: null, actual_crypto_amount: '0.049999', deposits_total: 1 },
      remaining: '49.950001',
    });
    expect(await shop.events(payment)).toEqual([]);
    expect(await shop.cancel(payment)).toMatchObject({ outcome: 'cancelled' });
    expect(await shop.events(payment)).toEqual(['payment.cancelled']);
  });

  test('lets a payment expire at its time, though it was seen a moment before and is not confirmed', async () => {
    const shop = await openShop(await openTestDb());
    const payment = await shop.create();
    shop.passTime(1_799);
    shop.pay(payment, 0.01);
    await shop.read();
    shop.passTime(5);
    await shop.read();
    expect(await shop.state(payment)).toBe('expired');
    expect(await shop.events(payment)).toEqual(['payment.expired']);
    const [body] = await shop.eventBodies('payment.expired');
    expect(body).toMatchObject({ amount: '50.000000' });
  });

  test('counts once more has come: its first cent of value is detected, and the sum confirms', async () => {
    const shop = await openShop(await openTestDb());
    const payment = await shop.create();
    for (const amount of [0.03, 0.03]) shop.pay(payment, amount);
    await shop.confirmAll();
    expect(await shop.events(payment)).toEqual(['payment.detected', 'payment.partially_paid']);
    shop.pay(payment, 49.94);
    await shop.confirmAll();
    expect(await shop.state(payment)).toBe('confirmed');
    expect(await shop.events(payment)).toEqual([
      ...['payment.detected', 'payment.partially_paid', 'payment.confirmed'],
    ]);
  });

  test('that comes late changes nothing, and is told once it is more than dust', async () => {
    const shop = await openShop(await openTestDb());
    const payment = await shop.create();
    await shop.cancel(payment);
    shop.pay(payment, 0.03);
    await shop.confirmAll();
    expect(await shop.state(payment)).toBe('cancelled');
    shop.pay(payment, 0.03);
    await shop.confirmAll();
    expect(await shop.state(payment)).toBe('cancelled late');
    for (let grains = 0; grains < 3; grains++) {
      shop.pay(payment, 0.03);
      await shop.read();
    }
    expect(await shop.events(payment)).toEqual(['payment.cancelled', 'payment.late']);
  });

  test('is never all that a payment asks for', async () => {
    const shop = await openShop(await openTestDb());
    const payment = await shop.create({ cents: 2 });
    shop.pay(payment, 0.02);
    await shop.confirmAll();
    expect(await shop.events(payment)).toEqual(['payment.detected', 'payment.confirmed']);
  });

  test('is what the operator says it is', async () => {
    const shop = await openShop(await openTestDb(), { payments: { dustUsdCents: 0 } });
    const payment = await shop.create();
    shop.pay(payment, 0.000001);
    await shop.confirmAll();
    expect(await shop.events(payment)).toEqual(['payment.detected', 'payment.partially_paid']);
    expect(await shop.cancel(payment)).toEqual({ outcome: 'not_cancellable' });
  });
});

describeDecisions('a payment of which a part has come', (openTestDb) => {
  test('is told with what remains, once for each sum, also when a reorg makes it less', async () => {
    const shop = await openShop(await openTestDb());
    const payment = await shop.create();
    const told = async () =>
      (await shop.eventBodies('payment.partially_paid')).map(
        ({ payment: shown }) => (shown as { remaining: string }).remaining,
      );
    shop.pay(payment, 20);
    await shop.read();
    expect(await told()).toEqual(['30.000000']);
    await shop.confirmAll();
    expect(await told()).toEqual(['30.000000']);
    shop.pay(payment, 5);
    shop.pay(payment, 5);
    await shop.read();
    expect(await told()).toEqual(['30.000000', '20.000000']);
    shop.chains.bsc.reorg(1);
    await shop.read();
    expect(await told()).toEqual(['30.000000', '20.000000', '25.000000']);
    shop.pay(payment, 25);
    await shop.confirmAll();
    expect(await shop.state(payment)).toBe('confirmed');
    expect(await told()).toHaveLength(3);
  });

  test('is not told again of what a reorg took and the chain brings back', async () => {
    const shop = await openShop(await openTestDb());
    const payment = await shop.create();
    shop.pay(payment, 20);
    await shop.read();
    const gone = shop.chains.bsc.reorg(1);
    await shop.read();
    expect((await shop.show(payment)).remaining).toBe('50.000000');
    shop.chains.bsc.mine(gone);
    await shop.read();
    expect(await shop.events(payment)).toEqual(['payment.detected', 'payment.partially_paid']);
  });
});
