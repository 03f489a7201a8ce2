import { expect, test } from 'vitest';
import { inTransaction, openDatabase } from '../../../src/storage/database.ts';
import { revokeKey } from '../../../src/storage/operators/merchants.ts';
import { type ApiServer, openApiServer } from '../../support/api-server.ts';
import { testAdminToken } from '../../support/config.ts';
import { describeDecisions, freshDatabaseUrl } from '../../support/databases.ts';

type Document = { paths: Record<string, Record<string, { security?: unknown[] }>> };

/** Every documented route, but those that say that they need nothing. */
async function guardedRoutes(api: ApiServer, path: string): Promise<[method: string, path: string][]> {
  const { body } = await api.send<Document>('GET', path, { admin: true });
  return Object.entries(body.paths).flatMap(([template, operations]) =>
    Object.entries(operations)
      .filter(([, operation]) => operation.security?.length !== 0)
      .map(([method]): [string, string] => [method.toUpperCase(), template.replaceAll(/\{[^}]+\}/g, 'x')]),
  );
}

describeDecisions('who may call the API', (openTestDb) => {
  test('every merchant route answers 401 without a key, with a wrong one, and with the admin token instead', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    const routes = await guardedRoutes(api, '/api/v1/schema/');
    expect(routes.length).toBeGreaterThanOrEqual(6);
    for (const [method, path] of routes) {
      const attempts: Record<string, string>[] = [
        {},
        { 'x-api-key': '' },
        { 'x-api-key': `pk_${'0'.repeat(64)}` },
        { 'x-api-key': shop.key.toUpperCase() },
        { 'x-api-key': ` ${shop.key}x` },
        { 'x-api-key': shop.keyId },
        { authorization: `Bearer ${shop.key}` },
        { authorization: `Basic ${btoa(`${shop.key}:`)}` },
        { authorization: `Bearer ${testAdminToken}` },
        { cookie: `x-api-key=${shop.key}` },
      ];
      for (const headers of attempts) {
        const answer = await api.send(method, path, { headers });
        expect([answer.status, answer.body], `${method} ${path}`).toEqual([
          401,
          { detail: expect.any(String) },
        ]);
      }
      const inQuery = await api.send(method, `${path}?api_key=${shop.key}&x-api-key=${shop.key}`);
      expect(inQuery.status).toBe(401);
    }
  });

  test('every admin route answers 401 without the admin token, with a wrong one, and with a merchant’s key', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    const routes = await guardedRoutes(api, '/admin/v1/schema/');
    expect(routes.length).toBeGreaterThanOrEqual(10);
    for (const [method, path] of routes) {
      const attempts: Record<string, string>[] = [
        {},
        { authorization: '' },
        { authorization: 'Bearer ' },
        { authorization: testAdminToken },
        { authorization: `Bearer ${testAdminToken}x` },
        { authorization: `Bearer ${testAdminToken.slice(0, -1)}` },
        { authorization: `Basic ${btoa(`admin:${testAdminToken}`)}` },
        { 'x-api-key': shop.key },
        { 'x-api-key': testAdminToken },
      ];
      for (const headers of attempts) {
        const answer = await api.send(method, path, { headers });
        expect([answer.status, answer.body], `${method} ${path}`).toEqual([
          401,
          { detail: expect.any(String) },
        ]);
        expect(answer.headers.get('www-authenticate')).toBe('Bearer');
      }
    }
    const scheme = { headers: { authorization: `bearer ${testAdminToken}` } };
    expect((await api.send('GET', '/admin/v1/merchants/', scheme)).status).toBe(200);
  });

  test.each([
    [{}, 'No API key: send yours in the X-API-Key header.'],
    [
      { authorization: `Bearer pk_${'0'.repeat(64)}` },
      'No API key: it is sent in the X-API-Key header, not in Authorization.',
    ],
    [
      { 'x-api-key': 'pk_0123' },
      'This is not an API key: expected pk_ and 64 digits of 0-9 and a-f, as it was shown when it was made.',
    ],
    [
      { 'x-api-key': testAdminToken },
      'This is not an API key: expected pk_ and 64 digits of 0-9 and a-f, as it was shown when it was made.',
    ],
    [
      { 'x-api-key': `pk_${'0'.repeat(64)}` },
      'This API key is unknown or was revoked. Whoever runs depositd can add another: depositd key add.',
    ],
  ])('a merchant’s route says what is wrong with %j', async (headers, detail) => {
    const api = await openApiServer(await openTestDb());
    expect((await api.send('GET', '/api/v1/payments/', { headers })).body).toEqual({ detail });
  });

  test('an unknown key and a revoked one are answered alike', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    await api.send('DELETE', `/admin/v1/merchants/${shop.id}/api-keys/${shop.keyId}/`, { admin: true });
    const [revoked, unknown] = await Promise.all([
      api.send('GET', '/api/v1/payments/', { key: shop.key }),
      api.send('GET', '/api/v1/payments/', { key: `pk_${'0'.repeat(64)}` }),
    ]);
    expect(revoked?.text).toBe(unknown?.text);
  });

  test.each([
    [{}, 'No admin token: send Authorization: Bearer and the adminToken of the configuration.'],
    [
      { 'x-api-key': `pk_${'0'.repeat(64)}` },
      'A merchant’s API key does not open this: send Authorization: Bearer and the adminToken of the configuration.',
    ],
    [
      { authorization: `Bearer pk_${'0'.repeat(64)}` },
      'A merchant’s API key does not open this: send Authorization: Bearer and the adminToken of the configuration.',
    ],
    [
      { authorization: testAdminToken },
      'Authorization is not as expected: send Bearer, a space, and the adminToken of the configuration.',
    ],
    [
      { authorization: 'Bearer no-such-token' },
      'This is not the admin token: expected the adminToken of the configuration.',
    ],
  ])('an operator’s route says what is wrong with %j', async (headers, detail) => {
    const api = await openApiServer(await openTestDb());
    expect((await api.send('GET', '/admin/v1/merchants/', { headers })).body).toEqual({ detail });
  });

  test('a key that is revoked over HTTP fails at the next request, and the merchant’s other keys go on', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    const added = await api.send<{ id: string; api_key: string }>(
      'POST',
      `/admin/v1/merchants/${shop.id}/api-keys/`,
      { admin: true },
    );
    expect((await api.send('GET', '/api/v1/payments/', { key: shop.key })).status).toBe(200);
    await api.send('DELETE', `/admin/v1/merchants/${shop.id}/api-keys/${shop.keyId}/`, { admin: true });
    expect((await api.send('GET', '/api/v1/payments/', { key: shop.key })).status).toBe(401);
    expect((await api.send('GET', '/api/v1/payments/', { key: added.body.api_key })).status).toBe(200);
  });

  test('no key and no token appears in a log line or an answer of an error', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    const answers = [];
    for (const path of ['/api/v1/payments/x/', '/api/v1/nothing/', '/api/v1/payments/?limit=0']) {
      answers.push(await api.send('GET', path, { key: shop.key, admin: true }));
    }
    const seen = JSON.stringify([api.logs, answers.map((answer) => [answer.text, [...answer.headers]])]);
    expect(seen).not.toContain(shop.key);
    expect(seen).not.toContain(testAdminToken);
    expect(await api.registry.metrics()).not.toContain(shop.key);
  });
});

describeDecisions('a key that another process revokes', (_openTestDb, kind) => {
  test('fails at the next request here', async () => {
    const url = await freshDatabaseUrl(kind);
    const [here, there] = [await openDatabase(url), await openDatabase(url)];
    try {
      const api = await openApiServer(here);
      const shop = await api.addMerchant();
      expect((await api.send('GET', '/api/v1/payments/', { key: shop.key })).status).toBe(200);
      await inTransaction(there, (trx) => revokeKey(trx, { id: shop.keyId, at: api.now() }));
      expect((await api.send('GET', '/api/v1/payments/', { key: shop.key })).status).toBe(401);
    } finally {
      await Promise.all([here.destroy(), there.destroy()]);
    }
  });
});
