import { expect, test } from 'vitest';
import { messagesIn } from '../../../src/checkout/languages/languages.ts';
import { inTransaction } from '../../../src/storage/database.ts';
import { changeBrand } from '../../../src/storage/operators/brands.ts';
import { type ApiServer, openApiServer } from '../../support/api-server.ts';
import { testConfig } from '../../support/config.ts';
import { describeDecisions, openTestSqlite } from '../../support/databases.ts';

const order = {
  amount_usd_cents: 5000,
  network: 'bsc',
  currency: 'usdt',
  external_order_id: 'order-9837',
  customer_email: 'ada@example.com',
  redirect_url: 'https://merchant.example/thanks',
  metadata: { sku: 'GOLD-PLAN' },
};

type Made = { payment_number: string; payment_token: string; assigned_address: string };

async function openPage(api: ApiServer, more: object = {}) {
  const shop = await api.addMerchant('Blue Fox Books');
  await api.addAddresses(shop, 'bsc', 1);
  const { body } = await api.send<Made>('POST', '/api/v1/payments/', {
    key: shop.key,
    json: { ...order, ...more },
  });
  return { shop, ...body, path: `/pay/${body.payment_token}` };
}

const browser = { accept: 'text/html', 'accept-language': 'es-MX,es;q=0.9' };

describeDecisions('the page of a payment', (openTestDb) => {
  test('shows what to send where, in the language of the browser or the one that is asked for', async () => {
    const api = await openApiServer(await openTestDb());
    const { path, assigned_address: address } = await openPage(api);
    const page = await api.send('GET', path, { headers: browser });
    expect(page.status).toBe(200);
    for (const part of ['50.000000', 'BNB Smart Chain (BEP20)', address.slice(0, 6), address.slice(-6)]) {
      expect(page.text).toContain(part);
    }
    expect(page.text).toContain(messagesIn('es').states.waiting.title);
    expect(page.text).toContain('Blue Fox Books');
    expect((await api.send('GET', `${path}/?lang=ru`, { headers: browser })).text).toContain(
      messagesIn('ru').states.waiting.title,
    );
    expect((await api.send('GET', `${path}?lang=xx&lang=yy`, { headers: browser })).text).toContain(
      'lang="es"',
    );
  });

  test('answers its status as JSON, the same as long as nothing happens', async () => {
    const api = await openApiServer(await openTestDb());
    const { path, payment_number, assigned_address, shop } = await openPage(api);
    const status = await api.send<Record<string, unknown>>('GET', `${path}/status`);
    expect(status.body).toMatchObject({
      payment_number,
      status: 'pending',
      state: 'waiting',
      final: false,
      address: assigned_address,
      amount: '50.000000',
      chain_available: true,
    });
    const etag = status.headers.get('etag') ?? '';
    const same = await api.send('GET', `${path}/status`, { headers: { 'if-none-match': etag } });
    expect([same.status, same.text]).toEqual([304, '']);
    expect((await api.send('GET', path)).text).toContain(`data-version=${etag}`);
    await api.send('POST', `/api/v1/payments/${payment_number}/cancel/`, { key: shop.key, json: {} });
    const changed = await api.send('GET', `${path}/status`, { headers: { 'if-none-match': etag } });
    expect(changed.body).toMatchObject({ state: 'cancelled', final: true, address: null, amount: null });
  });

  test('goes on while there is no price and its chain is not read, and says that the time is over when it is', async () => {
    const api = await openApiServer(await openTestDb());
    const { path } = await openPage(api);
    api.setRates({});
    await api.setChain('bsc', { stoppedReason: 'a test' });
    expect((await api.send('GET', path)).text).toContain(messagesIn('en').delayed);
    api.advance(1801);
    const over = await api.send('GET', path);
    expect(over.text).toContain('If you have paid already, it will be found.');
    expect(over.text).not.toMatch(/id="qr"|copy-address|id="timer"/);
  });

  test('shows a merchant’s name, colour and logo as they were set', async () => {
    const db = await openTestDb();
    const api = await openApiServer(db);
    const { path, shop } = await openPage(api);
    const logo = { type: 'image/png', bytes: Buffer.from('a picture') } as const;
    await inTransaction(db, (trx) =>
      changeBrand(trx, shop.id, {
        displayName: 'Fox',
        accent: '0b6b40',
        logo,
        supportUrl: 'https://fox.example/',
      }),
    );
    const { text } = await api.send('GET', path);
    expect(text).toContain('?accent=0b6b40');
    expect(text).toContain('https://fox.example/');
    const [, src = ''] = /<img src="([^"]+)" alt="Fox"/.exec(text) ?? [];
    const picture = await api.send('GET', src);
    expect([picture.status, picture.text, picture.headers.get('content-type')]).toEqual([
      200,
      'a picture',
      'image/png',
    ]);
    const style = await api.send('GET', /href="([^"]+\?accent=0b6b40)"/.exec(text)?.[1] ?? '');
    expect(style.text).toContain('--accent:#0b6b40');
    await inTransaction(db, (trx) => changeBrand(trx, shop.id, { logo: null }));
    expect((await api.send('GET', path)).text).not.toContain('<img');
    expect((await api.send('GET', src)).status).toBe(404);
  });
});

