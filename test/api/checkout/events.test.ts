import { expect, onTestFinished, test } from 'vitest';
import { createFeed, mostOfPayment } from '../../../src/checkout/feed.ts';
import type { CheckoutStatus } from '../../../src/checkout/status.ts';
import { type ApiServer, openApiServer, type TestMerchant } from '../../support/api-server.ts';
import { testConfig } from '../../support/config.ts';
import { describeDecisions, openTestSqlite } from '../../support/databases.ts';
import { silentLog } from '../../support/log.ts';
import { waitFor } from '../../support/wait.ts';

type Made = { payment_number: string; payment_token: string };

async function create(api: ApiServer, shop: TestMerchant): Promise<Made> {
  await api.addAddresses(shop, 'bsc', 1);
  const json = { amount_usd_cents: 5000, network: 'bsc', currency: 'usdt' };
  return (await api.send<Made>('POST', '/api/v1/payments/', { key: shop.key, json })).body;
}

/** A stream as a browser reads it. */
async function listen(api: ApiServer, token: string, headers: Record<string, string> = {}) {
  const abort = new AbortController();
  onTestFinished(() => abort.abort());
  const answer = await fetch(`${api.url}/pay/${token}/events`, { signal: abort.signal, headers });
  const stream = {
    status: answer.status,
    headers: answer.headers,
    text: '',
    ended: false,
    leave: () => abort.abort(),
  };
  const read = async () => {
    for await (const chunk of answer.body ?? []) stream.text += Buffer.from(chunk).toString();
    stream.ended = true;
  };
  read().catch(() => {});
  return {
    ...stream,
    text: () => stream.text,
    ended: () => stream.ended,
    statuses: () =>
      [...stream.text.matchAll(/^id: (\S+)\nevent: status\ndata: (.*)$/gm)].map(([, id, data = '']) => ({
        id,
        ...(JSON.parse(data) as CheckoutStatus),
      })),
  };
}

describeDecisions('the events of a payment', (openTestDb) => {
  test('are a snapshot at once and after each change, and end with the payment', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    const [made, other] = [await create(api, shop), await create(api, shop)];
    const stream = await listen(api, made.payment_token);
    expect(stream.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    expect(stream.headers.get('x-accel-buffering')).toBe('no');
    expect(stream.headers.get('cache-control')).toBe('no-store, no-transform');
    expect(stream.headers.get('x-content-type-options')).toBe('nosniff');
    await waitFor('the snapshot', () => stream.statuses().length === 1);
    const { id } = stream.statuses()[0] ?? {};
    expect(id).toBe(
      (await api.send('GET', `/pay/${made.payment_token}/status`)).headers.get('etag')?.replaceAll('"', ''),
    );
    await api.send('POST', `/api/v1/payments/${other.payment_number}/cancel/`, { key: shop.key, json: {} });
    await api.send('POST', `/api/v1/payments/${made.payment_number}/cancel/`, { key: shop.key, json: {} });
    await waitFor('the end', () => stream.ended());
    expect(stream.statuses().map(({ state, final }) => [state, final])).toEqual([
      ['waiting', false],
      ['cancelled', true],
    ]);
    expect(stream.text()).not.toContain(other.payment_number);
  });

  test('are told when the time is over, though nothing was written', async () => {
    const api = await openApiServer(await openTestDb());
    const { payment_token: token } = await create(api, await api.addMerchant());
    const stream = await listen(api, token);
    await waitFor('the snapshot', () => stream.statuses().length === 1);
    api.advance(1801);
    await waitFor('the end of the time', () => stream.statuses().at(-1)?.state === 'closing');
    expect(stream.ended()).toBe(false);
  });
});

test('a stream that is taken up with an event id that is none begins with the snapshot of now', async () => {
  const api = await openApiServer(await openTestSqlite());
  const { payment_token: token } = await create(api, await api.addMerchant());
  for (const id of ['', '../../etc', 'x'.repeat(4000)]) {
    const stream = await listen(api, token, { 'last-event-id': id });
    await waitFor('the snapshot', () => stream.statuses().length === 1);
    expect(stream.statuses()[0]?.state).toBe('waiting');
  }
});

test('three pages may follow a payment, and a fourth when one has left', async () => {
  const api = await openApiServer(await openTestSqlite());
  const { payment_token: token } = await create(api, await api.addMerchant());
  const streams = [];
  for (let n = 0; n < mostOfPayment; n++) streams.push(await listen(api, token));
  expect(streams.map(({ status }) => status)).toEqual([200, 200, 200]);
  const refused = await listen(api, token);
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '15']);
  streams[0]?.leave();
  await waitFor('a place to be free', async () => (await listen(api, token)).status === 200);
});

