import { Ajv } from 'ajv';
import { describe, expect, onTestFinished, test } from 'vitest';
import { openDatabase } from '../../../src/storage/database.ts';
import type { Db } from '../../../src/storage/schema.ts';
import { openApiServer } from '../../support/api-server.ts';
import { freshDatabaseUrl } from '../../support/databases.ts';

type Operation = {
  operationId: string;
  summary: string;
  tags: string[];
  requestBody?: { content: Record<string, { schema: object }> };
  responses: Record<string, { description: string }>;
};
type Document = {
  openapi: string;
  servers: { url: string }[];
  tags: { name: string }[];
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, object> };
};

async function openTestDb(): Promise<Db> {
  const db = await openDatabase(await freshDatabaseUrl('SQLite'));
  onTestFinished(() => db.destroy());
  return db;
}

describe('the OpenAPI document', () => {
  test('is served without a key, and describes exactly the public calls', async () => {
    const api = await openApiServer(await openTestDb());
    const { status, body } = await api.send<Document>('GET', '/api/v1/schema/');
    expect([status, body.openapi, body.servers]).toEqual([
      200,
      '3.0.3',
      [{ url: 'https://pay.example.com' }],
    ]);
    const calls = Object.entries(body.paths).flatMap(([path, operations]) =>
      Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect(calls.sort()).toEqual([
      'GET /api/v1/checkout-sessions/',
      'GET /api/v1/checkout-sessions/{id}/',
      'GET /api/v1/events/',
      'GET /api/v1/methods/',
      'GET /api/v1/payments/',
      'GET /api/v1/payments/{payment_number}/',
      'GET /api/v1/providers/{name}/balance/',
      'GET /api/v1/providers/{name}/methods/',
      'GET /api/v1/providers/{name}/transactions/',
      'GET /api/v1/schema/',
      'POST /api/v1/checkout-sessions/',
      'POST /api/v1/checkout-sessions/{id}/cancel/',
      'POST /api/v1/payments/',
      'POST /api/v1/payments/{payment_number}/cancel/',
      'POST /api/v1/payments/{payment_number}/capture/',
      'POST /api/v1/payments/{payment_number}/refunds/',
    ]);
  });

  test('names every operation once, with a summary, a known tag and words for every status', async () => {
    const api = await openApiServer(await openTestDb());
    for (const path of ['/api/v1/schema/', '/admin/v1/schema/']) {
      const { body } = await api.send<Document>('GET', path, { admin: true });
      const operations = Object.values(body.paths).flatMap((one) => Object.values(one));
      const ids = operations.map((operation) => operation.operationId);
      expect(new Set(ids).size).toBe(ids.length);
      const tags = body.tags.map((tag) => tag.name);
      for (const operation of operations) {
        expect(operation.summary, operation.operationId).toBeTruthy();
        expect(tags).toEqual(expect.arrayContaining(operation.tags));
        for (const response of Object.values(operation.responses)) {
          expect(response.description).not.toBe('Default Response');
        }
      }
    }
  });

  test('refers only to schemas that it holds, and holds none that nothing refers to', async () => {
    const api = await openApiServer(await openTestDb());
    for (const path of ['/api/v1/schema/', '/admin/v1/schema/']) {
      const { body, text } = await api.send<Document>('GET', path, { admin: true });
      const references = new Set(
        [...text.matchAll(/"#\/components\/schemas\/([^"]+)"/g)].map((match) => match[1]),
      );
      expect(references).toEqual(new Set(Object.keys(body.components.schemas)));
    }
  });

  test('its schema of a creation accepts what the server accepts and refuses what it refuses', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    await api.addAddresses(shop, 'bsc', 5);
    const { body } = await api.send<Document>('GET', '/api/v1/schema/');
    const schema = body.paths['/api/v1/payments/']?.post?.requestBody?.content['application/json']?.schema;
    const validate = new Ajv({ strict: false, validateFormats: false }).compile(schema ?? false);
    const order = { amount_usd_cents: 100, network: 'bsc', currency: 'usdt' };
    for (const json of [
      order,
      { ...order, metadata: { a: [1, null] }, external_order_id: 'x', customer_email: '', redirect_url: '' },
      { ...order, amount_usd_cents: 0 },
      { ...order, amount_usd_cents: 1.5 },
      { ...order, network: 'x' },
      { ...order, colour: 'red' },
      { ...order, external_order_id: 'x'.repeat(256) },
      { network: 'bsc', currency: 'usdt' },
      { network: 'bsc', currency: 'usdt', amount: '45.00', amount_currency: 'EUR' },
      { network: 'bsc', currency: 'usdt', amount: '45.00' },
      { ...order, amount: '45.00', amount_currency: 'EUR' },
      { ...order, metadata: [] },
    ]) {
      const answer = await api.send('POST', '/api/v1/payments/', { key: shop.key, json });
      expect(validate(json), JSON.stringify(json)).toBe(answer.status === 201);
    }
  });

  test('leaves answers open for fields to come, and asks for no body where none is needed', async () => {
    const api = await openApiServer(await openTestDb());
    for (const path of ['/api/v1/schema/', '/admin/v1/schema/']) {
      const { body } = await api.send<Document>('GET', path, { admin: true });
      const operations = Object.values(body.paths).flatMap((one) => Object.values(one));
      const answers = JSON.stringify([operations.map(({ responses }) => responses), body.components]);
      expect(answers).not.toContain('"additionalProperties":false');
      const cancel = operations.find(({ operationId }) => operationId === 'cancelPayment');
      expect(cancel?.requestBody).toBeUndefined();
    }
  });

  test('types the bodies of events and enumerates the codes of refusals', async () => {
    const api = await openApiServer(await openTestDb());
    const { body } = await api.send<Document>('GET', '/api/v1/schema/');
    expect(body.components.schemas.WebhookBody).toMatchObject({
      properties: { event: { enum: expect.arrayContaining(['payment.confirmed']) } },
    });
    expect(body.components.schemas.ServiceError).toMatchObject({
      properties: { code: { enum: expect.arrayContaining(['all_addresses_held', 'rate_unavailable']) } },
    });
  });

  test('says nothing of what it was made with', async () => {
    const api = await openApiServer(await openTestDb());
    const { text } = await api.send('GET', '/api/v1/schema/');
    expect(text).not.toMatch(/sqlite|postgres|undefined|__SCHEMA/i);
  });
});
