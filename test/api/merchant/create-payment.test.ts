import { sql } from 'kysely';
import { expect, onTestFinished, test } from 'vitest';
import { openDatabase } from '../../../src/storage/database.ts';
import { evmAddress } from '../../support/addresses.ts';
import { openApiServer } from '../../support/api-server.ts';
import { describeDecisions, freshDatabaseUrl } from '../../support/databases.ts';

const order = {
  amount_usd_cents: 5000,
  network: 'bsc',
  currency: 'usdt',
  external_order_id: 'order-9837',
  customer_email: 'ada@example.com',
  redirect_url: 'https://merchant.example/orders/9837/thanks',
  metadata: { sku: 'GOLD-PLAN', lines: [{ n: 1 }], note: 'größer ✓' },
};

describeDecisions('creating a payment', (openTestDb) => {
  test('answers 201 with the documented fields, the price, an address of the pool and where to find it', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    await api.addAddresses(shop, 'bsc', 1);
    const answer = await api.send<Record<string, string>>('POST', '/api/v1/payments/', {
      key: shop.key,
      json: order,
    });
    expect(answer.status).toBe(201);
    expect(answer.body).toEqual({
      payment_number: expect.stringMatching(/^PAY-2026-[0-9A-Z]{6,}$/),
      status: 'pending',
      network: 'bsc',
      currency: 'usdt',
      amount_usd_cents: 5000,
      expected_crypto_amount: '50.000000',
      actual_crypto_amount: null,
      assigned_address: evmAddress(1),
      tx_hash: '',
      confirmations: 0,
      external_order_id: 'order-9837',
      customer_email: 'ada@example.com',
      redirect_url: 'https://merchant.example/orders/9837/thanks',
      metadata: order.metadata,
      payment_token: expect.stringMatching(/^[\w-]{43}$/),
      checkout_url: `https://pay.example.com/pay/${answer.body.payment_token}`,
      expires_at: '2026-05-24T12:05:00Z',
      confirmed_at: null,
      created_at: '2026-05-24T11:35:00Z',
      reason: null,
      deposits: [],
      deposits_total: 0,
      remaining: '50.000000',
      price: { amount: '50.00', currency: 'USD' },
      provider: null,
      required_confirmations: 15,
      locale: '',
      checkout_session: '',
      replaces: null,
      replaced_by: null,
      livemode: true,
    });
    expect(answer.headers.get('location')).toBe(`/api/v1/payments/${answer.body.payment_number}/`);
    expect(answer.headers.has('idempotency-replayed')).toBe(false);
    expect(api.woken).toEqual(['bsc']);
    const found = await api.send('GET', answer.headers.get('location') ?? '', { key: shop.key });
    expect(found.text).toBe(answer.text);
  });

  test('fields that are not given, or empty, are empty in the answer', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    await api.addAddresses(shop, 'bsc', 2);
    const { amount_usd_cents, network, currency } = order;
    const empty = { external_order_id: '', customer_email: '', redirect_url: '', metadata: {} };
    for (const json of [
      { amount_usd_cents, network, currency },
      { ...order, ...empty },
    ]) {
      const answer = await api.send('POST', '/api/v1/payments/', { key: shop.key, json });
      expect(answer).toMatchObject({ status: 201, body: empty });
    }
  });

  test('metadata comes back as it was given, also under names that mean something to JavaScript', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    await api.addAddresses(shop, 'bsc', 1);
    const metadata = {
      constructor: 'a',
      toString: 1,
      'a.b': [null, true, 1.5, '\u0000\n💥'],
      '': {},
      prototype: { hasOwnProperty: [] },
    };
    const json = { ...order, metadata };
    const made = await api.send<{ metadata: object }>('POST', '/api/v1/payments/', { key: shop.key, json });
    expect(made.body.metadata).toEqual(metadata);
    const found = await api.send('GET', made.headers.get('location') ?? '', { key: shop.key });
    expect(found.text).toBe(made.text);
  });

  test('each payment gets another address, the one that rested longest first', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    await api.addAddresses(shop, 'bsc', 3, 'usdt');
    const given: string[] = [];
    for (let n = 0; n < 3; n++) {
      const { body } = await api.send<Record<string, string>>('POST', '/api/v1/payments/', {
        key: shop.key,
        json: order,
      });
      given.push(body.assigned_address as string);
    }
    expect(given).toEqual([evmAddress(1), evmAddress(2), evmAddress(3)]);
  });

  test('100 parallel creations over 10 addresses give 10 payments on 10 addresses and 90 times 503', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    await api.addAddresses(shop, 'bsc', 10);
    const answers = await Promise.all(
      Array.from({ length: 100 }, () =>
        api.send<Record<string, string>>('POST', '/api/v1/payments/', { key: shop.key, json: order }),
      ),
    );
    const created = answers.filter((answer) => answer.status === 201);
    const refused = answers.filter((answer) => answer.status === 503);
    expect([created.length, refused.length]).toEqual([10, 90]);
    expect(new Set(created.map((answer) => answer.body.assigned_address)).size).toBe(10);
    for (const answer of refused) {
      expect(answer.body).toEqual({ error: expect.any(String), code: 'all_addresses_held' });
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    }
  });

  test('a pair for which the merchant has no address answers 400 NoAddressConfiguredError', async () => {
    const api = await openApiServer(await openTestDb());
    const [shop, rival] = [await api.addMerchant(), await api.addMerchant('Rival')];
    await api.addAddresses(rival, 'bsc', 1);
    await api.addAddresses(shop, 'bsc', 1, 'usdc');
    const answer = await api.send('POST', '/api/v1/payments/', { key: shop.key, json: order });
    expect(answer).toMatchObject({
      status: 400,
      body: { error: expect.any(String), code: 'NoAddressConfiguredError' },
    });
  });

  test('a pair that the configuration does not offer is a field error on currency', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    for (const [network, currency, message] of [
      ['tron', 'usdt', 'usdt on tron is not offered here'],
      ['bsc', 'doge', 'doge on bsc is not offered here; expected one of usdt, usdc, busd, native'],
    ]) {
      const json = { ...order, network, currency };
      const answer = await api.send('POST', '/api/v1/payments/', { key: shop.key, json });
      expect(answer).toMatchObject({ status: 400, body: { errors: { currency: [message] } } });
    }
  });

  test('without a trustworthy rate it answers 503 rate_unavailable and holds no address', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    await api.addAddresses(shop, 'bsc', 1);
    api.setRates({});
    const answer = await api.send('POST', '/api/v1/payments/', { key: shop.key, json: order });
    expect(answer).toMatchObject({ status: 503, body: { code: 'rate_unavailable' } });
    const methods = await api.send('GET', '/api/v1/methods/', { key: shop.key });
    expect(methods.text).toContain('"free_addresses":1');
  });

  test('a chain that is stopped, or unread for two minutes, answers 503 chain_unavailable; the other goes on', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    await api.addAddresses(shop, 'bsc', 1);
    await api.addAddresses(shop, 'ethereum', 2);
    const create = (network: string) =>
      api.send('POST', '/api/v1/payments/', { key: shop.key, json: { ...order, network } });

    await api.setChain('bsc', { stoppedReason: 'finality violated' });
    expect(await create('bsc')).toMatchObject({ status: 503, body: { code: 'chain_unavailable' } });
    expect((await create('ethereum')).status).toBe(201);

    await api.setChain('bsc', { stoppedReason: null });
    api.advance(120);
    await api.setChain('ethereum', { readAt: api.now() });
    expect((await create('ethereum')).status).toBe(201);
    api.advance(1);
    expect(await create('bsc')).toMatchObject({ status: 503, body: { code: 'chain_unavailable' } });
  });
});

test('a full disk answers 503 storage_unavailable, changes nothing, and creation works again once there is room', async () => {
  const db = await openDatabase(await freshDatabaseUrl('SQLite'));
  onTestFinished(() => db.destroy());
  const api = await openApiServer(db);
  const shop = await api.addMerchant();
  await api.addAddresses(shop, 'bsc', 2);
  const { rows } = await sql<{ page_count: number }>`pragma page_count`.execute(db);
  await sql.raw(`pragma max_page_count = ${rows[0]?.page_count ?? 0}`).execute(db);
  const json = { ...order, metadata: { text: 'x'.repeat(15_000) } };
  const headers = { 'idempotency-key': 'k' };
  const refused = await api.send('POST', '/api/v1/payments/', { key: shop.key, json, headers });
  expect(refused).toMatchObject({ status: 503, body: { code: 'storage_unavailable' } });
  expect(api.logs.filter((line) => line.level === 'error')).toEqual([]);
  expect((await api.send('GET', '/api/v1/payments/', { key: shop.key })).body).toMatchObject({ data: [] });
  await sql`pragma max_page_count = 1000000`.execute(db);
  expect((await api.send('POST', '/api/v1/payments/', { key: shop.key, json, headers })).status).toBe(201);
});
