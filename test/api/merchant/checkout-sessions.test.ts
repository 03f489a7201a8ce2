import { expect, test } from 'vitest';
import { expireSessions } from '../../../src/payments/sessions.ts';
import type { PresentedSession } from '../../../src/present/checkout-sessions.ts';
import { type ApiServer, openApiServer, type TestMerchant } from '../../support/api-server.ts';
import { describeDecisions } from '../../support/databases.ts';

const order = { amount_usd_cents: 5000, external_order_id: 'order-7' };
const path = '/api/v1/checkout-sessions/';

function create(api: ApiServer, shop: TestMerchant, json: object = order, key?: string) {
  const headers: Record<string, string> = key === undefined ? {} : { 'idempotency-key': key };
  return api.send<PresentedSession>('POST', path, { key: shop.key, json, headers });
}

async function eventsOf(api: ApiServer, shop: TestMerchant) {
  type Item = { body: { event: string; checkout_session: string; session: PresentedSession } };
  const answer = await api.send<{ data: Item[] }>('GET', '/api/v1/events/', { key: shop.key });
  return answer.body.data.map(({ body }) => body);
}

describeDecisions('a checkout session', (openTestDb) => {
  test('takes a price and what may be used, locks nothing, and answers where the payer chooses', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    const json = {
      ...order,
      methods: [{ network: 'bsc', currency: 'usdt' }],
      customer_email: 'jo@example.com',
      redirect_url: 'https://shop.example/thanks',
      cancel_url: 'https://shop.example/cart',
      metadata: { sku: 'GOLD' },
      locale: 'pt-BR',
      expires_in_seconds: 3600,
    };
    const { status, body, headers } = await create(api, shop, json);
    const { expires_in_seconds, ...echoed } = json;
    expect(status).toBe(201);
    expect(body).toEqual({
      id: expect.stringMatching(/^cs_[0-9a-f]{32}$/),
      status: 'open',
      ...echoed,
      price: { amount: '50.00', currency: 'USD' },
      checkout_url: expect.stringMatching(/\/checkout\/[A-Za-z0-9_-]{43}$/),
      payments: [],
      expires_at: '2026-05-24T12:35:00Z',
      created_at: '2026-05-24T11:35:00Z',
      livemode: true,
    });
    expect(headers.get('location')).toBe(`${path}${body.id}/`);
    const read = await api.send('GET', `${path}${body.id}/`, { key: shop.key });
    expect(read.body).toEqual(body);
  });

  test('has its price in any currency, and both as given and in cents', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    const { body } = await create(api, shop, { amount: '45.00', amount_currency: 'EUR' });
    expect(body.price).toEqual({ amount: '45.00', currency: 'EUR' });
    expect(body.amount_usd_cents).toBeGreaterThan(4500);
  });

  test('is made once for an Idempotency-Key, which stands for nothing else then', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    await api.addAddresses(shop, 'bsc', 1);
    const [first, second] = [await create(api, shop, order, 'k'), await create(api, shop, order, 'k')];
    expect(second).toMatchObject({ status: 201, body: { id: first.body.id } });
    expect(second.headers.get('idempotency-replayed')).toBe('true');
    const other = await create(api, shop, { ...order, amount_usd_cents: 1 }, 'k');
    expect(other).toMatchObject({ status: 422, body: { code: 'idempotency_key_reused' } });
    const payment = await api.send('POST', '/api/v1/payments/', {
      key: shop.key,
      json: { amount_usd_cents: 5000, network: 'bsc', currency: 'usdt' },
      headers: { 'idempotency-key': 'k' },
    });
    expect(payment).toMatchObject({ status: 422, body: { code: 'idempotency_key_reused' } });
  });

  test('names each wrong field', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    for (const [field, json] of [
      ['redirect_url', { ...order, redirect_url: 'javascript:alert(1)' }],
      ['cancel_url', { ...order, cancel_url: 'data:text/html,x' }],
      ['cancel_url', { ...order, cancel_url: 'https://shop.example@evil.example/' }],
      ['methods', { ...order, methods: [{ network: 'bsc', currency: 'doge' }] }],
      ['methods', { ...order, methods: [{ network: 'nochain', currency: 'usdt' }] }],
      ['methods', { ...order, methods: Array(101).fill({ network: 'bsc', currency: 'usdt' }) }],
      ['locale', { ...order, locale: '../en' }],
      ['expires_in_seconds', { ...order, expires_in_seconds: 59 }],
      ['expires_in_seconds', { ...order, expires_in_seconds: 1e9 }],
      ['amount_usd_cents', {}],
      ['amount', { ...order, amount: '1.00', amount_currency: 'USD' }],
      ['network', { ...order, network: 'bsc' }],
    ] as const) {
      const answer = await create(api, shop, json);
      expect(answer, JSON.stringify(json)).toMatchObject({
        status: 400,
        body: { errors: { [field]: [expect.any(String)] } },
      });
    }
    for (const [field, query] of [
      ['cursor', 'cursor=none'],
      ['cursor', `cursor=${'9'.repeat(400)}`],
      ['status', 'status=paid'],
      ['status', 'status=open&status=expired'],
      ['limit', 'limit=0'],
      ['created_after', 'created_after=yesterday'],
      ['colour', 'colour=red'],
    ] as const) {
      const answer = await api.send('GET', `${path}?${query}`, { key: shop.key });
      expect(answer, query).toMatchObject({
        status: 400,
        body: { errors: { [field]: [expect.any(String)] } },
      });
    }
    const none = await api.send<{ data: unknown[] }>('GET', path, { key: shop.key });
    expect(none.body.data).toEqual([]);
  });

  test('of another merchant is not found, byte for byte like one that does not exist', async () => {
    const api = await openApiServer(await openTestDb());
    const [shop, rival] = [await api.addMerchant(), await api.addMerchant()];
    const { body } = await create(api, shop);
    const foreign = await api.send('GET', `${path}${body.id}/`, { key: rival.key });
    const missing = await api.send('GET', `${path}cs_${'0'.repeat(32)}/`, { key: rival.key });
    expect(foreign.status).toBe(404);
    expect(foreign.text).toBe(missing.text);
    const cancel = await api.send('POST', `${path}${body.id}/cancel/`, { key: rival.key });
    expect(cancel.text).toBe(missing.text);
  });

  test('is listed newest first, page by page, and filtered by what it is now', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    const ids: string[] = [];
    for (let n = 0; n < 5; n++) {
      ids.unshift((await create(api, shop, { ...order, expires_in_seconds: n < 2 ? 60 : 3600 })).body.id);
      api.advance(1);
    }
    const list = async (query: string) => {
      type Page = { data: PresentedSession[]; next_cursor: string | null };
      return (await api.send<Page>('GET', `${path}?${query}`, { key: shop.key })).body;
    };
    const first = await list('limit=3');
    expect(first.data.map(({ id }) => id)).toEqual(ids.slice(0, 3));
    const rest = await list(`limit=3&cursor=${first.next_cursor}`);
    expect(rest.data.map(({ id }) => id)).toEqual(ids.slice(3));
    expect(rest.next_cursor).toBeNull();
    api.advance(60);
    expect((await list('status=open')).data.map(({ id }) => id)).toEqual(ids.slice(0, 3));
    expect((await list('status=expired')).data.map(({ id }) => id)).toEqual(ids.slice(3));
    expect((await list('status=completed')).data).toEqual([]);
    expect((await list('external_order_id=nobody')).data).toEqual([]);
  });

  test('is listed among the expired ones once, newest first, whether it is stored as expired or just over', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    const ids: string[] = [];
    for (const expires_in_seconds of [60, 300, 60, 300, 3600]) {
      ids.unshift((await create(api, shop, { ...order, expires_in_seconds })).body.id);
      api.advance(1);
    }
    api.advance(60);
    expect(await expireSessions({ db: api.db, clock: api.now })).toEqual({ expired: 2, more: false });
    api.advance(240);
    const seen: string[] = [];
    for (let cursor: string | null = ''; cursor !== null; ) {
      type Page = { data: PresentedSession[]; next_cursor: string | null };
      const page: { body: Page } = await api.send<Page>(
        'GET',
        `${path}?status=expired&limit=1${cursor === '' ? '' : `&cursor=${cursor}`}`,
        { key: shop.key },
      );
      seen.push(...page.body.data.map(({ id }) => id));
      cursor = page.body.next_cursor;
    }
    expect(seen).toEqual(ids.slice(1));
  });

  test('reads as expired at once when its time is over, and is told of once', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    const { body } = await create(api, shop, { ...order, expires_in_seconds: 60 });
    api.advance(60);
    const read = () => api.send<PresentedSession>('GET', `${path}${body.id}/`, { key: shop.key });
    expect((await read()).body.status).toBe('expired');
    const deps = { db: api.db, clock: api.now };
    expect(await expireSessions(deps)).toEqual({ expired: 1, more: false });
    expect(await expireSessions(deps)).toEqual({ expired: 0, more: false });
    expect((await read()).body.status).toBe('expired');
    const { checkout_url, ...shown } = (await read()).body;
    expect(await eventsOf(api, shop)).toEqual([
      expect.objectContaining({
        event: 'checkout_session.expired',
        checkout_session: body.id,
        session: shown,
      }),
    ]);
    expect(checkout_url).not.toBe('');
    const cancel = await api.send('POST', `${path}${body.id}/cancel/`, { key: shop.key });
    expect(cancel).toMatchObject({ status: 409, body: { code: 'not_cancellable' } });
  });

  test('is cancelled once, and told of', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    const { body } = await create(api, shop);
    const cancel = () => api.send<PresentedSession>('POST', `${path}${body.id}/cancel/`, { key: shop.key });
    const answers = await Promise.all([cancel(), cancel()]);
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409]);
    expect((await eventsOf(api, shop)).map(({ event }) => event)).toEqual(['checkout_session.cancelled']);
  });
});
