import { expect, test } from 'vitest';
import { type ApiServer, openApiServer } from '../../support/api-server.ts';
import { openTestSqlite } from '../../support/databases.ts';
import { addPerson, cookieOf, firstOperator, goodPassword, personOf, signIn } from '../../support/people.ts';

type Operation = { method: string; path: string };
type Document = { paths: Record<string, Record<string, unknown>> };

async function operations(api: ApiServer): Promise<Operation[]> {
  const { body } = await api.send<Document>('GET', '/admin/v1/schema/', { admin: true });
  return Object.entries(body.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => ({ method: method.toUpperCase(), path })),
  );
}

const order = { amount_usd_cents: 5000, network: 'bsc', currency: 'usdt' };

/** A shop with something in every list. */
async function shopWithAll(api: ApiServer) {
  const shop = await api.addMerchant();
  await api.addAddresses(shop, 'bsc', 2);
  const hook = await api.send<{ id: string }>('POST', `/admin/v1/merchants/${shop.id}/webhooks/`, {
    admin: true,
    json: { url: `https://${shop.id}.example/`.replace('_', '-') },
  });
  const made = await api.send<{ payment_number: string }>('POST', '/api/v1/payments/', {
    key: shop.key,
    json: order,
  });
  const test = `/admin/v1/merchants/${shop.id}/webhooks/${hook.body.id}/test/`;
  const sent = await api.send<{ id: number }>('POST', test, { admin: true });
  return {
    ...shop,
    ids: {
      merchant_id: shop.id,
      endpoint_id: hook.body.id,
      key_id: shop.keyId,
      payment_number: made.body.payment_number,
      delivery_id: String(sent.body.id),
    } as Record<string, string>,
  };
}

