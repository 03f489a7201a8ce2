import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HttpError } from '../../../src/api/http/errors.ts';
import { createInFlight, fingerprintOf, readIdempotencyKey } from '../../../src/api/merchant/idempotency.ts';
import { type ApiServer, openApiServer, type TestMerchant } from '../../support/api-server.ts';
import { describeDatabases } from '../../support/databases.ts';

const order = { amount_usd_cents: 5000, network: 'bsc', currency: 'usdt' };

type Body = { payment_number: string; status: string; assigned_address: string };

function create(api: ApiServer, shop: TestMerchant, key: string, json: object = order) {
  return api.send<Body>('POST', '/api/v1/payments/', {
    key: shop.key,
    json,
    headers: { 'idempotency-key': key },
  });
}

async function shopWithPool(api: ApiServer, addresses: number): Promise<TestMerchant> {
  const shop = await api.addMerchant();
  await api.addAddresses(shop, 'bsc', addresses);
  return shop;
}

describeDatabases('an Idempotency-Key', (openTestDb) => {
  test('a second request with the same key and body answers the same payment as it stands now, marked as replayed', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await shopWithPool(api, 2);
    const first = await create(api, shop, 'order-1');
    expect(first.headers.has('idempotency-replayed')).toBe(false);
    await api.send('POST', `/api/v1/payments/${first.body.payment_number}/cancel/`, { key: shop.key });
    const second = await create(api, shop, 'order-1');
    expect(second).toMatchObject({
      status: 201,
      body: { ...first.body, status: 'cancelled', remaining: null },
    });
    expect(second.headers.get('idempotency-replayed')).toBe('true');
    expect(second.headers.get('location')).toBe(first.headers.get('location'));
  });

  test('bodies are compared by what they mean: other spacing, key order and default values are the same body', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await shopWithPool(api, 2);
    const first = await create(api, shop, 'k', { ...order, metadata: { a: 1, b: { c: 2, d: 3 } } });
    const raw = `{ "metadata": {"b":{"d":3,"c":2},"a":1}, "external_order_id": "",
      "currency":"usdt", "network":"bsc", "amount_usd_cents":5000.0 }`;
    const second = await api.send<Body>('POST', '/api/v1/payments/', {
      key: shop.key,
      raw,
      headers: { 'idempotency-key': 'k' },
    });
    expect(second).toMatchObject({ status: 201, body: { payment_number: first.body.payment_number } });
  });

  test('another body under the same key answers 422 and makes nothing', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await shopWithPool(api, 2);
    await create(api, shop, 'k');
    for (const json of [
      { ...order, amount_usd_cents: 5001 },
      { ...order, metadata: { a: 1 } },
      { ...order, external_order_id: 'x' },
    ]) {
      const answer = await create(api, shop, 'k', json);
      expect(answer).toMatchObject({ status: 422, body: { code: 'idempotency_key_reused' } });
    }
    const list = await api.send<{ data: Body[] }>('GET', '/api/v1/payments/', { key: shop.key });
    expect(list.body.data).toHaveLength(1);
  });

  test('the same key of another merchant is another key', async () => {
    const api = await openApiServer(await openTestDb());
    const [shop, rival] = [await shopWithPool(api, 1), await shopWithPool(api, 1)];
    const [first, second] = [await create(api, shop, 'k'), await create(api, rival, 'k')];
    expect(second.status).toBe(201);
    expect(second.body.payment_number).not.toBe(first.body.payment_number);
  });

  test('is remembered until 24 hours have passed, then makes a new payment and leaves the old one alone', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await shopWithPool(api, 2);
    const first = await create(api, shop, 'k');
    api.advance(24 * 60 * 60 - 1);
    await api.setChain('bsc', { readAt: api.now() });
    expect((await create(api, shop, 'k')).body.payment_number).toBe(first.body.payment_number);
    api.advance(1);
    const second = await create(api, shop, 'k', { ...order, amount_usd_cents: 1 });
    expect(second.status).toBe(201);
    expect(second.headers.has('idempotency-replayed')).toBe(false);
    expect(second.body.payment_number).not.toBe(first.body.payment_number);
    expect((await create(api, shop, 'k', { ...order, amount_usd_cents: 1 })).body.payment_number).toBe(
      second.body.payment_number,
    );
    const old = await api.send('GET', `/api/v1/payments/${first.body.payment_number}/`, { key: shop.key });
    expect(old.body).toEqual(first.body);
  });

  test('50 parallel requests with one key make one payment; the others answer it, or 409 with Retry-After', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await shopWithPool(api, 50);
    const answers = await Promise.all(Array.from({ length: 50 }, () => create(api, shop, 'k')));
    const made = answers.filter((answer) => answer.status === 201);
    expect(new Set(made.map((answer) => answer.body.payment_number)).size).toBe(1);
    expect(made.filter((answer) => !answer.headers.has('idempotency-replayed'))).toHaveLength(1);
    for (const answer of answers.filter((answer) => answer.status !== 201)) {
      expect(answer).toMatchObject({ status: 409, body: { code: 'idempotency_key_in_use' } });
      expect(answer.headers.get('retry-after')).toBe('1');
    }
    const list = await api.send<{ data: Body[] }>('GET', '/api/v1/payments/', { key: shop.key });
    expect(list.body.data).toHaveLength(1);
  });

  test('two daemons on one database make one payment of one key', async () => {
    const db = await openTestDb();
    const api = await openApiServer(db);
    const shop = await shopWithPool(api, 20);
    const twin = await openApiServer(db);
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, n) => create(n % 2 === 0 ? api : twin, shop, 'k')),
    );
    expect(
      answers.map((answer) => answer.status).filter((status) => status !== 201 && status !== 409),
    ).toEqual([]);
    const list = await api.send<{ data: Body[] }>('GET', '/api/v1/payments/', { key: shop.key });
    expect(list.body.data).toHaveLength(1);
    const methods = await api.send<{ data: { currency: string; free_addresses: number }[] }>(
      'GET',
      '/api/v1/methods/',
      { key: shop.key },
    );
    expect(methods.body.data[0]?.free_addresses).toBe(19);
  });

  test('a request that failed is not remembered: the same key works once the cause is gone', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    expect((await create(api, shop, 'k')).status).toBe(400);
    await api.addAddresses(shop, 'bsc', 1);
    const wrong = await create(api, shop, 'k', { ...order, amount_usd_cents: 0 });
    expect(wrong.status).toBe(400);
    expect(await create(api, shop, 'k')).toMatchObject({ status: 201 });
  });

  test('is refused as a field error when it is empty, too long or not printable', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await shopWithPool(api, 1);
    for (const key of ['""', 'x'.repeat(256), 'caf\u00e9', 'a\tb']) {
      const answer = await create(api, shop, key);
      expect(answer).toMatchObject({
        status: 400,
        body: { errors: { 'Idempotency-Key': [expect.any(String)] } },
      });
    }
    expect((await create(api, shop, 'x'.repeat(255))).status).toBe(201);
  });
});

