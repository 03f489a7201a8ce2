import { connect } from 'node:net';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseJsonBody } from '../../src/api/http/body.ts';
import { type ApiServer, openApiServer, type TestMerchant } from '../support/api-server.ts';
import { describeDecisions } from '../support/databases.ts';
import { anyText } from '../support/text.ts';

const order = { amount_usd_cents: 5000, network: 'bsc', currency: 'usdt' };

/** Writes all of `text` to the server, then reads what it says until the connection ends. */
async function exchange(url: string, text: string): Promise<string> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.write(text, (error) => (error ? reject(error) : resolve()));
  });
  let answer = '';
  for await (const chunk of socket) answer += chunk;
  return answer;
}

/** What a merchant could see of a change. */
async function stateOf(api: ApiServer, shop: TestMerchant): Promise<string[]> {
  const answers = [];
  for (const path of ['/api/v1/payments/', '/api/v1/events/', '/api/v1/methods/']) {
    answers.push((await api.send('GET', path, { key: shop.key })).text);
  }
  return answers;
}

const fieldCases: [what: string, changes: Record<string, unknown>, field: string, message: RegExp][] = [
  ['no amount', { amount_usd_cents: undefined }, 'amount_usd_cents', /required/],
  ['an amount of zero', { amount_usd_cents: 0 }, 'amount_usd_cents', /at least 1/],
  ['a negative amount', { amount_usd_cents: -1 }, 'amount_usd_cents', /at least 1/],
  ['more than a million dollars', { amount_usd_cents: 100_000_001 }, 'amount_usd_cents', /at most 100000000/],
  ['2^53', { amount_usd_cents: 2 ** 53 }, 'amount_usd_cents', /at most|whole number/],
  ['half a cent', { amount_usd_cents: 50.5 }, 'amount_usd_cents', /whole number/],
  [
    'an amount in quotes',
    { amount_usd_cents: '5000' },
    'amount_usd_cents',
    /expected a number, found a text/,
  ],
  ['null as amount', { amount_usd_cents: null }, 'amount_usd_cents', /found null/],
  ['a list as amount', { amount_usd_cents: [5000] }, 'amount_usd_cents', /found a list/],
  ['an unknown network', { network: 'bitcoin' }, 'network', /expected one of bsc, ethereum/],
  ['a network in capitals', { network: 'BSC' }, 'network', /expected one of/],
  ['an unknown currency', { currency: 'doge' }, 'currency', /expected one of usdt, usdc, busd, native/],
  ['a number as currency', { currency: 1 }, 'currency', /expected one of/],
  [
    'an order id that is too long',
    { external_order_id: 'x'.repeat(256) },
    'external_order_id',
    /at most 255/,
  ],
  ['an order id with NUL', { external_order_id: 'a\u0000b' }, 'external_order_id', /control characters/],
  ['half a surrogate pair', { external_order_id: 'a\ud800' }, 'external_order_id', /control characters/],
  ['a malformed e-mail address', { customer_email: 'ada.example.com' }, 'customer_email', /e-mail/],
  ['a javascript: URL', { redirect_url: 'javascript:alert(1)' }, 'redirect_url', /http or https/],
  ['a relative URL', { redirect_url: '/thanks' }, 'redirect_url', /http or https/],
  ['a URL with a user name', { redirect_url: 'https://shop.example@evil.example/' }, 'redirect_url', /http/],
  ['a URL with a space', { redirect_url: 'https://shop.example/a b' }, 'redirect_url', /http/],
  ['a list as metadata', { metadata: [1] }, 'metadata', /expected an object, found a list/],
  [
    '51 keys of metadata',
    { metadata: Object.fromEntries(Array.from({ length: 51 }, (_, n) => [`k${n}`, n])) },
    'metadata',
    /at most 50 keys/,
  ],
  ['17 KiB of metadata', { metadata: { text: 'ä'.repeat(8700) } }, 'metadata', /at most 16384 bytes/],
  ['an unknown field', { amount_usd: 5000 }, 'amount_usd', /unknown field/],
  ['a field named like one of Object', { toString: 1 }, 'toString', /unknown field/],
  ['a field named constructor', { constructor: { prototype: {} } }, 'constructor', /unknown field/],
];

