import { describe, expect, onTestFinished, test } from 'vitest';
import { choiceMessages } from '../../../src/checkout/languages/choice.ts';
import { languageTags } from '../../../src/checkout/languages/languages.ts';
import { lookMessages } from '../../../src/checkout/languages/look.ts';
import type { PresentedSession } from '../../../src/present/checkout-sessions.ts';
import type { PresentedPayment } from '../../../src/present/payments.ts';
import {
  type ApiServer,
  openApiServer,
  type TestAnswer,
  type TestMerchant,
} from '../../support/api-server.ts';
import { describeDecisions, openTestSqlite } from '../../support/databases.ts';

const form = { 'content-type': 'application/x-www-form-urlencoded', accept: 'text/html' };

async function openCheckout(api: ApiServer, shop: TestMerchant, more: object = {}) {
  const json = { amount_usd_cents: 5000, external_order_id: 'order-7', ...more };
  const made = await api.send<PresentedSession>('POST', '/api/v1/checkout-sessions/', {
    key: shop.key,
    json,
  });
  const { pathname: path } = new URL(made.body.checkout_url);
  return {
    path,
    id: made.body.id,
    page: (query = '') => api.send<string>('GET', path + query, { headers: { accept: 'text/html' } }),
    choose: (method: string, headers = {}, query = '') =>
      api.send<string>('POST', path + query, {
        raw: `method=${encodeURIComponent(method)}`,
        headers: { ...form, ...headers },
      }),
    post: (raw: string, headers = {}) =>
      api.send<string>('POST', path, { raw, headers: { ...form, ...headers } }),
    read: async () => {
      const answer = await api.send<PresentedSession>('GET', `/api/v1/checkout-sessions/${made.body.id}/`, {
        key: shop.key,
      });
      return answer.body;
    },
  };
}

async function openShop(db: Parameters<typeof openApiServer>[0], addresses = 3) {
  const api = await openApiServer(db);
  const shop = await api.addMerchant('Blue Fox Books');
  if (addresses > 0) await api.addAddresses(shop, 'bsc', addresses);
  return { api, shop };
}

const payPath = (answer: TestAnswer) => new URL(answer.headers.get('location') ?? '', 'http://x').pathname;

describeDecisions('the page on which a payer chooses', (openTestDb) => {
  test('shows each token with its networks, what they take, and leads to the payment that was chosen', async () => {
    const { api, shop } = await openShop(await openTestDb());
    const checkout = await openCheckout(api, shop);
    const page = await checkout.page();
    expect(page.status).toBe(200);
    expect(page.headers.get('content-security-policy')).toContain("form-action 'self'");
    for (const text of [
      'Blue Fox Books',
      '$50.00',
      'order-7',
      'USDT',
      'BNB Smart Chain (BEP20)',
      'Network fee: low',
    ]) {
      expect(page.text).toContain(text);
    }
    expect(page.text).not.toMatch(/<script(?![^>]* src=)/);
    const chosen = await checkout.choose('bsc/usdt');
    expect(chosen.status).toBe(303);
    expect(payPath(chosen)).toMatch(/^\/pay\/[A-Za-z0-9_-]{43}$/);
    expect((await api.send('GET', payPath(chosen), { headers: { accept: 'text/html' } })).status).toBe(200);
    const [number] = (await checkout.read()).payments;
    const payment = await api.send<PresentedPayment>('GET', `/api/v1/payments/${number}/`, { key: shop.key });
    expect(payment.body).toMatchObject({ network: 'bsc', currency: 'usdt', checkout_session: checkout.id });
  });

  test('after a choice leads on to it, and lets another be made instead', async () => {
    const { api, shop } = await openShop(await openTestDb());
    const checkout = await openCheckout(api, shop);
    const first = await checkout.choose('bsc/usdt');
    expect((await checkout.page()).text).toContain(`${payPath(first)}?lang=en`);
    expect(payPath(await checkout.choose('bsc/usdt'))).toBe(payPath(first));
    const second = await checkout.choose('bsc/usdc');
    expect(payPath(second)).not.toBe(payPath(first));
    expect((await checkout.read()).payments).toHaveLength(2);
    // The page of the payment leads back here.
    const pay = await api.send<string>('GET', payPath(second), { headers: { accept: 'text/html' } });
    expect(pay.text).toContain(`href="${checkout.path}?lang=en"`);
  });

  test('greys what cannot be had now, with the reason, and makes nothing of it', async () => {
    const { api, shop } = await openShop(await openTestDb(), 1);
    const [one, other] = [await openCheckout(api, shop), await openCheckout(api, shop)];
    await one.choose('bsc/usdt');
    const { troubles } = choiceMessages.en;
    const button = async (value: string) => {
      const { text } = await other.page();
      return new RegExp(`<button[^>]* value="${value}"[^>]*>.*?</button>`, 's').exec(text)?.[0] ?? '';
    };
    expect(await button('bsc/usdt')).toMatch(/ disabled/);
    expect(await button('bsc/usdt')).toContain(troubles.held);
    expect(await button('ethereum/usdt')).toContain(troubles.no_address);
    for (const method of ['bsc/usdt', 'ethereum/usdt']) {
      const refused = await other.choose(method);
      expect(refused.status).toBe(503);
      expect(refused.text).toContain('role="alert"');
    }
    api.setRates({});
    expect((await one.choose('bsc/usdc')).text).toContain(troubles.rate);
    await api.setChain('bsc', { stoppedReason: 'it contradicts itself' });
    expect(await button('bsc/usdc')).toContain(troubles.chain);
    expect((await other.read()).payments).toEqual([]);
  });

  test('of two tabs that choose at once leaves one payment', async () => {
    const { api, shop } = await openShop(await openTestDb(), 6);
    const checkout = await openCheckout(api, shop);
    const answers = await Promise.all(
      ['bsc/usdt', 'bsc/usdc', 'bsc/busd', 'bsc/usdt'].map((one) => checkout.choose(one)),
    );
    for (const { status } of answers) expect([303, 503]).toContain(status);
    type Page = { data: PresentedPayment[] };
    const list = await api.send<Page>('GET', '/api/v1/payments/?status=pending', { key: shop.key });
    expect(list.body.data).toHaveLength(1);
  });

  test('offers what the shop said alone', async () => {
    const { api, shop } = await openShop(await openTestDb());
    const methods = [{ network: 'bsc', currency: 'usdc' }];
    const checkout = await openCheckout(api, shop, { methods });
    const { text } = await checkout.page();
    expect(text.match(/name="method"/g)).toHaveLength(1);
    expect((await checkout.choose('bsc/usdt')).status).toBe(400);
    expect((await checkout.read()).payments).toEqual([]);
  });

  test('says when its time is over or the shop has cancelled it', async () => {
    const { api, shop } = await openShop(await openTestDb());
    const [expired, cancelled] = [
      await openCheckout(api, shop, { expires_in_seconds: 60 }),
      await openCheckout(api, shop, { locale: 'fr' }),
    ];
    await api.send('POST', `/api/v1/checkout-sessions/${cancelled.id}/cancel/`, { key: shop.key });
    api.advance(61);
    await api.setChain('bsc', { readAt: api.now() });
    expect((await expired.page()).text).toContain(choiceMessages.en.expired.title);
    expect((await expired.choose('bsc/usdt')).text).toContain(choiceMessages.en.expired.title);
    expect((await cancelled.page()).text).toContain(choiceMessages.fr.cancelled.title);
    expect((await expired.read()).payments).toEqual([]);
  });
});

