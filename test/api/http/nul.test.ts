import { expect, test } from 'vitest';
import { type ApiServer, openApiServer } from '../../support/api-server.ts';
import { describeDatabases } from '../../support/databases.ts';

type Shape = { type?: string; properties?: Record<string, Shape>; allOf?: Shape[]; oneOf?: Shape[] };
type Operation = {
  parameters?: { name: string; in: string }[];
  requestBody?: { content: Record<string, { schema: Shape }> };
};
type Document = { paths: Record<string, Record<string, Operation>> };

/** Every call that the two documents describe. */
async function calls(api: ApiServer): Promise<{ method: string; path: string; operation: Operation }[]> {
  const found = [];
  for (const document of ['/api/v1/schema/', '/admin/v1/schema/']) {
    const { body } = await api.send<Document>('GET', document, { admin: true });
    for (const [path, operations] of Object.entries(body.paths))
      for (const [method, operation] of Object.entries(operations))
        found.push({ method: method.toUpperCase(), path, operation });
  }
  return found;
}

function fieldsOf({ requestBody }: Operation): string[] {
  const shape = requestBody?.content['application/json']?.schema;
  const shapes = [shape, ...(shape?.allOf ?? []), ...(shape?.oneOf ?? [])];
  return [...new Set(shapes.flatMap((one) => Object.keys(one?.properties ?? {})))];
}

describeDatabases('NUL', (openTestDb) => {
  test('is refused in every path, query and body that there is, and reaches no database', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    const as = { key: shop.key, admin: true };
    const refused = { errors: expect.any(Object) };
    let tried = 0;
    for (const { method, path, operation } of await calls(api)) {
      const call = `${method} ${path}`;
      const filled = path.replaceAll(/\{[^}]+\}/g, 'x');
      for (const { 0: parameter } of path.matchAll(/\{[^}]+\}/g)) {
        const nulled = path.replace(parameter, 'a%00b').replaceAll(/\{[^}]+\}/g, 'x');
        expect([call, (await api.send(method, nulled, as)).status]).toEqual([call, 404]);
        tried += 1;
      }
      const known = (operation.parameters ?? []).filter((one) => one.in === 'query');
      for (const name of [...known.map((one) => one.name), 'unknown']) {
        const answer = await api.send<{ errors: object }>(method, `${filled}?${name}=a%00b`, as);
        expect([call, answer.status, answer.body]).toEqual([call, 400, refused]);
        expect(Object.keys(answer.body.errors), call).toEqual([name]);
        tried += 1;
      }
      for (const field of fieldsOf(operation)) {
        if (field === 'metadata') continue;
        for (const value of ['\u0000', ['a\u0000b'], [{ x: 'a\u0000' }], { 'a\u0000': 1 }]) {
          const answer = await api.send<{ errors: object }>(method, filled, {
            ...as,
            json: { [field]: value },
          });
          expect([call, field, answer.status, answer.body]).toEqual([call, field, 400, refused]);
          expect(Object.keys(answer.body.errors), call).toEqual([field]);
          tried += 1;
        }
      }
    }
    expect(tried).toBeGreaterThan(200);
    expect(api.logs.filter(({ level }) => level === 'error')).toEqual([]);
  });

  test('is refused where nobody is signed in, and on the pages of payers', async () => {
    const api = await openApiServer(await openTestDb());
    const json = { name: 'a\u0000b', password: 'x' };
    expect(await api.send('POST', '/admin/v1/session/', { json })).toMatchObject({
      status: 400,
      body: { errors: { name: ['control characters such as NUL are not allowed'] } },
    });
    const link = await api.send('POST', '/admin/v1/setup/', { json: { link: '\u0000', password: 'x' } });
    expect(link.status).toBe(400);
    expect((await api.send('POST', '/admin/v1/session/', { raw: '"\\u0000"' })).body).toMatchObject({
      errors: { body: expect.anything() },
    });
    const form = { 'content-type': 'application/x-www-form-urlencoded' };
    const token = 'A'.repeat(43);
    for (const page of ['/pay', '/checkout']) {
      for (const path of ['%00', `${token}%00`, `${token}/status%00`])
        expect([page, path, (await api.send('GET', `${page}/${path}`)).status]).toEqual([page, path, 404]);
    }
    for (const path of [`/pay/${token}/find`, `/checkout/${token}`]) {
      const answer = await api.send('POST', path, { raw: 'a=%00&%00=1', headers: form });
      expect([path, answer.status < 500]).toEqual([path, true]);
    }
    expect(api.logs.filter(({ level }) => level === 'error')).toEqual([]);
  });
});