test('a user of a merchant sees and changes nothing of another, over every route and with every id', async () => {
  const api = await openApiServer(await openTestSqlite());
  const mine = await shopWithAll(api);
  const foreign = await shopWithAll(api);
  const shopkeeper = await addPerson(api, { name: 'shopkeeper', role: 'merchant', merchant_id: mine.id });
  const before = await api.send('GET', '/admin/v1/audit/', { admin: true });

  const leaks: string[] = [];
  for (const { method, path } of await operations(api)) {
    if (/\/admin\/v1\/(session|sessions|setup)\//.test(path)) continue;
    const filled = path.replace(/\{(\w+)\}/g, (_, name) => foreign.ids[name] ?? '1');
    const query = path.includes('{') || method !== 'GET' ? '' : `?merchant_id=${foreign.id}`;
    const body = path.endsWith('/deliveries/replay/')
      ? { endpoint_id: foreign.ids.endpoint_id, since: '2026-01-01T00:00:00Z' }
      : {};
    const answer = await shopkeeper.send(
      method,
      filled + query,
      method === 'GET' || method === 'DELETE' ? undefined : body,
    );
    if (answer.status < 400 || answer.text.includes(foreign.id))
      leaks.push(`${method} ${filled} ${answer.status}`);
    if (answer.status >= 500) leaks.push(`${method} ${filled} failed: ${answer.text}`);
  }
  expect(leaks).toEqual([]);
  const after = await api.send('GET', '/admin/v1/audit/', { admin: true });
  expect(after.text).toBe(before.text);

  // And without naming anybody: lists hold their own alone.
  for (const list of ['payments', 'deliveries', 'deposits', 'pool']) {
    const { status, text } = await shopkeeper.send('GET', `/admin/v1/${list}/`);
    expect([list, status, text.includes(foreign.id)]).toEqual([list, 200, false]);
  }
  const { status } = await shopkeeper.send(
    'GET',
    `/admin/v1/deliveries/counts/?endpoint_id=${foreign.ids.endpoint_id}&since=2026-01-01T00:00:00Z`,
  );
  expect(status).toBe(404);
});

test('a user of a merchant manages their own shop', async () => {
  const api = await openApiServer(await openTestSqlite());
  const mine = await shopWithAll(api);
  const shopkeeper = await addPerson(api, { name: 'shopkeeper', role: 'merchant', merchant_id: mine.id });
  const shop = `/admin/v1/merchants/${mine.id}`;
  const done = [
    await shopkeeper.send('GET', `${shop}/`),
    await shopkeeper.send('PATCH', `${shop}/`, { display_name: 'Blue Fox' }),
    await shopkeeper.send('POST', `${shop}/api-keys/`),
    await shopkeeper.send('GET', `${shop}/webhooks/`),
    await shopkeeper.send('POST', `/admin/v1/deliveries/${mine.ids.delivery_id}/replay/`),
    await shopkeeper.send('GET', `/admin/v1/payments/${mine.ids.payment_number}/`),
  ];
  expect(done.map(({ status }) => status)).toEqual([200, 200, 201, 200, 201, 200]);
});

test('a viewer changes nothing, over every route; one of all merchants may look at all of them', async () => {
  const api = await openApiServer(await openTestSqlite());
  const shop = await shopWithAll(api);
  const viewer = await addPerson(api, { name: 'viewer', role: 'viewer' });
  const wrong: string[] = [];
  for (const { method, path } of await operations(api)) {
    if (/\/admin\/v1\/(session|sessions|setup)\//.test(path)) continue;
    const filled = path.replace(/\{(\w+)\}/g, (_, name) => shop.ids[name] ?? '1');
    const { status } = await viewer.send(
      method,
      filled,
      method === 'GET' || method === 'DELETE' ? undefined : {},
    );
    if ((method === 'GET') === (status === 403)) wrong.push(`${method} ${filled} ${status}`);
  }
  expect(wrong).toEqual([]);
});

test('a change needs the token of its session, and comes from a page of this origin', async () => {
  const api = await openApiServer(await openTestSqlite());
  const ada = await firstOperator(api);
  const add = (headers: Record<string, string>) =>
    api.send('POST', '/admin/v1/merchants/', {
      json: { name: 'Shop' },
      headers: { cookie: ada.cookie, ...headers },
    });
  expect((await add({})).status).toBe(403);
  expect((await add({ 'x-csrf-token': 'x' })).status).toBe(403);
  expect((await add({ 'x-csrf-token': ada.csrf, origin: 'https://evil.example' })).status).toBe(403);
  expect((await add({ 'x-csrf-token': ada.csrf, origin: 'null' })).status).toBe(403);
  expect((await add({ 'x-csrf-token': ada.csrf, origin: api.url })).status).toBe(201);
  // The token of another session is none.
  const other = personOf(api, 'ada', await signIn(api, 'ada', goodPassword));
  expect((await add({ 'x-csrf-token': other.csrf })).status).toBe(403);
  // Nobody is signed in from elsewhere either.
  const json = { name: 'ada', password: goodPassword };
  const from = { origin: 'https://evil.example' };
  expect((await api.send('POST', '/admin/v1/session/', { json, headers: from })).status).toBe(403);
});

test('the cookie is out of reach of scripts, other sites and plain HTTP, but for loopback', async () => {
  const api = await openApiServer(await openTestSqlite());
  await firstOperator(api);
  const json = { name: 'ada', password: goodPassword };
  const flags = async (headers: Record<string, string>) =>
    (await api.send('POST', '/admin/v1/session/', { json, headers })).headers.get('set-cookie');
  const token = '=[\\w-]{43}; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict';
  expect(await flags({})).toMatch(new RegExp(`^depositd-\\d+${token}$`));
  const behindProxy = { 'x-forwarded-host': 'pay.example.com', 'x-forwarded-proto': 'https' };
  expect(await flags(behindProxy)).toMatch(new RegExp(`^__Host-depositd${token}; Secure$`));
  expect(await flags({ 'x-forwarded-host': 'pay.example.com' })).toMatch(/^__Host-depositd=.*; Secure$/);
});

test('six guesses are stopped, whether or not there is such a user, with one answer for both', async () => {
  const api = await openApiServer(await openTestSqlite());
  await firstOperator(api);
  const guess = async (name: string) => {
    const answers = [];
    for (let n = 0; n < 6; n++) answers.push(await signIn(api, name, `guess number ${n}`));
    return answers.map(({ status, body }) => [status, body]);
  };
  const known = await guess('ada');
  expect(known.map(([status]) => status)).toEqual([401, 401, 401, 401, 401, 429]);
  expect(await guess('nobody')).toEqual(known);
  // The right password is not looked at either, until the time is over.
  expect((await signIn(api, 'ada', goodPassword)).status).toBe(429);
  api.advance(15 * 60 + 1);
  expect((await signIn(api, 'ada', goodPassword)).status).toBe(200);
});

test('guesses that come at once are no more than those that come one by one', async () => {
  const api = await openApiServer(await openTestSqlite());
  await firstOperator(api);
  const answers = await Promise.all(
    Array.from({ length: 12 }, (_, n) => signIn(api, 'ada', `guess number ${n}`)),
  );
  expect(answers.filter(({ status }) => status === 401)).toHaveLength(5);
});

test('an unknown name takes as long as a wrong password', async () => {
  const api = await openApiServer(await openTestSqlite());
  await firstOperator(api);
  const time = async (name: string) => {
    const times: number[] = [];
    for (let n = 0; n < 5; n++) {
      const began = performance.now();
      await signIn(api, name, `guess number ${n}`);
      times.push(performance.now() - began);
    }
    return times.toSorted((a, b) => a - b)[2] ?? 0;
  };
  const [known, unknown] = [await time('ada'), await time('nobody')];
  // Without the hash it would be a hundredth.
  expect(unknown / known).toBeGreaterThan(0.5);
  expect(unknown / known).toBeLessThan(2);
});

test('a session that was begun elsewhere is seen by its user, and ended', async () => {
  const api = await openApiServer(await openTestSqlite());
  const ada = await firstOperator(api);
  const elsewhere = personOf(api, 'ada', await signIn(api, 'ada', goodPassword));
  const list = await ada.send<{ data: { id: string; current: boolean }[] }>('GET', '/admin/v1/sessions/');
  expect(list.body.data.map(({ current }) => current).toSorted()).toEqual([false, true]);
  const other = list.body.data.find(({ current }) => !current)?.id;
  const ben = await addPerson(api, { name: 'ben', role: 'operator' });
  expect((await ben.send('DELETE', `/admin/v1/sessions/${other}/`)).status).toBe(404);
  expect((await ada.send('DELETE', `/admin/v1/sessions/${other}/`)).status).toBe(200);
  expect((await elsewhere.send('GET', '/admin/v1/session/')).status).toBe(401);
  expect(cookieOf(await elsewhere.send('GET', '/admin/v1/session/'))).toMatch(/^depositd-\d+=$/);
});