test('no more than checkout.maxStreams follow in all, and /metrics tells how many do', async () => {
  const checkout = { ...testConfig().checkout, maxStreams: 1 };
  const api = await openApiServer(await openTestSqlite(), { checkout });
  const shop = await api.addMerchant();
  const [one, two] = [await create(api, shop), await create(api, shop)];
  expect((await listen(api, one.payment_token)).status).toBe(200);
  expect((await listen(api, two.payment_token)).status).toBe(429);
  expect((await api.send('GET', '/metrics')).text).toMatch(/^depositd_checkout_streams 1$/m);
  expect((await listen(api, 'A'.repeat(43))).status).toBe(404);
});

test('a stream shows that it lives, and a daemon that stops ends every one and begins none', async () => {
  const api = await openApiServer(await openTestSqlite());
  await create(api, await api.addMerchant());
  const feed = createFeed({
    db: api.db,
    config: api.config,
    clock: api.now,
    log: silentLog,
    maxStreams: 10,
    heartbeatMs: 1,
  });
  const got: string[] = [];
  const subscriber = {
    send: () => got.push('snapshot'),
    beat: () => got.push('beat'),
    end: () => got.push('end'),
  };
  expect(feed.subscribe(1, subscriber)).not.toBeNull();
  await waitFor('two signs of life', () => got.filter((one) => one === 'beat').length >= 2);
  expect(got.filter((one) => one === 'snapshot')).toHaveLength(1);
  await feed.stop();
  expect(got.at(-1)).toBe('end');
  expect(feed.subscribe(1, subscriber)).toBeNull();
});

test('however many follow at once, others have their turn between reading them, and between their signs of life', async () => {
  const many = 120;
  const api = await openApiServer(await openTestSqlite());
  const shop = await api.addMerchant();
  await api.addAddresses(shop, 'bsc', many);
  const json = { amount_usd_cents: 5000, network: 'bsc', currency: 'usdt' };
  for (let n = 0; n < many; n++) await api.send('POST', '/api/v1/payments/', { key: shop.key, json });
  const feed = createFeed({
    db: api.db,
    config: api.config,
    clock: api.now,
    log: silentLog,
    maxStreams: many,
    heartbeatMs: 1_000,
  });
  let turn = 0;
  let next = setImmediate(function pass() {
    turn += 1;
    next = setImmediate(pass);
  });
  onTestFinished(() => clearImmediate(next));
  const [read, beaten]: [number[], number[]] = [[], []];
  for (let id = 1; id <= many; id++) {
    feed.subscribe(id, { send: () => read.push(turn), beat: () => beaten.push(turn), end: () => {} });
  }
  await waitFor('all to be told', () => read.length === many);
  await waitFor('a sign of life of each', () => beaten.length >= many);
  const mostAtOnce = (turns: number[]) =>
    Math.max(...[...Map.groupBy(turns, (one) => one).values()].map(({ length }) => length));
  expect(mostAtOnce(read)).toBeLessThanOrEqual(50);
  expect(mostAtOnce(beaten)).toBeLessThan(many);
  await feed.stop();
});

test('a step of the streams that throws is counted, and tried again', async () => {
  const db = await openTestSqlite();
  const api = await openApiServer(db);
  await create(api, await api.addMerchant());
  const failures: string[] = [];
  const feed = createFeed({
    db,
    config: api.config,
    // A payment cannot be read for once.
    clock: () => {
      if (failures.length === 0) throw new Error('no clock');
      return api.now();
    },
    log: silentLog,
    maxStreams: 10,
    failed: (loop) => failures.push(loop),
  });
  const got: string[] = [];
  feed.subscribe(1, { send: () => got.push('snapshot'), beat: () => {}, end: () => {} });
  await waitFor('the snapshot', () => got.length > 0);
  expect(failures).toEqual(['checkout']);
  await feed.stop();
});

test('a stream tells nothing of another payment that has the id of its own, in a database that lost its last commits', async () => {
  const db = await openTestSqlite();
  const api = await openApiServer(db);
  await create(api, await api.addMerchant());
  let lateMs = 0;
  const clock = () => api.now() + lateMs;
  const feed = createFeed({ db, config: api.config, clock, log: silentLog, maxStreams: 10 });
  const got: string[] = [];
  feed.subscribe(1, { send: () => got.push('snapshot'), beat: () => {}, end: () => got.push('end') });
  await waitFor('the snapshot', () => got.length === 1);
  await db.updateTable('payments').set({ payment_number: 'PAY-OTHER' }).execute();
  // What is shown of it changes with the time.
  lateMs = 3_600_000;
  await waitFor('more', () => got.length === 2);
  expect(got).toEqual(['snapshot', 'end']);
  expect(feed.open()).toBe(0);
  await feed.stop();
});

test('a daemon that stops does not wait for the pages that are open', async () => {
  const api = await openApiServer(await openTestSqlite());
  const { payment_token: token } = await create(api, await api.addMerchant());
  const stream = await listen(api, token);
  await waitFor('the snapshot', () => stream.statuses().length === 1);
  const began = performance.now();
  await api.close();
  expect(performance.now() - began).toBeLessThan(5_000);
  await waitFor('the end', () => stream.ended());
});
