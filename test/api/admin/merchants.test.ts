import { expect, test } from 'vitest';
import { listAudit } from '../../../src/storage/operators/audit.ts';
import { openApiServer } from '../../support/api-server.ts';
import { describeDecisions } from '../../support/databases.ts';

type Key = { id: string; prefix: string; created_at: string; revoked_at: string | null };

describeDecisions("the operator's merchants", (openTestDb) => {
  test('a merchant is added with a key that works and is shown this once', async () => {
    const api = await openApiServer(await openTestDb());
    const added = await api.send<{ id: string; name: string; api_key: string }>(
      'POST',
      '/admin/v1/merchants/',
      {
        admin: true,
        json: { name: 'Blumen Müller' },
      },
    );
    expect([added.status, added.body]).toEqual([
      201,
      {
        id: expect.stringMatching(/^mer_[0-9a-f]{16}$/),
        name: 'Blumen Müller',
        api_key: expect.stringMatching(/^pk_[0-9a-f]{64}$/),
      },
    ]);
    const { id, name, api_key } = added.body;
    expect((await api.send('GET', '/api/v1/payments/', { key: api_key })).status).toBe(200);
    const list = await api.send('GET', '/admin/v1/merchants/', { admin: true });
    expect(list.body).toEqual({
      data: [{ id, name, created_at: '2026-05-24T11:35:00Z', removed_at: null }],
      next_cursor: null,
    });
    const keys = await api.send('GET', `/admin/v1/merchants/${id}/api-keys/`, { admin: true });
    expect(`${list.text}${keys.text}`).not.toContain(api_key);
    expect(await listAudit(api.db, { beforeId: null, limit: 9 })).toMatchObject([
      {
        actor: 'admin',
        action: 'merchant.added',
        subject: id,
        detail: { name, prefix: api_key.slice(0, 11) },
      },
    ]);
  });

  test('merchants and users are listed page by page, oldest first, each once', async () => {
    const api = await openApiServer(await openTestDb());
    for (let n = 1; n <= 5; n++) {
      api.advance(1);
      const { id } = await api.addMerchant(`shop-${n}`);
      const json = { name: `clerk-${n}`, role: 'merchant', merchant_id: id };
      expect((await api.send('POST', '/admin/v1/users/', { admin: true, json })).status).toBe(201);
    }
    type Page = { data: { name: string }[]; next_cursor: string | null };
    for (const [path, name] of [
      ['merchants', 'shop'],
      ['users', 'clerk'],
    ] as const) {
      const names: string[] = [];
      for (let cursor: string | null = ''; cursor !== null; ) {
        const query: string = cursor === '' ? '' : `&cursor=${cursor}`;
        const { body } = await api.send<Page>('GET', `/admin/v1/${path}/?limit=2${query}`, { admin: true });
        expect(body.data.length).toBeLessThanOrEqual(2);
        names.push(...body.data.map((one) => one.name));
        cursor = body.next_cursor;
      }
      expect(names).toEqual([1, 2, 3, 4, 5].map((n) => `${name}-${n}`));
      for (const query of ['limit=0', 'limit=101', 'cursor=7', 'page=2'])
        expect((await api.send('GET', `/admin/v1/${path}/?${query}`, { admin: true })).status).toBe(400);
    }
  });

  test('an empty name, one with line breaks, one too long, or none is a field error', async () => {
    const api = await openApiServer(await openTestDb());
    for (const json of [{}, { name: ' ' }, { name: 'a\nb' }, { name: 'x'.repeat(201) }, { name: 5 }]) {
      const answer = await api.send('POST', '/admin/v1/merchants/', { admin: true, json });
      expect(answer).toMatchObject({ status: 400, body: { errors: { name: [expect.any(String)] } } });
    }
    expect((await api.send('GET', '/admin/v1/merchants/', { admin: true })).body).toMatchObject({ data: [] });
  });

  test('keys are added and revoked; a revoked key cannot be revoked again, nor through another merchant', async () => {
    const api = await openApiServer(await openTestDb());
    const [shop, rival] = [await api.addMerchant(), await api.addMerchant('Rival')];
    const path = `/admin/v1/merchants/${shop.id}/api-keys/`;
    const added = await api.send<Key & { api_key: string }>('POST', path, { admin: true });
    expect(added).toMatchObject({
      status: 201,
      body: { prefix: added.body.api_key.slice(0, 11), revoked_at: null },
    });
    const foreign = `/admin/v1/merchants/${rival.id}/api-keys/${added.body.id}/`;
    expect((await api.send('DELETE', foreign, { admin: true })).status).toBe(404);
    api.advance(60);
    const revoked = await api.send('DELETE', `${path}${added.body.id}/`, { admin: true });
    expect(revoked).toMatchObject({ status: 200, body: { revoked_at: '2026-05-24T11:36:00Z' } });
    expect((await api.send('DELETE', `${path}${added.body.id}/`, { admin: true })).status).toBe(404);
    const { body } = await api.send<{ data: Key[] }>('GET', path, { admin: true });
    expect(body.data.map((key) => key.revoked_at).sort()).toEqual(['2026-05-24T11:36:00Z', null]);
    const actions = (await listAudit(api.db, { beforeId: null, limit: 9 })).map((entry) => entry.action);
    expect(actions).toEqual(['key.revoked', 'key.added']);
  });

  test('a name that another merchant has is added with a warning that names that one', async () => {
    const api = await openApiServer(await openTestDb());
    const add = () =>
      api.send<{ id: string; warnings?: string[] }>('POST', '/admin/v1/merchants/', {
        admin: true,
        json: { name: 'Shop' },
      });
    const first = await add();
    expect(first.body).not.toHaveProperty('warnings');
    const second = await add();
    expect([second.status, second.body.warnings]).toEqual([201, [expect.stringContaining(first.body.id)]]);
    await api.send('DELETE', `/admin/v1/merchants/${first.body.id}/`, { admin: true });
    await api.send('DELETE', `/admin/v1/merchants/${second.body.id}/`, { admin: true });
    expect((await add()).body).not.toHaveProperty('warnings');
  });

  test('a merchant that is removed is refused at once, shown as removed, and gets nothing more', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    await api.addAddresses(shop, 'bsc', 2);
    const path = `/admin/v1/merchants/${shop.id}/`;
    expect(await api.send('DELETE', path, { admin: true })).toMatchObject({
      status: 409,
      body: {
        code: 'not_removable',
        error: expect.stringMatching(/^The merchant was not removed: it has 2 addresses;/),
      },
    });
    expect((await api.send('GET', '/api/v1/methods/', { key: shop.key })).status).toBe(200);
    const removed = await api.send('DELETE', `${path}?force=true`, { admin: true });
    expect(removed).toMatchObject({ status: 200, body: { removed_at: '2026-05-24T11:35:00Z' } });
    expect((await api.send('GET', '/api/v1/methods/', { key: shop.key })).status).toBe(401);
    expect((await api.send('GET', path, { admin: true })).body).toEqual(removed.body);
    const gone = { status: 404, body: { detail: 'This merchant was removed.' } };
    const url = 'https://shop.example/';
    for (const [part, json] of [
      ['', undefined],
      ['api-keys/', {}],
      ['addresses/', { network: 'bsc', addresses: ['0x'] }],
      ['webhooks/', { url }],
      ['derived-pools/', { network: 'bsc', xpub: 'xpub' }],
    ] as const) {
      const method = part === '' ? 'DELETE' : 'POST';
      const answer = await api.send(method, path + part, {
        admin: true,
        ...(json === undefined ? {} : { json }),
      });
      expect(answer, part).toMatchObject(gone);
    }
  });

  test('an unknown merchant is not found anywhere', async () => {
    const api = await openApiServer(await openTestDb());
    for (const id of ['mer_0000000000000000', 'x', '%00']) {
      for (const part of ['', 'api-keys/', 'addresses/']) {
        const answer = await api.send('GET', `/admin/v1/merchants/${id}/${part}`, { admin: true });
        expect([answer.status, answer.body]).toEqual([404, { detail: 'Not found.' }]);
      }
    }
  });
});
