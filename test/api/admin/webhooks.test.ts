import { expect, test } from 'vitest';
import { inTransaction } from '../../../src/storage/database.ts';
import { listAudit } from '../../../src/storage/operators/audit.ts';
import { appendEvent } from '../../../src/storage/webhooks/events.ts';
import { type ApiServer, openApiServer, type TestMerchant } from '../../support/api-server.ts';
import { testConfig } from '../../support/config.ts';
import { describeDecisions } from '../../support/databases.ts';

type Endpoint = { id: string; url: string; events: string[]; secret: string; active: boolean };
type Delivery = { id: number; event: string; status: string; replay_of: number | null };

const url = 'https://shop.example/hooks?token=merchants-own';

async function addEndpoint(api: ApiServer, shop: TestMerchant, changes: object = {}): Promise<Endpoint> {
  const path = `/admin/v1/merchants/${shop.id}/webhooks/`;
  const added = await api.send<Endpoint>('POST', path, { admin: true, json: { url, ...changes } });
  expect(added.status).toBe(201);
  return added.body;
}

async function appendConfirmed(api: ApiServer, shop: TestMerchant): Promise<void> {
  await inTransaction(api.db, (trx) =>
    appendEvent(trx, {
      merchantId: shop.id,
      type: 'payment.confirmed',
      paymentId: null,
      body: '{"event":"payment.confirmed"}',
      at: api.now(),
    }),
  );
}

async function deliveriesOf(api: ApiServer, query = ''): Promise<Delivery[]> {
  const { body } = await api.send<{ data: Delivery[] }>('GET', `/admin/v1/deliveries/${query}`, {
    admin: true,
  });
  return body.data;
}

/** As if every delivery so far had been given up. */
async function giveUpAll(api: ApiServer): Promise<void> {
  await api.db
    .updateTable('deliveries')
    .set({ state: 'failed', finished_at: api.now(), last_status: 500 })
    .where('state', '=', 'pending')
    .execute();
}

