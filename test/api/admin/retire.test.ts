import { expect, test } from 'vitest';
import { openApiServer } from '../../support/api-server.ts';
import { describeDecisions } from '../../support/databases.ts';

const order = { amount_usd_cents: 100, network: 'bsc', currency: 'usdt' };

describeDecisions('retiring an address', (openTestDb) => {
  test('keeps it from further payments until it is put back, and says so each time', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    await api.addAddresses(shop, 'bsc', 1);
    const path = `/admin/v1/merchants/${shop.id}/addresses/1`;
    for (const _ of ['once', 'again']) {
      expect(await api.send('POST', `${path}/retire/`, { admin: true })).toMatchObject({
        status: 200,
        body: { id: 1, active: false, held: false },
      });
    }
    const refused = await api.send('POST', '/api/v1/payments/', { key: shop.key, json: order });
    expect(refused).toMatchObject({ status: 400, body: { code: 'NoAddressConfiguredError' } });
    expect(await api.send('POST', `${path}/restore/`, { admin: true })).toMatchObject({
      status: 200,
      body: { active: true },
    });
    const created = await api.send('POST', '/api/v1/payments/', { key: shop.key, json: order });
    expect(created.status).toBe(201);
  });

  test("another merchant's and unknown ones are not found, and nothing changes", async () => {
    const api = await openApiServer(await openTestDb());
    const [shop, rival] = [await api.addMerchant(), await api.addMerchant('Rival')];
    await api.addAddresses(shop, 'bsc', 1);
    for (const path of [`${rival.id}/addresses/1`, `${shop.id}/addresses/2`, `${shop.id}/addresses/x`]) {
      const answer = await api.send('POST', `/admin/v1/merchants/${path}/retire/`, { admin: true });
      expect(answer).toMatchObject({ status: 404, body: { detail: 'Not found.' } });
    }
    const created = await api.send('POST', '/api/v1/payments/', { key: shop.key, json: order });
    expect(created.status).toBe(201);
  });
});
