import { expect, test } from 'vitest';
import { type ApiServer, openApiServer, type TestMerchant } from '../../support/api-server.ts';
import { describeDecisions } from '../../support/databases.ts';

type Page = { data: { payment_number: string; status: string }[]; next_cursor: string | null };

async function create(api: ApiServer, shop: TestMerchant, changes: object = {}): Promise<string> {
  const json = { amount_usd_cents: 100, network: 'bsc', currency: 'usdt', ...changes };
  const answer = await api.send<{ payment_number: string }>('POST', '/api/v1/payments/', {
    key: shop.key,
    json,
  });
  expect(answer.status).toBe(201);
  return answer.body.payment_number;
}

describeDecisions('retrieving a payment', (openTestDb) => {
  test("an unknown number and another merchant's are answered the same, byte for byte", async () => {
    const api = await openApiServer(await openTestDb());
    const [shop, rival] = [await api.addMerchant(), await api.addMerchant('Rival')];
    await api.addAddresses(rival, 'bsc', 1);
    const foreign = await create(api, rival);
    const unknown = `${foreign.slice(0, -1)}${foreign.endsWith('0') ? '1' : '0'}`;
    const answers = [];
    for (const number of [foreign, unknown, 'PAY-2026-000123', 'nonsense', '%00', 'PAY-2026-%C3%28']) {
      for (const [method, path] of [
        ['GET', `/api/v1/payments/${number}/`],
        ['POST', `/api/v1/payments/${number}/cancel/`],
      ] as const) {
        answers.push(await api.send(method, path, { key: shop.key }));
      }
    }
    const shown = answers.map(({ status, text, headers }) => {
      const kept = Object.fromEntries(headers);
      delete kept.date;
      delete kept['x-ratelimit-remaining'];
      return JSON.stringify({ status, text, kept });
    });
    // The last two paths are no UTF-8: no payment's, whoever asks.
    expect(new Set(shown.slice(0, -2)).size).toBe(1);
    expect(answers[0]).toMatchObject({ status: 404, body: { detail: 'Not found.' } });
    expect((await api.send('GET', `/api/v1/payments/${foreign}/`, { key: rival.key })).status).toBe(200);
  });

  test('paths work with and without their last slash', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    await api.addAddresses(shop, 'bsc', 2);
    const number = await create(api, shop);
    const slashed = await api.send('GET', `/api/v1/payments/${number}/`, { key: shop.key });
    const bare = await api.send('GET', `/api/v1/payments/${number}`, { key: shop.key });
    expect([slashed.status, bare.text]).toEqual([200, slashed.text]);
    const json = { amount_usd_cents: 100, network: 'bsc', currency: 'usdt' };
    expect((await api.send('POST', '/api/v1/payments', { key: shop.key, json })).status).toBe(201);
    expect((await api.send('GET', '/api/v1/payments?limit=1', { key: shop.key })).status).toBe(200);
  });
});

describeDecisions('cancelling a payment', (openTestDb) => {
  test('a pending payment is cancelled once, its address is free again, and an event says so', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    await api.addAddresses(shop, 'bsc', 1);
    const number = await create(api, shop);
    const cancelled = await api.send('POST', `/api/v1/payments/${number}/cancel/`, { key: shop.key });
    expect(cancelled).toMatchObject({ status: 200, body: { payment_number: number, status: 'cancelled' } });
    const empty = await api.send('POST', `/api/v1/payments/${number}/cancel/`, { key: shop.key, raw: '' });
    expect(empty.status).toBe(409);
    const again = await api.send('POST', `/api/v1/payments/${number}/cancel/`, { key: shop.key, json: {} });
    expect(again).toMatchObject({ status: 409, body: { code: 'not_cancellable' } });
    await create(api, shop);
    type Feed = { data: { body: { event: string; payment_id: string } }[] };
    const events = await api.send<Feed>('GET', '/api/v1/events/', { key: shop.key });
    const told = events.body.data.map(({ body }) => [body.event, body.payment_id]);
    expect(told).toContainEqual(['payment.cancelled', number]);
  });

  test('of 20 parallel cancellations one succeeds', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    await api.addAddresses(shop, 'bsc', 1);
    const number = await create(api, shop);
    const answers = await Promise.all(
      Array.from({ length: 20 }, () =>
        api.send('POST', `/api/v1/payments/${number}/cancel/`, { key: shop.key }),
      ),
    );
    expect(answers.map((answer) => answer.status).sort()).toEqual([200, ...Array(19).fill(409)]);
  });
});

