import { expect, test } from 'vitest';
import { listAudit } from '../../../src/storage/operators/audit.ts';
import { openApiServer } from '../../support/api-server.ts';
import { describeDatabases } from '../../support/databases.ts';

type Key = { id: string; prefix: string; created_at: string; revoked_at: string | null };

describeDatabases("the operator's merchants", (openTestDb) => {
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
      data: [{ id, name, created_at: '2026-05-24T11:35:00Z' }],
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
