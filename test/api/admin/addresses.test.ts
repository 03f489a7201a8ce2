import { expect, test } from 'vitest';
import { evmAddress } from '../../support/addresses.ts';
import { openApiServer } from '../../support/api-server.ts';
import { describeDecisions } from '../../support/databases.ts';

type Listed = { data: { id: number; address: string; held: boolean }[]; next_cursor: string | null };

describeDecisions("the operator's addresses", (openTestDb) => {
  test('good addresses are added and bad ones named with their reason, in the order given', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    const path = `/admin/v1/merchants/${shop.id}/addresses/`;
    const addresses = [evmAddress(1), 'nonsense', evmAddress(1).toLowerCase(), evmAddress(2)];
    const answer = await api.send('POST', path, { admin: true, json: { network: 'bsc', addresses } });
    expect([answer.status, answer.body]).toEqual([
      200,
      {
        added: 2,
        refused: 2,
        results: [
          { address: evmAddress(1), status: 'added', reason: null, id: expect.any(Number) },
          {
            address: 'nonsense',
            status: 'refused',
            reason: 'not an address: expected 0x and 40 hex digits',
            id: null,
          },
          {
            address: evmAddress(1).toLowerCase(),
            status: 'refused',
            reason: 'the same address stands earlier in this list',
            id: null,
          },
          { address: evmAddress(2), status: 'added', reason: null, id: expect.any(Number) },
        ],
      },
    ]);
    const list = await api.send<Listed>('GET', path, { admin: true });
    expect(list.body.data.map((address) => address.address)).toEqual([evmAddress(1), evmAddress(2)]);
  });

  test('5,000 addresses go in one request, and are listed page by page', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    const path = `/admin/v1/merchants/${shop.id}/addresses/`;
    const addresses = Array.from({ length: 5_000 }, (_, n) => evmAddress(n));
    const json = { network: 'ethereum', currency: 'usdc', addresses };
    expect(await api.send('POST', path, { admin: true, json })).toMatchObject({
      status: 200,
      body: { added: 5_000 },
    });
    const first = await api.send<Listed>('GET', `${path}?limit=100&network=ethereum`, { admin: true });
    const second = await api.send<Listed>('GET', `${path}?limit=100&cursor=${first.body.next_cursor}`, {
      admin: true,
    });
    const listed = [...first.body.data, ...second.body.data].map((address) => address.address);
    expect(listed).toEqual(addresses.slice(0, 200));
    const none = await api.send<Listed>('GET', `${path}?network=bsc`, { admin: true });
    expect(none.body).toEqual({ data: [], next_cursor: null });
  });

  test('wrong fields are field errors', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    const good = { network: 'bsc', addresses: [evmAddress(1)] };
    for (const [changes, field] of [
      [{ network: 'x' }, 'network'],
      [{ network: 'bitcoin' }, 'network'],
      [{ currency: 'x' }, 'currency'],
      [{ currency: 'doge' }, 'currency'],
      [{ addresses: [] }, 'addresses'],
      [{ addresses: [1] }, 'addresses'],
      [{ addresses: evmAddress(1) }, 'addresses'],
      [{ label: 'x' }, 'label'],
    ] as const) {
      const json = { ...good, ...changes };
      const answer = await api.send('POST', `/admin/v1/merchants/${shop.id}/addresses/`, {
        admin: true,
        json,
      });
      expect(answer).toMatchObject({ status: 400, body: { errors: { [field]: [expect.any(String)] } } });
    }
  });

  test('the pool tells how many addresses are free and held, pool by pool', async () => {
    const api = await openApiServer(await openTestDb());
    const [shop, rival] = [await api.addMerchant(), await api.addMerchant('Rival')];
    await api.addAddresses(shop, 'bsc', 3, 'usdt');
    await api.addAddresses(shop, 'bsc', 2);
    await api.addAddresses(rival, 'ethereum', 1);
    const json = { amount_usd_cents: 100, network: 'bsc', currency: 'usdt' };
    await api.send('POST', '/api/v1/payments/', { key: shop.key, json });
    const { body } = await api.send(`GET`, `/admin/v1/pool/?merchant_id=${shop.id}`, { admin: true });
    const pool = { merchant_id: shop.id, network: 'bsc', quarantined: 0, retired: 0, derivable: 0 };
    expect(body).toMatchObject({
      data: [
        { ...pool, currency: null, level: 'ok', total: 2, free: 2, held: 0 },
        { ...pool, currency: 'usdt', level: 'ok', total: 3, free: 2, held: 1 },
      ],
      next_cursor: null,
    });
    const all = await api.send<{ data: { merchant_id: string }[] }>('GET', '/admin/v1/pool/', {
      admin: true,
    });
    expect(new Set(all.body.data.map((one) => one.merchant_id))).toEqual(new Set([shop.id, rival.id]));
  });
});