describeDecisions('listing payments', (openTestDb) => {
  test('pages hold every payment of the merchant once, newest first, and nobody else’s', async () => {
    const api = await openApiServer(await openTestDb());
    const [shop, rival] = [await api.addMerchant(), await api.addMerchant('Rival')];
    await api.addAddresses(shop, 'bsc', 7);
    await api.addAddresses(rival, 'bsc', 1);
    const created: string[] = [];
    for (let n = 0; n < 7; n++) created.unshift(await create(api, shop));
    await create(api, rival);
    const listed: string[] = [];
    const sizes: number[] = [];
    for (let cursor: string | null = ''; cursor !== null; ) {
      const page: { body: Page } = await api.send(
        'GET',
        `/api/v1/payments/?limit=3${cursor === '' ? '' : `&cursor=${cursor}`}`,
        { key: shop.key },
      );
      listed.push(...page.body.data.map((payment) => payment.payment_number));
      sizes.push(page.body.data.length);
      cursor = page.body.next_cursor;
    }
    expect(listed).toEqual(created);
    expect(sizes).toEqual([3, 3, 1]);
  });

  test('filters by status, network, currency, order and time', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    await api.addAddresses(shop, 'bsc', 3);
    await api.addAddresses(shop, 'ethereum', 1);
    const first = await create(api, shop, { external_order_id: 'a & b/ü' });
    await api.send('POST', `/api/v1/payments/${first}/cancel/`, { key: shop.key });
    api.advance(10);
    const second = await create(api, shop, { currency: 'usdc' });
    api.advance(10);
    const third = await create(api, shop, { network: 'ethereum' });
    const list = async (query: string) => {
      const { body } = await api.send<Page>('GET', `/api/v1/payments/?${query}`, { key: shop.key });
      return body.data.map((payment) => payment.payment_number);
    };
    expect(await list('')).toEqual([third, second, first]);
    expect(await list('status=cancelled')).toEqual([first]);
    expect(await list('network=ethereum')).toEqual([third]);
    expect(await list('currency=usdc')).toEqual([second]);
    expect(await list(`external_order_id=${encodeURIComponent('a & b/ü')}`)).toEqual([first]);
    expect(await list('created_after=2026-05-24T11:35:05Z')).toEqual([third, second]);
    expect(await list('created_before=2026-05-24T13:35:15%2B02:00')).toEqual([second, first]);
    expect(await list('status=pending&network=bsc')).toEqual([second]);
  });

  test('a wrong filter, cursor or limit is a field error', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    for (const [query, field] of [
      ['status=open', 'status'],
      ['network=btc', 'network'],
      ['limit=0', 'limit'],
      ['limit=101', 'limit'],
      ['limit=ten', 'limit'],
      ['limit=1&limit=2', 'limit'],
      ['cursor=abc', 'cursor'],
      ['created_after=yesterday', 'created_after'],
      ['created_before=2026-02-30T00:00:00Z', 'created_before'],
      ['external_order_id=%00', 'external_order_id'],
      ['colour=red', 'colour'],
    ] as const) {
      const answer = await api.send('GET', `/api/v1/payments/?${query}`, { key: shop.key });
      expect(answer, query).toMatchObject({
        status: 400,
        body: { errors: { [field]: [expect.any(String)] } },
      });
    }
  });
});
