import { expect, test } from 'vitest';
import { parityRate } from '../../../src/core/money.ts';
import { type ApiServer, openApiServer, type TestMerchant } from '../../support/api-server.ts';
import { testChain, testConfig } from '../../support/config.ts';
import { describeDecisions } from '../../support/databases.ts';

type Method = {
  network: string;
  chain: string;
  currency: string;
  confirmations: number;
  available: boolean;
  reason: string | null;
  free_addresses: number;
};

async function methodsOf(api: ApiServer, shop: TestMerchant): Promise<Record<string, Method>> {
  const { body } = await api.send<{ data: Method[] }>('GET', '/api/v1/methods/', { key: shop.key });
  return Object.fromEntries(body.data.map((method) => [`${method.network} ${method.currency}`, method]));
}

describeDecisions('what can be paid with', (openTestDb) => {
  test('nothing is offered on a chain that is not enabled, and no payment is made on it', async () => {
    const chains = { bsc: testChain('bsc', { enabled: false }), ethereum: testChain('ethereum') };
    const api = await openApiServer(await openTestDb(), { chains });
    const shop = await api.addMerchant();
    await api.addAddresses(shop, 'bsc', 2);
    expect(Object.keys(await methodsOf(api, shop)).filter((method) => method.startsWith('bsc'))).toEqual([]);
    const json = { amount_usd_cents: 5000, network: 'bsc', currency: 'usdt' };
    expect(await api.send('POST', '/api/v1/payments/', { key: shop.key, json })).toMatchObject({
      status: 400,
      body: { errors: { currency: [expect.any(String)] } },
    });
  });

  test('every pair that the configuration offers is listed, with its chain, confirmations and free addresses', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    await api.addAddresses(shop, 'bsc', 2);
    await api.addAddresses(shop, 'bsc', 3, 'usdt');
    const methods = await methodsOf(api, shop);
    expect(Object.keys(methods)).toEqual([
      'bsc usdt',
      'bsc usdc',
      'bsc busd',
      'bsc native',
      'ethereum usdt',
      'ethereum usdc',
      'ethereum busd',
      'ethereum native',
    ]);
    expect(methods['bsc usdt']).toEqual({
      network: 'bsc',
      chain: 'BNB Smart Chain',
      currency: 'usdt',
      confirmations: 15,
      confirmation_tiers: [],
      available: true,
      reason: null,
      free_addresses: 5,
    });
    expect(methods['bsc native']).toMatchObject({ available: true, free_addresses: 2 });
    expect(methods['ethereum usdt']).toMatchObject({
      chain: 'Ethereum',
      confirmations: 12,
      available: false,
      reason: 'no receive address',
      free_addresses: 0,
    });
  });

  test('fewer confirmations for small payments are told, and shown by a payment that they apply to', async () => {
    const tiers = [
      { upToUsdCents: 2_000, confirmations: 2 },
      { upToUsdCents: 10_000, confirmations: 5 },
    ];
    const chains = { bsc: testChain('bsc', { confirmationTiers: tiers }) };
    const api = await openApiServer(await openTestDb(), { chains });
    const shop = await api.addMerchant();
    await api.addAddresses(shop, 'bsc', 4);
    expect((await methodsOf(api, shop))['bsc usdt']).toMatchObject({
      confirmations: 15,
      confirmation_tiers: [
        { up_to_usd_cents: 2_000, confirmations: 2 },
        { up_to_usd_cents: 10_000, confirmations: 5 },
      ],
    });
    for (const [amount_usd_cents, required_confirmations] of [
      [2_000, 2],
      [2_001, 5],
      [10_001, 15],
    ]) {
      const json = { amount_usd_cents, network: 'bsc', currency: 'usdt' };
      const created = await api.send('POST', '/api/v1/payments/', { key: shop.key, json });
      expect(created).toMatchObject({ status: 201, body: { required_confirmations } });
    }
  });

  test('a held address is not free, and a pool that is all held is not available', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    await api.addAddresses(shop, 'bsc', 1, 'usdt');
    const json = { amount_usd_cents: 100, network: 'bsc', currency: 'usdt' };
    await api.send('POST', '/api/v1/payments/', { key: shop.key, json });
    expect((await methodsOf(api, shop))['bsc usdt']).toMatchObject({
      available: false,
      reason: 'every receive address is held by a pending payment',
      free_addresses: 0,
    });
  });

  test('an address in strict quarantine is not free until it has rested', async () => {
    const payments = { ...testConfig().payments, quarantine: 'strict' as const, quarantineSeconds: 60 };
    const api = await openApiServer(await openTestDb(), { payments });
    const shop = await api.addMerchant();
    await api.addAddresses(shop, 'bsc', 1, 'usdt');
    const json = { amount_usd_cents: 100, network: 'bsc', currency: 'usdt' };
    const made = await api.send('POST', '/api/v1/payments/', { key: shop.key, json });
    await api.send('POST', `${made.headers.get('location')}cancel/`, { key: shop.key });
    api.advance(59);
    expect((await methodsOf(api, shop))['bsc usdt']).toMatchObject({ available: false, free_addresses: 0 });
    api.advance(1);
    expect((await methodsOf(api, shop))['bsc usdt']).toMatchObject({ available: true, free_addresses: 1 });
  });

  test('a chain that is stopped or unread says why, and so does a coin without a trustworthy rate', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    await api.addAddresses(shop, 'bsc', 1);
    await api.addAddresses(shop, 'ethereum', 1);
    api.setRates({ usdt: parityRate });
    await api.setChain('ethereum', { stoppedReason: 'finality violated' });
    const methods = await methodsOf(api, shop);
    expect(methods['bsc usdt']).toMatchObject({ available: true, reason: null });
    expect(methods['bsc native']).toMatchObject({ available: false, reason: 'no trustworthy rate' });
    expect(methods['ethereum usdt']).toMatchObject({
      available: false,
      reason: 'the chain is stopped: finality violated',
    });
    api.advance(121);
    expect((await methodsOf(api, shop))['bsc usdt']).toMatchObject({
      available: false,
      reason: 'the chain has not been read for 121 seconds',
    });
  });

  test('a chain that is off is not listed', async () => {
    const api = await openApiServer(await openTestDb(), { chains: { ethereum: testChain('ethereum') } });
    const methods = await methodsOf(api, await api.addMerchant());
    expect(new Set(Object.values(methods).map((method) => method.network))).toEqual(new Set(['ethereum']));
  });
});
