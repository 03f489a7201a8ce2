import { expect, test } from 'vitest';
import { measurementMs } from '../../src/core/measurement.ts';
import { createPoolMeasuring } from '../../src/pool/measure.ts';
import { listPoolMeasurements } from '../../src/storage/pool/measurements.ts';
import { openApiServer } from '../support/api-server.ts';
import { describeDatabases } from '../support/databases.ts';

const policy = { quarantineSeconds: 1_800 };

describeDatabases('the pools', (openTestDb) => {
  test('are counted once in each interval, however many processes look, and seldom where there are many of them', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    await api.addAddresses(shop, 'bsc', 3);
    const measuring = () => createPoolMeasuring({ db: api.db, policy, clock: api.now });
    const [one, other] = [measuring(), measuring()];
    const all = { merchantId: shop.id, since: 0, until: Number.MAX_SAFE_INTEGER };
    await Promise.all([one(), other()]);
    await api.addAddresses(shop, 'bsc', 2);
    await Promise.all([one(), other()]);
    expect(await listPoolMeasurements(api.db, all)).toMatchObject([{ network: 'bsc', free: 3, held: 0 }]);
    api.advance(measurementMs / 1000);
    await Promise.all([one(), other()]);
    expect((await listPoolMeasurements(api.db, all)).map(({ free }) => free)).toEqual([3, 5]);

    const others = Array.from({ length: 100 }, (_, n) => ({ id: `mer_${n}`, name: 'Other', created_at: 0 }));
    await api.db.insertInto('merchants').values(others).execute();
    const address = { network: 'bsc', currency: '', label: '', source: 'static', active: 1 } as const;
    const rows = others.map(({ id }) => ({ ...address, merchant_id: id, address: id, address_key: id }));
    await api.db
      .insertInto('addresses')
      .values(rows.map((row) => ({ ...row, locked_by: null, released_at: 0, created_at: 0 })))
      .execute();
    for (let n = 0; n < 12; n++) {
      api.advance(measurementMs / 1000);
      await one();
    }
    // Of twelve intervals, one that was begun before they were known, and every second one.
    const measured = await listPoolMeasurements(api.db, all);
    expect(measured.length - 2).toBeGreaterThanOrEqual(6);
    expect(measured.length - 2).toBeLessThanOrEqual(7);
  });
});
