import { HDKey } from '@scure/bip32';
import { expect, test } from 'vitest';
import { parseNetwork } from '../../src/core/networks.ts';
import { quarantineStart } from '../../src/core/pool.ts';
import { createDerivedPool } from '../../src/pool/derived.ts';
import { describePools } from '../../src/pool/status.ts';
import { presentAddress } from '../../src/present/pools.ts';
import { listAddresses } from '../../src/storage/pool/addresses.ts';
import { describeDecisions } from '../support/databases.ts';
import { openShop, type Shop } from '../support/shop.ts';

async function poolOf(shop: Shop, network = 'bsc') {
  const pools = await describePools(shop.db, shop.merchantId, shop.config.payments, shop.clock());
  const pool = pools.find((one) => one.network === network);
  if (pool === undefined) throw new Error(`no pool on ${network}`);
  return pool;
}

/** Of each address on BSC, as the API and the commands show it. */
async function statesOf({ db, merchantId, config, clock }: Shop): Promise<string[]> {
  const addresses = await listAddresses(db, {
    merchantId,
    network: parseNetwork('bsc'),
    afterId: 0,
    limit: 99,
  });
  const quarantine = { releasedAfter: quarantineStart(config.payments, clock()), heldBackUpTo: 0 };
  return addresses.map((address) => presentAddress(address, quarantine).state);
}

describeDecisions('the state of a pool', (openTestDb) => {
  test('tells how many addresses are free, held, quarantined and retired', async () => {
    const shop = await openShop(await openTestDb(), { addresses: 6, payments: { quarantineSeconds: 600 } });
    const [held, let_go, retired] = [await shop.create(), await shop.create(), await shop.create()];
    await shop.cancel(let_go);
    await shop.cancel(retired);
    await shop.setRetired(retired.address, true);
    expect(await poolOf(shop)).toMatchObject({
      ...{
        currency: null,
        level: 'ok',
        total: 5,
        free: 3,
        held: 1,
        quarantined: 1,
        retired: 1,
        derivable: 0,
      },
    });
    expect((await statesOf(shop)).toSorted()).toEqual([
      ...['free', 'free', 'free', 'held', 'quarantined', 'retired'],
    ]);
    shop.passTime(601);
    await shop.read();
    expect(await poolOf(shop)).toMatchObject({ free: 4, held: 1, quarantined: 0, retired: 1 });
    await shop.setRetired(held.address, true);
    expect(await poolOf(shop)).toMatchObject({ total: 4, free: 4, held: 0, retired: 2 });
    expect(await poolOf(shop, 'ethereum')).toMatchObject({ total: 6, free: 6 });
  });

  test('counts what can still be derived, and a derived pool that has no address yet', async () => {
    const shop = await openShop(await openTestDb(), { addresses: 0 });
    const xpub = HDKey.fromMasterSeed(Buffer.alloc(32, 8)).derive("m/44'/60'/0'").publicExtendedKey;
    const { merchantId } = shop;
    const request = {
      merchantId,
      network: 'bsc',
      currency: 'usdt',
      label: '',
      xpub,
      limit: 4,
      actor: 'cli',
    } as const;
    await createDerivedPool(shop, request);
    expect(await poolOf(shop)).toMatchObject({ currency: 'usdt', level: 'ok', total: 0, derivable: 4 });
    for (let n = 0; n < 4; n++) await shop.create();
    expect(await poolOf(shop)).toMatchObject({ level: 'exhausted', total: 4, held: 4, derivable: 0 });
  });

  test('is low with less than a fifth to be had, and exhausted with none', async () => {
    const shop = await openShop(await openTestDb(), { addresses: 6 });
    for (let n = 0; n < 4; n++) await shop.create();
    expect((await poolOf(shop)).level).toBe('ok');
    await shop.create();
    expect((await poolOf(shop)).level).toBe('low');
    await shop.create();
    expect((await poolOf(shop)).level).toBe('exhausted');
  });

  test('forecasts from the busiest hour and the lock times of the last day, older payments aside', async () => {
    const shop = await openShop(await openTestDb(), { addresses: 8, payments: { lifetimeSeconds: 3_000 } });
    for (let n = 0; n < 8; n++) await shop.cancel(await shop.create());
    shop.passTime(25 * 3600);
    await shop.read();
    expect(await poolOf(shop)).toMatchObject({ paymentsLastDay: 0, busiestHour: 0, meanLockSeconds: 3_000 });

    for (let n = 0; n < 2; n++) await shop.cancel(await shop.create());
    shop.passTime(2 * 3600);
    await shop.read();
    const payments = [];
    for (let n = 0; n < 6; n++) payments.push(await shop.create());
    shop.passTime(1_000);
    await shop.read();
    for (const payment of payments) await shop.cancel(payment);
    // Two held for nothing, six for a thousand seconds.
    expect(await poolOf(shop)).toMatchObject({
      paymentsLastDay: 8,
      busiestHour: 6,
      meanLockSeconds: 750,
      forecast: { expectedHeld: (6 / 3600) * 750, exhaustedInSeconds: null },
    });
  });

  test('forecasts with the rest that a strict quarantine demands', async () => {
    const policy = { lifetimeSeconds: 600, quarantine: 'strict', quarantineSeconds: 3_000 } as const;
    const shop = await openShop(await openTestDb(), { addresses: 5, payments: policy });
    for (let n = 0; n < 4; n++) {
      const payment = await shop.create();
      shop.passTime(600);
      await shop.read();
      await shop.cancel(payment);
    }
    const pool = await poolOf(shop);
    expect(pool).toMatchObject({ quarantined: 4, free: 1, busiestHour: 4 });
    expect(pool.forecast.expectedHeld).toBeCloseTo((4 / 3600) * (pool.meanLockSeconds + 3_000));
  });

  test('a payment settled days after its end held its address only until then', async () => {
    const shop = await openShop(await openTestDb(), { payments: { lifetimeSeconds: 900 } });
    const payment = await shop.create();
    shop.passTime(1_000);
    await shop.read();
    shop.pay(payment, 50);
    await shop.confirmAll();
    shop.passTime(12 * 3600);
    await shop.accept(payment);
    expect((await poolOf(shop)).meanLockSeconds).toBeLessThanOrEqual(900);
  });
});