const rawCases: [what: string, raw: string | Uint8Array<ArrayBuffer>, body: object][] = [
  ['malformed JSON', '{"amount_usd_cents": 5000,', { detail: expect.stringMatching(/not valid JSON/) }],
  ['nothing', '', { errors: { body: ['a JSON object is required'] } }],
  ['a list', '[]', { errors: { body: ['expected an object, found a list'] } }],
  ['a number', '5000', { errors: { body: ['expected an object, found a number'] } }],
  [
    'an infinite number',
    '{"amount_usd_cents":1e400,"network":"bsc","currency":"usdt"}',
    { errors: { amount_usd_cents: ['a number is too large'] } },
  ],
  [
    '__proto__',
    '{"amount_usd_cents":1,"network":"bsc","currency":"usdt","__proto__":{"a":1}}',
    { errors: JSON.parse('{"__proto__":["the name \\"__proto__\\" is not allowed"]}') },
  ],
  [
    '__proto__ within metadata, escaped',
    '{"amount_usd_cents":1,"network":"bsc","currency":"usdt","metadata":{"a":[{"\\u005f_proto__":1}]}}',
    { errors: { metadata: ['the name "__proto__" is not allowed'] } },
  ],
  [
    'metadata 20,000 levels deep',
    `{"amount_usd_cents":1,"network":"bsc","currency":"usdt","metadata":{"a":${'['.repeat(20_000)}${']'.repeat(20_000)}}}`,
    { errors: { metadata: ['nested more than 16 levels deep'] } },
  ],
  [
    'invalid UTF-8',
    new Uint8Array([...new TextEncoder().encode('{"external_order_id":"'), 0xff, 0xfe, 0x22, 0x7d]),
    { detail: 'The body is not valid UTF-8.' },
  ],
  ['UTF-16', new Uint8Array([0xff, 0xfe, 0x7b, 0, 0x7d, 0]), { detail: 'The body is not valid UTF-8.' }],
];