describe('bad input on the page on which a payer chooses', () => {
  async function open() {
    const db = await openTestSqlite();
    onTestFinished(() => db.destroy());
    const { api, shop } = await openShop(db);
    return { api, shop, checkout: await openCheckout(api, shop) };
  }

  test('is answered by a page, stores nothing and is not logged', async () => {
    const { api, checkout } = await open();
    const typed = 'bsc/usdt-OF-A-PAYER';
    for (const [raw, status] of [
      ['', 400],
      ['method=', 400],
      [`method=${typed}`, 400],
      ['method=bsc', 400],
      ['method=bsc/usdt/more', 400],
      ['method=../../etc', 400],
      ['method=%00', 400],
      ['method=__proto__/constructor', 400],
      ['method=bsc/usdt&method=bsc/usdc', 400],
      [`method=${'x'.repeat(1024 * 1024)}`, 413],
    ] as const) {
      const answer = await checkout.post(raw);
      expect([raw.slice(0, 40), answer.status]).toEqual([raw.slice(0, 40), status]);
      expect(answer.headers.get('content-type')).toContain('text/html');
    }
    expect((await checkout.post('{}', { 'content-type': 'application/json' })).status).toBe(415);
    expect((await checkout.post('x', { 'content-type': 'multipart/form-data; boundary=x' })).status).toBe(
      415,
    );
    expect((await checkout.read()).payments).toEqual([]);
    expect(JSON.stringify(api.logs)).not.toContain('OF-A-PAYER');
  });

  test('from another site is refused', async () => {
    const { checkout, api } = await open();
    for (const headers of [
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
      { origin: 'https://evil.example' },
    ]) {
      expect((await checkout.choose('bsc/usdt', headers)).status).toBe(403);
    }
    expect((await checkout.read()).payments).toEqual([]);
    // A page without a referrer sends this of itself.
    expect(
      (await checkout.choose('bsc/usdt', { origin: 'null', 'sec-fetch-site': 'same-origin' })).status,
    ).toBe(303);
    expect((await checkout.choose('bsc/usdt', { origin: new URL(api.config.publicUrl).origin })).status).toBe(
      303,
    );
  });

  test('under a token that opens nothing, or a payment, is a page that is not found', async () => {
    const { api, checkout } = await open();
    const chosen = payPath(await checkout.choose('bsc/usdt'));
    for (const path of [
      `/checkout/${'x'.repeat(43)}`,
      '/checkout/short',
      chosen.replace('/pay/', '/checkout/'),
      checkout.path.replace('/checkout/', '/pay/'),
    ]) {
      const page = await api.send('GET', path, { headers: { accept: 'text/html' } });
      expect(page.status, path).toBe(404);
      expect(page.headers.get('content-type')).toContain('text/html');
    }
    const raw = 'method=bsc/usdt';
    expect((await api.send('POST', `/checkout/${'x'.repeat(43)}`, { raw, headers: form })).status).toBe(404);
  });
});

describe('every language', () => {
  test.each(languageTags.filter((tag) => tag !== 'en'))(
    '%s has a text of its own for each of the choice and the look',
    (tag) => {
      const textsOf = (value: unknown): string[] => {
        if (typeof value === 'string') return [value];
        if (typeof value === 'function') return [String(value('1', '2'))];
        return Object.values(value as object).flatMap(textsOf);
      };
      for (const catalogue of [choiceMessages, lookMessages]) {
        const [own, english] = [textsOf(catalogue[tag]), textsOf(catalogue.en)];
        expect(own).toHaveLength(english.length);
        expect(own.filter((text) => text === '' || english.includes(text))).toEqual([]);
      }
    },
  );
});