describeDecisions("the operator's webhooks", (openTestDb) => {
  test('an endpoint is added with the default events and a secret that is shown this once', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    const added = await addEndpoint(api, shop);
    expect(added).toEqual({
      id: expect.stringMatching(/^we_[0-9a-f]{16}$/),
      url,
      events: [
        'payment.confirmed',
        'payment.expired',
        'payment.cancelled',
        'payment.failed',
        'payment.reverted',
      ],
      secret: expect.stringMatching(/^whsec_[A-Za-z0-9+/]{43}=$/),
    });
    const list = await api.send<{ data: Endpoint[] }>('GET', `/admin/v1/merchants/${shop.id}/webhooks/`, {
      admin: true,
    });
    expect(list.body.data).toMatchObject([{ id: added.id, url, active: true, disabled_reason: null }]);
    const entries = await listAudit(api.db, { beforeId: null, limit: 9 });
    expect(entries).toMatchObject([
      { action: 'webhook.added', subject: added.id, detail: { host: 'shop.example' } },
    ]);
    const seen = JSON.stringify([
      list.text,
      entries,
      await api.db.selectFrom('webhook_endpoints').selectAll().execute(),
    ]);
    expect(seen).not.toContain(added.secret.slice(6));
    expect(JSON.stringify(entries)).not.toContain('merchants-own');
  });

  test('S40: a private target is a field error on url, an unknown event one on events, and nothing is added', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    for (const [changes, field] of [
      [{ url: 'http://127.0.0.1:9/' }, 'url'],
      [{ url: 'http://localhost/' }, 'url'],
      [{ url: 'https://[::1]/' }, 'url'],
      [{ url: 'ftp://shop.example/' }, 'url'],
      [{ url: 'nonsense' }, 'url'],
      [{ url: undefined }, 'url'],
      [{ events: ['payment.confirmed', 'payment.paid'] }, 'events'],
      [{ events: 'payment.confirmed' }, 'events'],
      [{ secret: 'whsec_mine' }, 'secret'],
    ] as const) {
      const json = { url, ...changes };
      const answer = await api.send('POST', `/admin/v1/merchants/${shop.id}/webhooks/`, {
        admin: true,
        json,
      });
      expect(answer, JSON.stringify(changes)).toMatchObject({
        status: 400,
        body: { errors: { [field]: [expect.any(String)] } },
      });
    }
    const list = await api.send('GET', `/admin/v1/merchants/${shop.id}/webhooks/`, { admin: true });
    expect(list.body).toEqual({ data: [], next_cursor: null });
  });

  test('a private target that the configuration allows is added', async () => {
    const webhooks = { ...testConfig().webhooks, allowHosts: ['127.0.0.1'] };
    const api = await openApiServer(await openTestDb(), { webhooks });
    await addEndpoint(api, await api.addMerchant(), {
      url: 'http://127.0.0.1:9/hook',
      events: ['payment.late'],
    });
  });

  test('an endpoint is changed, turned off and on, and deleted; another merchant’s path does not reach it', async () => {
    const api = await openApiServer(await openTestDb());
    const [shop, rival] = [await api.addMerchant(), await api.addMerchant('Rival')];
    const { id } = await addEndpoint(api, shop);
    const path = `/admin/v1/merchants/${shop.id}/webhooks/${id}/`;
    const change = (json: object) => api.send<Endpoint>('PATCH', path, { admin: true, json });
    expect((await change({ events: ['payment.late'], description: 'till' })).body).toMatchObject({
      url,
      events: ['payment.late'],
      description: 'till',
      active: true,
    });
    expect((await change({ active: false })).body).toMatchObject({
      active: false,
      disabled_reason: 'operator',
    });
    expect((await change({ active: true })).body).toMatchObject({ active: true, disabled_reason: null });
    expect((await change({ url: 'http://10.0.0.1/' })).status).toBe(400);
    for (const [method, foreign] of [
      ['PATCH', `/admin/v1/merchants/${rival.id}/webhooks/${id}/`],
      ['DELETE', `/admin/v1/merchants/${rival.id}/webhooks/${id}/`],
      ['POST', `/admin/v1/merchants/${rival.id}/webhooks/${id}/rotate/`],
      ['POST', `/admin/v1/merchants/${rival.id}/webhooks/${id}/test/`],
    ] as const) {
      const answer = await api.send(method, foreign, {
        admin: true,
        ...(method === 'PATCH' ? { json: {} } : {}),
      });
      expect([answer.status, answer.body]).toEqual([404, { detail: 'Not found.' }]);
    }
    expect(await api.send('DELETE', path, { admin: true })).toMatchObject({
      status: 200,
      body: { id, active: false },
    });
    expect((await change({ active: true })).status).toBe(404);
    const actions = (await listAudit(api.db, { beforeId: null, limit: 9 })).map((entry) => entry.action);
    expect(actions).toEqual([
      'webhook.removed',
      'webhook.changed',
      'webhook.changed',
      'webhook.changed',
      'webhook.added',
    ]);
  });

  test('rotating answers another secret once, and the old one signs on for a day or as long as asked', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    const { id, secret } = await addEndpoint(api, shop);
    const path = `/admin/v1/merchants/${shop.id}/webhooks/${id}/rotate/`;
    const rotated = await api.send<Endpoint>('POST', path, { admin: true });
    expect(rotated).toMatchObject({ status: 200, body: { id, secret: expect.stringMatching(/^whsec_/) } });
    expect(rotated.body.secret).not.toBe(secret);
    const until = async () => {
      const list = await api.send<{ data: { previous_secret_until: string | null }[] }>(
        'GET',
        `/admin/v1/merchants/${shop.id}/webhooks/`,
        { admin: true },
      );
      return list.body.data[0]?.previous_secret_until;
    };
    expect(await until()).toBe('2026-05-25T11:35:00Z');
    await api.send('POST', path, { admin: true, json: { overlap_seconds: 0 } });
    expect(await until()).toBeNull();
    const wrong = await api.send('POST', path, { admin: true, json: { overlap_seconds: -1 } });
    expect(wrong).toMatchObject({ status: 400, body: { errors: { overlap_seconds: [expect.any(String)] } } });
  });

  test('a rotation is ended at once when asked, and ending none changes nothing', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    const { id } = await addEndpoint(api, shop);
    const path = `/admin/v1/merchants/${shop.id}/webhooks/${id}/rotate/`;
    const finish = () => api.send<Endpoint>('POST', `${path}finish/`, { admin: true });
    expect(await finish()).toMatchObject({ status: 200, body: { id, previous_secret_until: null } });
    await api.send('POST', path, { admin: true });
    const kept = async () => {
      const query = api.db.selectFrom('webhook_endpoints').select('previous_secret').where('id', '=', id);
      return (await query.executeTakeFirstOrThrow()).previous_secret;
    };
    expect(await kept()).not.toBeNull();
    expect(await finish()).toMatchObject({ status: 200, body: { id, previous_secret_until: null } });
    expect(await kept()).toBeNull();
  });

  test('S58: what a receiver refused after its secret was changed is counted, replayed as a range, and followed', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    const { id } = await addEndpoint(api, shop);
    const path = `/admin/v1/merchants/${shop.id}/webhooks/`;
    const rejected = async () => {
      const { body } = await api.send<{ data: { rejected_since_rotation: number | null }[] }>('GET', path, {
        admin: true,
      });
      return body.data[0]?.rejected_since_rotation;
    };
    const end = (state: string, status: number) =>
      api.db
        .updateTable('deliveries')
        .set({ state, finished_at: api.now(), last_status: status })
        .where('state', '=', 'pending')
        .execute();
    await appendConfirmed(api, shop);
    await end('failed', 401);
    api.advance(60);
    expect(await rejected()).toBeNull();
    await api.send('POST', `${path}${id}/rotate/`, { admin: true });
    expect(await rejected()).toBe(0);
    const since = new Date(api.now()).toISOString();
    for (let n = 0; n < 3; n++) await appendConfirmed(api, shop);
    await end('failed', 401);
    await appendConfirmed(api, shop);
    await end('failed', 500);
    expect(await rejected()).toBe(3);

    const range = { endpoint_id: id, since };
    const replayed = await api.send('POST', '/admin/v1/deliveries/replay/', { admin: true, json: range });
    expect(replayed).toMatchObject({ status: 202, body: { count: 4 } });
    expect(await rejected()).toBe(0);
    const counts = async (query: string) =>
      (await api.send('GET', `/admin/v1/deliveries/counts/?${query}`, { admin: true })).body;
    const query = `endpoint_id=${id}&since=${since}`;
    const none = { pending: 0, sending: 0, delivered: 0, failed: 0, cancelled: 0 };
    expect(await counts(`${query}&replays=true`)).toEqual({ ...none, pending: 4 });
    await end('delivered', 200);
    expect(await counts(`${query}&replays=true`)).toEqual({ ...none, delivered: 4 });
    expect(await counts(query)).toEqual({ ...none, delivered: 4, failed: 4 });
    expect(await counts(`${query}&until=${since}`)).toEqual(none);
    for (const wrong of [
      `since=${since}`,
      `endpoint_id=${id}`,
      `${query}&replays=yes`,
      `endpoint_id=x&since=${since}`,
    ]) {
      expect(await counts(wrong), wrong).toMatchObject({ errors: expect.anything() });
    }
  });

  test('a test event is queued for this endpoint alone, and one that is off answers 409', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    const [endpoint, other] = [
      await addEndpoint(api, shop),
      await addEndpoint(api, shop, { url: `${url}&more` }),
    ];
    const path = `/admin/v1/merchants/${shop.id}/webhooks/${endpoint.id}/`;
    const sent = await api.send<Delivery>('POST', `${path}test/`, { admin: true });
    expect(sent).toMatchObject({
      status: 201,
      body: { endpoint_id: endpoint.id, event: 'webhook.test', status: 'pending', attempts: 0 },
    });
    expect(api.notified()).toBe(1);
    expect((await deliveriesOf(api)).map((delivery) => delivery.id)).toEqual([sent.body.id]);
    expect(await deliveriesOf(api, `?endpoint_id=${other.id}`)).toEqual([]);
    await api.send('PATCH', path, { admin: true, json: { active: false } });
    const off = await api.send('POST', `${path}test/`, { admin: true });
    expect(off).toMatchObject({ status: 409, body: { code: 'endpoint_disabled' } });
  });

  test('deliveries are listed page by page with filters, and one shows its attempts', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    const { id } = await addEndpoint(api, shop);
    for (let n = 0; n < 3; n++) await appendConfirmed(api, shop);
    type Page = { data: Delivery[]; next_cursor: string | null };
    const first = await api.send<Page>('GET', '/admin/v1/deliveries/?limit=2', { admin: true });
    const second = await api.send<Page>(
      'GET',
      `/admin/v1/deliveries/?limit=2&cursor=${first.body.next_cursor}`,
      {
        admin: true,
      },
    );
    expect([first.body.data.length, second.body.data.length, second.body.next_cursor]).toEqual([2, 1, null]);
    await giveUpAll(api);
    expect(await deliveriesOf(api, `?status=failed&endpoint_id=${id}&merchant_id=${shop.id}`)).toHaveLength(
      3,
    );
    expect(await deliveriesOf(api, '?status=pending')).toEqual([]);
    expect(await deliveriesOf(api, '?event=payment.expired')).toEqual([]);
    expect(await deliveriesOf(api, '?until=2026-05-24T11:35:00Z')).toEqual([]);
    const [delivery] = await deliveriesOf(api);
    const one = await api.send('GET', `/admin/v1/deliveries/${delivery?.id}/`, { admin: true });
    expect(one.body).toMatchObject({ id: delivery?.id, last_status: 500, attempt_log: [] });
    for (const path of ['/admin/v1/deliveries/999999/', '/admin/v1/deliveries/x/']) {
      expect((await api.send('GET', path, { admin: true })).status).toBe(404);
    }
  });

  test('enabling an endpoint says how many events were kept, and a replay since then sends them', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    await appendConfirmed(api, shop);
    api.advance(60);
    const { id } = await addEndpoint(api, shop);
    const path = `/admin/v1/merchants/${shop.id}/webhooks/${id}/`;
    const turn = (active: boolean) => api.send('PATCH', path, { admin: true, json: { active } });
    expect(await turn(false)).toMatchObject({ body: { kept: 0, kept_since: null } });
    for (let n = 0; n < 3; n++) await appendConfirmed(api, shop);
    const since = new Date(api.now()).toISOString();
    api.advance(60);
    const enabled = await turn(true);
    expect(enabled).toMatchObject({ status: 200, body: { active: true, kept: 3 } });
    const { kept_since: from } = enabled.body as { kept_since: string };
    const replay = (json: object) =>
      api.send('POST', '/admin/v1/deliveries/replay/', { admin: true, json: { endpoint_id: id, ...json } });
    expect(await replay({ since, status: 'failed' })).toMatchObject({ status: 202, body: { count: 0 } });
    expect(await replay({ since: from })).toMatchObject({ status: 202, body: { count: 3 } });
    expect(await turn(true)).toMatchObject({ body: { kept: 0, kept_since: null } });
    // What happened before it was there comes when it is asked for.
    const ever = '2026-01-01T00:00:00Z';
    expect(await replay({ since: ever })).toMatchObject({ body: { count: 0 } });
    expect(await replay({ since: ever, status: 'missed' })).toMatchObject({ body: { count: 1 } });
  });

  test('headers are sealed, shown by name, changed and refused by field', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    const path = `/admin/v1/merchants/${shop.id}/webhooks/`;
    const { id } = await addEndpoint(api, shop, { headers: { Authorization: 'Bearer of-the-merchant' } });
    const list = await api.send<{ data: object[] }>('GET', path, { admin: true });
    expect(list.body.data).toMatchObject([{ headers: { Authorization: '[hidden]' } }]);
    const change = (json: object) => api.send('PATCH', `${path}${id}/`, { admin: true, json });
    expect(await change({ description: 'x' })).toMatchObject({
      body: { headers: { Authorization: '[hidden]' } },
    });
    expect(await change({ headers: { 'X-Key': 'k-e-y' } })).toMatchObject({
      body: { headers: { 'X-Key': '[hidden]' } },
    });
    for (const headers of [
      { Host: 'x' },
      { 'X-A': 'a\r\nb' },
      { 'X-A': 5 },
      'Authorization: x',
      { 'webhook-id': 'x' },
    ]) {
      const errors = { errors: expect.objectContaining({}) };
      expect(await change({ headers }), JSON.stringify(headers)).toMatchObject({ status: 400, body: errors });
      const added = await api.send('POST', path, {
        admin: true,
        json: { url: 'https://b.example/', headers },
      });
      expect(added.status, JSON.stringify(headers)).toBe(400);
    }
    const moved = await change({ url: 'https://elsewhere.example/' });
    expect(moved).toMatchObject({ status: 400, body: { errors: { headers: [expect.any(String)] } } });
    const user = await api.send<{ errors: { url: string[] } }>('POST', path, {
      admin: true,
      json: { url: 'https://user:pass@shop.example/' },
    });
    expect(user.body.errors.url[0]).toMatch(/user name or password; send them as a header/);
    const seen = JSON.stringify([
      await api.db.selectFrom('webhook_endpoints').selectAll().execute(),
      await listAudit(api.db, { beforeId: null, limit: 9 }),
      api.logs,
    ]);
    expect(seen).not.toMatch(/of-the-merchant|k-e-y/);
  });

  test('a URL that the merchant has an endpoint for already is refused, as by the command, unless allowed', async () => {
    const api = await openApiServer(await openTestDb());
    const [shop, other] = [await api.addMerchant(), await api.addMerchant()];
    const first = await addEndpoint(api, shop);
    const path = `/admin/v1/merchants/${shop.id}/webhooks/`;
    await addEndpoint(api, other);
    const second = await addEndpoint(api, shop, { url: `${url}&more` });
    const same = { url: url.replace('shop', 'SHOP') };
    const refusal = {
      status: 400,
      body: {
        errors: { url: [expect.stringContaining(`this merchant's endpoint ${first.id} has it already`)] },
      },
    };
    expect(await api.send('POST', path, { admin: true, json: same })).toMatchObject(refusal);
    const change = (json: object) => api.send('PATCH', `${path}${second.id}/`, { admin: true, json });
    expect(await change(same)).toMatchObject(refusal);
    expect(await change({ url: `${url}&more` })).toMatchObject({ status: 200 });
    expect(await change({ ...same, allow_same_url: true })).toMatchObject({ status: 200 });
    await addEndpoint(api, shop, { ...same, allow_same_url: true });
  });

  test('S55: a replay is a new delivery of the same event', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    await addEndpoint(api, shop);
    await appendConfirmed(api, shop);
    await giveUpAll(api);
    const [original] = await deliveriesOf(api);
    const replayed = await api.send<Delivery>('POST', `/admin/v1/deliveries/${original?.id}/replay/`, {
      admin: true,
    });
    expect(replayed).toMatchObject({
      status: 201,
      body: { replay_of: original?.id, event: 'payment.confirmed', status: 'pending' },
    });
    expect(replayed.body.id).not.toBe(original?.id);
    expect(api.notified()).toBe(1);
    expect((await api.send('POST', '/admin/v1/deliveries/999999/replay/', { admin: true })).status).toBe(404);
  });

  test('a range is replayed by endpoint and time, and asking twice sends nothing twice', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    const { id } = await addEndpoint(api, shop);
    await appendConfirmed(api, shop);
    api.advance(3600);
    for (let n = 0; n < 3; n++) await appendConfirmed(api, shop);
    await giveUpAll(api);
    const replay = (json: object) => api.send('POST', '/admin/v1/deliveries/replay/', { admin: true, json });
    const range = { endpoint_id: id, since: '2026-05-24T12:00:00Z' };
    expect(await replay(range)).toMatchObject({ status: 202, body: { count: 3, more: false } });
    expect(await replay(range)).toMatchObject({ status: 202, body: { count: 0, more: false } });
    const earlier = { endpoint_id: id, since: '2026-05-24T00:00:00Z', until: '2026-05-24T12:00:00Z' };
    expect(await replay({ ...earlier, status: 'delivered' })).toMatchObject({ body: { count: 0 } });
    expect(await replay(earlier)).toMatchObject({ body: { count: 1 } });
    for (const [changes, field] of [
      [{ endpoint_id: 'we_0000000000000000' }, 'endpoint_id'],
      [{ endpoint_id: 'x\u0000' }, 'endpoint_id'],
      [{ endpoint_id: undefined }, 'endpoint_id'],
      [{ since: 'yesterday' }, 'since'],
      [{ since: undefined }, 'since'],
      [{ status: 'pending' }, 'status'],
    ] as const) {
      const answer = await replay({ ...range, ...changes });
      expect(answer, field).toMatchObject({
        status: 400,
        body: { errors: { [field]: [expect.any(String)] } },
      });
    }
    const actions = (await listAudit(api.db, { beforeId: null, limit: 9 })).map((entry) => entry.action);
    expect(actions.filter((action) => action === 'deliveries.replayed')).toHaveLength(4);
  });
});