describeDecisions('bad input', (openTestDb) => {
  test('is answered with the field that is wrong and what was expected, and changes nothing', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    await api.addAddresses(shop, 'bsc', 1);
    const before = await stateOf(api, shop);
    for (const [what, changes, field, message] of fieldCases) {
      const json = { ...order, ...changes };
      const answer = await api.send<{ errors: Record<string, string[]> }>('POST', '/api/v1/payments/', {
        key: shop.key,
        json,
      });
      expect(answer.status, what).toBe(400);
      expect(Object.keys(answer.body.errors), what).toEqual([field]);
      expect(answer.body.errors[field]?.[0], what).toMatch(message);
    }
    for (const [what, raw, body] of rawCases) {
      const answer = await api.send('POST', '/api/v1/payments/', { key: shop.key, raw });
      expect([answer.status, answer.body], what).toEqual([400, body]);
    }
    expect(await stateOf(api, shop)).toEqual(before);
  });

  test('all faults of a request are named at once', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    const json = { amount_usd_cents: 0, network: 'x', metadata: 1, colour: 'red' };
    const answer = await api.send<{ errors: object }>('POST', '/api/v1/payments/', { key: shop.key, json });
    expect(Object.keys(answer.body.errors).sort()).toEqual([
      'amount_usd_cents',
      'colour',
      'currency',
      'metadata',
      'network',
    ]);
  });

  test('a body that is no JSON by its type answers 415, one over 64 KiB 413, one of exactly 64 KiB is read', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    const send = (raw: string, type: string) =>
      api.send('POST', '/api/v1/payments/', { key: shop.key, raw, headers: { 'content-type': type } });
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/xml', 'nonsense']) {
      expect(await send('{}', type), type).toMatchObject({
        status: 415,
        body: { detail: expect.any(String) },
      });
    }
    const padded = (size: number) => JSON.stringify(order).padEnd(size);
    expect(await send(padded(64 * 1024 + 1), 'application/json')).toMatchObject({
      status: 413,
      body: { detail: 'The body is too large.' },
    });
    expect(await send(padded(64 * 1024), 'application/json; charset=utf-8')).toMatchObject({
      body: { code: 'NoAddressConfiguredError' },
    });
  });

  test('a body of 10 MB is refused with 413 wherever it is sent, also to a client that writes all before it reads', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    const raw = 'x'.repeat(10_000_000);
    for (const path of ['/api/v1/payments/', '/admin/v1/merchants/']) {
      const answer = await api.send('POST', path, { key: shop.key, admin: true, raw });
      expect(answer).toMatchObject({ status: 413, body: { detail: 'The body is too large.' } });
    }
    const head = `POST /api/v1/payments/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-API-Key: ${shop.key}\r\nContent-Type: application/json\r\n`;
    const text = await exchange(api.url, `${head}Content-Length: ${raw.length}\r\n\r\n${raw}`);
    expect(text).toMatch(/^HTTP\/1\.1 413 /);
    expect((await api.send('GET', '/api/v1/payments/', { key: shop.key })).status).toBe(200);
  });

  test('what is no HTTP, or has a head that is too large, is answered in the same shape', async () => {
    const api = await openApiServer(await openTestDb());
    expect(await exchange(api.url, 'nonsense\r\n\r\n')).toMatch(
      /^HTTP\/1\.1 400 [^{]*\{"detail":"Bad Request\."\}$/,
    );
    const large = `GET / HTTP/1.1\r\nHost: x\r\nX-Large: ${'x'.repeat(100_000)}\r\n\r\n`;
    expect(await exchange(api.url, large)).toMatch(/^HTTP\/1\.1 431 [^{]*\{"detail":"[^"]+"\}$/);
  });

  test('malformed URLs, unknown paths and methods are answered in the documented shapes', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    for (const [method, path, status] of [
      ['GET', '/api/v1/payments/%E0%A4%A/', 400],
      ['GET', `/api/v1/payments/${'x'.repeat(300)}/`, 404],
      ['GET', '/api/v1/', 404],
      ['GET', '/api/v2/payments/', 404],
      ['GET', '/', 404],
      ['GET', '/api/v1/payments//', 404],
    ] as const) {
      const answer = await api.send(method, path, { key: shop.key });
      expect([answer.status, answer.body], path).toEqual([status, { detail: expect.any(String) }]);
    }
  });

  test('a path that is none is answered 404 with where the paths are described', async () => {
    const api = await openApiServer(await openTestDb());
    const detail = 'There is no such path. GET /api/v1/schema/ describes those that there are.';
    for (const path of ['/', '/api/v1/', '/api/v1/paymentz/', '/admin/v1/merchant/']) {
      const answer = await api.send('GET', path);
      expect([answer.status, answer.body], path).toEqual([404, { detail }]);
    }
  });

  test('a method that a path does not serve is answered 405 with those that it does', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    for (const [method, path, allow] of [
      ['PUT', '/api/v1/payments/', 'GET, HEAD, POST'],
      ['PUT', '/api/v1/payments?limit=1', 'GET, HEAD, POST'],
      ['DELETE', '/api/v1/payments/PAY-2026-AAAAAA/', 'GET, HEAD'],
      ['GET', '/api/v1/payments/PAY-2026-AAAAAA/cancel', 'POST'],
      ['QUERY', '/api/v1/events/', 'GET, HEAD'],
      ['OPTIONS', '/healthz', 'GET, HEAD'],
      ['POST', '/admin/v1/audit/', 'GET, HEAD'],
    ] as const) {
      const answer = await api.send(method, path, { key: shop.key });
      expect([answer.status, answer.headers.get('allow')], `${method} ${path}`).toEqual([405, allow]);
      expect(answer.body).toEqual({ detail: expect.any(String) });
    }
    expect(
      await exchange(api.url, 'TRACE /api/v1/payments/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'),
    ).toMatch(/^HTTP\/1\.1 405 [^{]*allow: GET, HEAD, POST\r\n/i);
  });

  test('a type that is named where there is no body is no fault', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    await api.addAddresses(shop, 'bsc', 3);
    for (const type of ['application/x-www-form-urlencoded', 'text/plain', 'application/json']) {
      const created = await api.send<{ payment_number: string }>('POST', '/api/v1/payments/', {
        key: shop.key,
        json: order,
      });
      const path = `/api/v1/payments/${created.body.payment_number}/cancel/`;
      const cancelled = await api.send('POST', path, {
        key: shop.key,
        raw: '',
        headers: { 'content-type': type },
      });
      expect(cancelled, type).toMatchObject({ status: 200, body: { status: 'cancelled' } });
    }
  });

  test('two orders whose 64-bit numbers differ are never taken for one', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    await api.addAddresses(shop, 'bsc', 3);
    const send = (id: string) =>
      api.send('POST', '/api/v1/payments/', {
        key: shop.key,
        raw: JSON.stringify({ ...order, metadata: { id: 'ID' } }).replace('"ID"', id),
        headers: { 'content-type': 'application/json', 'idempotency-key': 'order' },
      });
    expect((await send('738529527931269425')).status).toBe(400);
    expect(await send('"738529527931269425"')).toMatchObject({
      status: 201,
      body: { metadata: { id: '738529527931269425' } },
    });
    expect((await send('"738529527931269426"')).status).toBe(422);
  });

  test('whatever is sent to whatever route, the server never answers 5xx and logs no error of its own', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    const schemas = await Promise.all([
      api.send<{ paths: object }>('GET', '/api/v1/schema/'),
      api.send<{ paths: object }>('GET', '/admin/v1/schema/', { admin: true }),
    ]);
    const routes = schemas.flatMap(({ body }) =>
      Object.entries(body.paths).flatMap(([path, operations]) =>
        Object.keys(operations).map((method) => [method.toUpperCase(), path] as const),
      ),
    );
    const segment = fc.oneof(
      fc.constantFrom(
        shop.id,
        shop.keyId,
        'PAY-2026-AAAAAA',
        '0',
        '-1',
        '1e9',
        '99999999999999999999',
        '%00',
      ),
      anyText({ minLength: 1 }).map((text) => encodeURIComponent(text.toWellFormed())),
    );
    const value = fc.oneof(
      fc.jsonValue({ maxDepth: 3 }),
      fc.constantFrom(
        0,
        -1,
        1e308,
        'bsc',
        'usdt',
        5000,
        '\u0000',
        '💥',
        '1970-01-01T00:00:00Z',
        null,
        [],
        {},
      ),
    );
    const names = [
      'amount_usd_cents',
      'network',
      'currency',
      'metadata',
      'name',
      'url',
      'events',
      'addresses',
    ];
    const json = fc.oneof(
      value,
      fc.dictionary(fc.oneof(fc.constantFrom(...names, 'endpoint_id', 'since'), fc.string()), value),
    );
    const query = fc.dictionary(
      fc.constantFrom('limit', 'cursor', 'after', 'status', 'network', 'merchant_id', 'created_after', 'x'),
      anyText().map((text) => text.toWellFormed()),
      { maxKeys: 2 },
    );
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...routes),
        fc.array(segment, { minLength: 3, maxLength: 3 }),
        fc.option(json, { nil: undefined }),
        query,
        async ([method, template], segments, body, params) => {
          let next = 0;
          const path = template.replaceAll(/\{[^}]+\}/g, () => segments[next++] as string);
          const search = new URLSearchParams(params).toString();
          const answer = await api.send(method, search === '' ? path : `${path}?${search}`, {
            key: shop.key,
            admin: true,
            ...(method === 'GET' || body === undefined ? {} : { json: body }),
          });
          expect(answer.status).toBeLessThan(500);
        },
      ),
      { numRuns: 300 },
    );
    expect(api.logs.filter((line) => line.level === 'error')).toEqual([]);
  });
});

describe('reading a JSON body', () => {
  test('every JSON value that JavaScript keeps exactly is read as it is', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 8 }), (value) => {
        fc.pre(!JSON.stringify(value).includes('__proto__'));
        expect(parseJsonBody(Buffer.from(JSON.stringify(value)))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  test('arbitrary bytes are read or refused with 400, never anything else', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        try {
          parseJsonBody(Buffer.from(bytes));
        } catch (error) {
          expect(error).toMatchObject({ statusCode: 400 });
        }
      }),
    );
  });
});