describe('reading an Idempotency-Key', () => {
  test('a key in quotation marks is the same key as without, and no header is no key', () => {
    expect(readIdempotencyKey('"9f1c"')).toBe('9f1c');
    expect(readIdempotencyKey('9f1c')).toBe('9f1c');
    expect(readIdempotencyKey('"')).toBe('"');
    expect(readIdempotencyKey(undefined)).toBeNull();
  });
});

describe('the fingerprint of a body', () => {
  test('is the same for every order of keys and differs as soon as a value does', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue(), { minKeys: 1 }), (body) => {
        const reversed = Object.fromEntries(Object.entries(body).reverse());
        expect(fingerprintOf(reversed)).toBe(fingerprintOf(body));
        const [name] = Object.keys(body) as [string];
        expect(fingerprintOf({ ...body, [name]: { changed: body[name] } })).not.toBe(fingerprintOf(body));
      }),
    );
  });
});

describe('requests in flight', () => {
  test('a second one with the same id is refused with 409 while the first runs, and welcome afterwards', async () => {
    const inFlight = createInFlight();
    const first = Promise.withResolvers<string>();
    const running = inFlight.exclusively('k', () => first.promise);
    const refused = inFlight.exclusively('k', async () => 'second');
    await expect(refused).rejects.toMatchObject({ statusCode: 409, headers: { 'retry-after': '1' } });
    await expect(refused).rejects.toBeInstanceOf(HttpError);
    expect(await inFlight.exclusively('other', async () => 'other')).toBe('other');
    first.resolve('first');
    expect(await running).toBe('first');
    expect(await inFlight.exclusively('k', async () => 'again')).toBe('again');
  });

  test('one that failed is not in the way of the next', async () => {
    const inFlight = createInFlight();
    const failing = inFlight.exclusively('k', () => Promise.reject(new Error('no')));
    await expect(failing).rejects.toThrow('no');
    expect(await inFlight.exclusively('k', async () => 'next')).toBe('next');
  });
});