test('a page has the headers that keep everything else out', async () => {
  const api = await openApiServer(await openTestSqlite());
  const { path } = await openPage(api);
  const { headers } = await api.send('GET', path);
  expect(headers.get('content-security-policy')).toBe(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; " +
      "base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
  );
  expect(headers.get('referrer-policy')).toBe('no-referrer');
  expect(headers.get('cache-control')).toBe('no-store');
  expect(headers.get('x-robots-tag')).toBe('noindex');
  expect(headers.get('x-frame-options')).toBe('DENY');
  expect(headers.get('x-content-type-options')).toBe('nosniff');
});

test('only the origins of checkout.embedOrigins may show a page in a frame', async () => {
  const checkout = { ...testConfig().checkout, embedOrigins: ['https://shop.example'] };
  const api = await openApiServer(await openTestSqlite(), { checkout });
  const { path } = await openPage(api);
  const { headers, text } = await api.send('GET', path);
  expect(headers.get('content-security-policy')).toContain('frame-ancestors https://shop.example;');
  expect(headers.has('x-frame-options')).toBe(false);
  expect(text).toContain('data-embed="https://shop.example"');
});

test('every token that opens nothing is answered by the same page, and none is logged', async () => {
  const api = await openApiServer(await openTestSqlite());
  const { path, payment_token: token } = await openPage(api);
  await api.send('GET', path);
  const wrong = ['x', 'A'.repeat(43), token.toLowerCase(), `${token}A`, '%00', '..%2f', 'Ä'.repeat(43)];
  const answers = [];
  for (const text of wrong)
    answers.push(await api.send('GET', `/pay/${encodeURIComponent(text)}`, { headers: browser }));
  expect(answers.map(({ status }) => status)).toEqual(wrong.map(() => 404));
  expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
  expect(answers[0]?.text).toContain(messagesIn('es').notFound.title);
  expect((await api.send('GET', `/pay/${'A'.repeat(43)}/status`)).status).toBe(404);
  expect(JSON.stringify(api.logs)).not.toContain(token);
});

test('a path that is none below the pages is a page that is not found, in the payer’s language', async () => {
  const api = await openApiServer(await openTestSqlite());
  const { path } = await openPage(api);
  for (const none of ['/pay/', '/pay/x/y', `${path}/y`, `${path}/find/more`, '/checkout/x/y', '/checkout/']) {
    const page = await api.send('GET', none, { headers: browser });
    expect([none, page.status]).toEqual([none, 404]);
    expect(page.text, none).toContain(messagesIn('es').notFound.title);
    expect(page.headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
  }
});

test('nothing of a payment that is the shop’s alone is on its page or in its status', async () => {
  const api = await openApiServer(await openTestSqlite());
  const { path, shop } = await openPage(api);
  const page = (await api.send('GET', path)).text + (await api.send('GET', `${path}/status`)).text;
  for (const secret of [order.customer_email, 'GOLD-PLAN', shop.key, shop.id, shop.keyId])
    expect(page).not.toContain(secret);
});

test('the style sheet and the script may be kept for ever: their names change with them', async () => {
  const api = await openApiServer(await openTestSqlite());
  const { path } = await openPage(api);
  const { text } = await api.send('GET', path);
  for (const pattern of [/href="(\/pay\/assets\/[^"]+\.css)"/, /src="(\/pay\/assets\/[^"]+\.js)"/]) {
    const url = pattern.exec(text)?.[1] ?? '';
    const asset = await api.send('GET', url);
    expect(asset.headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
    const etag = asset.headers.get('etag') ?? '';
    expect((await api.send('GET', url, { headers: { 'if-none-match': etag } })).status).toBe(304);
    expect((await api.send('GET', url.replace(/-[0-9a-f]{16}/, '-0000000000000000'))).status).toBe(404);
  }
});

test('too many requests of one page, or from one address, are refused in the payer’s language', async () => {
  const checkout = { ...testConfig().checkout, requestsPerSecond: 2 };
  const api = await openApiServer(await openTestSqlite(), { checkout });
  const { path } = await openPage(api);
  const ask = async (from: string, to = path) =>
    (await api.send('GET', to, { headers: { ...browser, 'x-forwarded-for': from } })).status;
  expect([await ask('203.0.113.1'), await ask('203.0.113.2')]).toEqual([200, 200]);
  const refused = await api.send('GET', path, { headers: { ...browser, 'x-forwarded-for': '203.0.113.3' } });
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '1']);
  expect(refused.text).toContain(messagesIn('es').tooMany.title);
  // Whoever guesses has ten guesses a second.
  const guesses = [];
  for (let n = 0; n < 11; n++) guesses.push(await ask('203.0.113.9', `/pay/${'A'.repeat(43)}`));
  expect(guesses.filter((status) => status === 404).length).toBeLessThanOrEqual(10);
  expect(guesses.at(-1)).toBe(429);
  api.advance(1);
  expect(await ask('203.0.113.9')).toBe(200);
});

test('who asks is told by X-Forwarded-For from a trusted proxy alone', async () => {
  const checkout = { ...testConfig().checkout, requestsPerSecond: 1, trustedProxies: ['10.0.0.0/8'] };
  const api = await openApiServer(await openTestSqlite(), { checkout });
  const ask = async (n: number) =>
    (await api.send('GET', '/pay/none', { headers: { 'x-forwarded-for': `203.0.113.${n}` } })).status;
  const statuses = [];
  for (let n = 0; n < 6; n++) statuses.push(await ask(n));
  expect(statuses).toEqual([404, 404, 404, 404, 404, 429]);
});
