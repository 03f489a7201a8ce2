import { expect, test } from 'vitest';
import { keyOfHex } from '../../src/core/address.ts';
import type { Currency } from '../../src/core/assets.ts';
import type { Payment } from '../../src/core/payment.ts';
import { listDeposits } from '../../src/storage/deposits/deposits.ts';
import { countQueries } from '../support/counted.ts';
import { describeDatabases } from '../support/databases.ts';
import { type PaperTransfer, paperHash } from '../support/paper-chain.ts';
import { openShop, type Shop } from '../support/shop.ts';

/** Transfers of one base unit to a payment's address, so many of them in one transaction. */
function grains(shop: Shop, payment: Payment, count: number, currency: Currency = 'usdt'): PaperTransfer[] {
  const asset = shop.assetOf('bsc', currency);
  const token = asset.token === null ? 'native' : keyOfHex(asset.token);
  const recipient = keyOfHex(payment.address);
  return Array.from({ length: count }, (_, ordinal) => ({
    ...{ txHash: paperHash(`grains of ${payment.id}`), token, currency, recipient, ordinal, amount: 1n },
  }));
}

type Work = (shop: Shop, payment: Payment, count: number) => Promise<() => Promise<void>>;

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

describeDatabases('thousands of transfers of next to nothing', (openTestDb) => {
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
    shop.chains.bsc.mine(grains(shop, payment, 500));
    await shop.read();
    const before = queries();
    for (let looks = 0; looks < 4; looks++) await shop.confirmAll();
    expect(queries() - before).toBeLessThan(500);
    const { deposits } = await listDeposits(db, { limit: 1_000 });
    expect(deposits.filter(({ status }) => status === 'confirmed')).toHaveLength(500);
  });

  test('are told in one event for a payment, and in few where they are nobody’s', async () => {
    const shop = await openShop(await openTestDb());
    const payment = await shop.create();
    shop.chains.bsc.mine(grains(shop, payment, 1_000, 'usdc'));
    shop.chains.bsc.mine(grains(shop, payment, 1_000));
    await shop.read();
    expect(await shop.events(payment)).toHaveLength(52);
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
