import { HDKey } from '@scure/bip32';
import { expect, test } from 'vitest';
import { openApiServer } from '../../support/api-server.ts';
import { describeDecisions } from '../../support/databases.ts';

const account = HDKey.fromMasterSeed(Buffer.alloc(32, 4)).derive("m/44'/60'/0'");
const xpub = account.publicExtendedKey;
const order = { amount_usd_cents: 100, network: 'bsc', currency: 'usdt' };

type Pool = { id: number; first_addresses: string[]; derived: number; limit: number };
type Method = { network: string; currency: string; free_addresses: number; available: boolean };

describeDecisions("the operator's derived pools", (openTestDb) => {
  test('a key is added, payments draw addresses from it, and methods count what it can still give', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    const path = `/admin/v1/merchants/${shop.id}/derived-pools/`;
    const added = await api.send<Pool>('POST', path, {
      admin: true,
      json: { network: 'bsc', xpub, label: 'till 1', limit: 3 },
    });
    expect(added).toMatchObject({
      status: 201,
      body: { network: 'bsc', currency: null, label: 'till 1', limit: 3, derived: 0 },
    });
    expect(added.text).not.toContain(xpub);

    const usdt = async () => {
      const { body } = await api.send<{ data: Method[] }>('GET', '/api/v1/methods/', { key: shop.key });
      const method = body.data.find((one) => one.network === 'bsc' && one.currency === 'usdt');
      return [method?.available, method?.free_addresses];
    };
    expect(await usdt()).toEqual([true, 3]);
    for (const address of added.body.first_addresses) {
      const created = await api.send('POST', '/api/v1/payments/', { key: shop.key, json: order });
      expect(created).toMatchObject({ status: 201, body: { assigned_address: address } });
    }
    expect(await usdt()).toEqual([false, 0]);
    const refused = await api.send('POST', '/api/v1/payments/', { key: shop.key, json: order });
    expect(refused).toMatchObject({ status: 503, body: { code: 'all_addresses_held' } });

    const changed = await api.send('PATCH', `${path}${added.body.id}/`, { admin: true, json: { limit: 4 } });
    expect(changed).toMatchObject({ status: 200, body: { limit: 4, derived: 3, used: 0, longest_gap: 3 } });
    expect(await usdt()).toEqual([true, 1]);
    const list = await api.send<{ data: Pool[] }>('GET', path, { admin: true });
    expect(list.body.data).toEqual([changed.body]);

    const addresses = await api.send<{ data: object[] }>('GET', path.replace('derived-pools', 'addresses'), {
      admin: true,
    });
    expect(addresses.body.data[2]).toMatchObject({ derived_pool_id: added.body.id, derivation_index: 2 });
    const removed = await api.send('DELETE', `${path}${added.body.id}/`, { admin: true });
    expect(removed).toMatchObject({ status: 200, body: { id: added.body.id, retired: 3, held: 3 } });
    expect(await api.send('DELETE', `${path}${added.body.id}/`, { admin: true })).toMatchObject({
      status: 404,
    });
    expect((await api.send<{ data: Pool[] }>('GET', path, { admin: true })).body.data).toEqual([]);
  });

  test('a private key is a field error that does not repeat it', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    const path = `/admin/v1/merchants/${shop.id}/derived-pools/`;
    for (const [bad, message] of [
      [account.privateExtendedKey, /^this looks like a private key/],
      ['all all all all all all all all all all all all', /^this looks like a seed phrase/],
      ['xpub', /^not an extended public key/],
    ] as const) {
      const answer = await api.send('POST', path, { admin: true, json: { network: 'bsc', xpub: bad } });
      expect(answer).toMatchObject({
        status: 400,
        body: { errors: { xpub: [expect.stringMatching(message)] } },
      });
      expect(answer.text + JSON.stringify(api.logs)).not.toMatch(/xprv|all all/);
    }
    const rival = await api.addMerchant('Rival');
    const foreign = `/admin/v1/merchants/${rival.id}/derived-pools/1/`;
    expect((await api.send('PATCH', foreign, { admin: true, json: { limit: 1 } })).status).toBe(404);
  });
});
