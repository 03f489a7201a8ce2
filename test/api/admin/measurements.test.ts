import { expect, test } from 'vitest';
import { emptyHistogram, withValue } from '../../../src/core/histogram.ts';
import { intervalOf, measurementMs } from '../../../src/core/measurement.ts';
import { measureWaiting } from '../../../src/notify/measure.ts';
import { isoTime } from '../../../src/present/values.ts';
import { addNodeMeasurements } from '../../../src/storage/chains/node-measurements.ts';
import { inTransaction } from '../../../src/storage/database.ts';
import { insertPoolMeasurements } from '../../../src/storage/pool/measurements.ts';
import { addEndpointMeasurements } from '../../../src/storage/webhooks/measurements.ts';
import { type ApiServer, openApiServer } from '../../support/api-server.ts';
import { describeDatabases, openTestSqlite } from '../../support/databases.ts';
import { fillDatabase } from '../../support/filled-database.ts';

const hourMs = 3_600_000;

/** Two hours of measurements up to the clock's interval, and where to ask for them. */
async function openMeasured(api: ApiServer) {
  const shop = await api.addMerchant();
  const path = `/admin/v1/merchants/${shop.id}/webhooks/`;
  const json = { url: 'https://shop.example/hook' };
  const hook = await api.send<{ id: string }>('POST', path, { admin: true, json });
  const last = intervalOf(api.now());
  for (let n = 11; n >= 0; n--) {
    const at = last - n * measurementMs;
    await inTransaction(api.db, async (trx) => {
      const latency = [20, 20, 300].reduce(withValue, emptyHistogram);
      await addNodeMeasurements(trx, 'bsc', [
        { host: 'node.example', at, latency, failures: { timeout: 1 } },
      ]);
      const pool = {
        merchantId: shop.id,
        network: 'bsc',
        currency: null,
        held: n,
        quarantined: 1,
        retired: 2,
      } as const;
      await insertPoolMeasurements(trx, [{ ...pool, at, free: 20 - n }]);
      await addEndpointMeasurements(trx, [
        { endpointId: hook.body.id, at, succeeded: 3, failed: n === 0 ? 1 : 0, oldestPendingMs: 0 },
      ]);
    });
  }
  const span = `since=${isoTime(last - 11 * measurementMs)}&until=${isoTime(last + measurementMs)}`;
  const get = async <T>(path: string) =>
    (await api.send<T>('GET', `/admin/v1/${path}`, { admin: true })).body;
  return { shop, hookId: hook.body.id, last, span, get };
}

type Series = { step_seconds: number; data: { points: Record<string, unknown>[] }[] };

describeDatabases('what was measured', (openTestDb) => {
  test('is told by time: each interval by itself, or several as one point where a long time is asked for', async () => {
    const { shop, last, span, get } = await openMeasured(await openApiServer(await openTestDb()));
    const nodes = await get<Series>(`chains/bsc/measurements/?${span}`);
    expect(nodes).toMatchObject({ step_seconds: 600, data: [{ host: 'node.example' }] });
    expect(nodes.data[0]?.points).toHaveLength(12);
    expect(nodes.data[0]?.points.at(-1)).toMatchObject({
      at: isoTime(last),
      answers: 3,
      failures: { timeout: 1, wrong: 0 },
    });

    const few = await get<Series>(`chains/bsc/measurements/?${span}&points=4`);
    expect(few.data[0]?.points.length).toBeLessThanOrEqual(4);
    const sum = (field: string) => few.data[0]?.points.reduce((all, point) => all + Number(point[field]), 0);
    expect(sum('answers')).toBe(36);

    const pools = await get<Series>(`merchants/${shop.id}/measurements/pools/?${span}&points=2`);
    // The worst of each.
    expect(pools.data).toMatchObject([
      { network: 'bsc', currency: null, points: [{ free: 9, held: 11 }, {}] },
    ]);
    const hooks = await get<Series>(`merchants/${shop.id}/measurements/webhooks/?${span}&points=300`);
    expect(hooks.data).toMatchObject([{ url: 'https://shop.example/hook' }]);
    expect(hooks.data[0]?.points).toHaveLength(12);
    expect(hooks.data[0]?.points.at(-1)).toEqual({
      at: isoTime(last),
      succeeded: 3,
      failed: 1,
      oldest_pending_seconds: 0,
    });
  });

  test('is in short beside each node and endpoint: the last hour, and the last day', async () => {
    const { shop, get } = await openMeasured(await openApiServer(await openTestDb()));
    const chains = await get<{ data: { nodes: { last_hour: Record<string, number> }[] }[] }>('chains/');
    const hour = chains.data[0]?.nodes[0]?.last_hour;
    expect(hour).toMatchObject({ answers: 18, failures: { timeout: 6, behind: 0 } });
    expect(hour?.p50_ms).toBeLessThan(30);
    expect(hour?.p95_ms).toBeGreaterThan(200);
    const endpoint = async () =>
      (await get<{ data: Record<string, unknown>[] }>(`merchants/${shop.id}/webhooks/`)).data[0];
    expect(await endpoint()).toMatchObject({
      last_day: { succeeded: 36, failed: 1 },
      oldest_pending_at: null,
    });
  });

  test('an endpoint tells when the oldest of what it has not got was made, tried already or not, and how old that became', async () => {
    const api = await openApiServer(await openTestDb());
    const { shop, hookId, span, get } = await openMeasured(api);
    const made = api.now();
    for (let n = 0; n < 3; n++) {
      await api.send('POST', `/admin/v1/merchants/${shop.id}/webhooks/${hookId}/test/`, { admin: true });
      api.advance(60);
    }
    const oldest = async () =>
      (await get<{ data: { oldest_pending_at: string | null }[] }>(`merchants/${shop.id}/webhooks/`)).data[0]
        ?.oldest_pending_at;
    expect(await oldest()).toBe(isoTime(made));
    const first = { lane: 'backlog' as const, attempts: 1, next_attempt_at: made + hourMs };
    await api.db.updateTable('deliveries').set(first).where('id', '=', 1).execute();
    expect(await oldest()).toBe(isoTime(made));
    const measure = () => measureWaiting({ db: api.db, clock: api.now });
    await measure();
    await api.db.updateTable('deliveries').set({ state: 'delivered' }).where('id', '=', 1).execute();
    expect(await oldest()).toBe(isoTime(made + 60_000));
    // A second process, or the next minute: the interval keeps the oldest.
    await measure();
    const series = await get<Series>(`merchants/${shop.id}/measurements/webhooks/?${span}&points=300`);
    expect(series.data[0]?.points.at(-1)).toMatchObject({ succeeded: 3, oldest_pending_seconds: 180 });
  });
});

test('how long payments took is told by when they were made, of one merchant or of all', async () => {
  const db = await openTestSqlite();
  const now = Date.UTC(2026, 4, 24, 11);
  await fillDatabase(db, { payments: 400, now });
  await db.deleteFrom('chain_cursors').execute();
  const api = await openApiServer(db);
  const get = async (query: string) =>
    (
      await api.send<{ step_seconds: number; points: Record<string, number>[] }>(
        'GET',
        `/admin/v1/measurements/payment-times/?since=${isoTime(now - 6 * hourMs)}&until=${isoTime(now)}${query}`,
        { admin: true },
      )
    ).body;
  const { step_seconds, points } = await get('');
  expect(step_seconds).toBe(600);
  expect(points.length).toBeGreaterThan(30);
  // The filled database's payments are confirmed ten minutes after they were made.
  for (const point of points) expect(point).toMatchObject({ p50_seconds: 600, p95_seconds: 600 });
  expect((await get('&merchant_id=mer_1')).points).toEqual(points);
  expect((await get('&merchant_id=mer_2')).points).toEqual([]);
});

const day = 'since=2026-05-23T00:00:00Z&until=2026-05-24T00:00:00Z';
const garbage = {
  'no span': '',
  'half a span': 'since=2026-05-24T00:00:00Z',
  'a span that ends before it begins': 'since=2026-05-24T00:00:00Z&until=2026-05-23T00:00:00Z',
  'an empty span': 'since=2026-05-24T00:00:00Z&until=2026-05-24T00:00:00Z',
  'a span of years': 'since=2020-05-24T00:00:00Z&until=2026-05-24T00:00:00Z',
  'no moment': 'since=yesterday&until=2026-05-24T00:00:00Z',
  'a day that is none': 'since=2026-02-30T00:00:00Z&until=2026-03-01T00:00:00Z',
  'too many points': `${day}&points=301`,
  'one point': `${day}&points=1`,
  'half points': `${day}&points=2.5`,
  'no number of points': `${day}&points=many`,
  'something else': `${day}&step=1`,
};

test('what is asked for in no order, for too long, or in too many points is refused', async () => {
  const api = await openApiServer(await openTestSqlite());
  const { id } = await api.addMerchant();
  const shop = `merchants/${id}/measurements`;
  const ask = async (path: string, query: string) =>
    (await api.send('GET', `/admin/v1/${path}?${query}`, { admin: true })).status;
  for (const path of [
    'chains/bsc/measurements/',
    `${shop}/pools/`,
    `${shop}/webhooks/`,
    'measurements/payment-times/',
  ]) {
    expect([path, await ask(path, day)]).toEqual([path, 200]);
    for (const [name, query] of Object.entries(garbage))
      expect([path, name, await ask(path, query)]).toEqual([path, name, 400]);
  }
  expect(await ask('chains/tron/measurements/', day)).toBe(404);
  expect(await ask('merchants/mer_0/measurements/pools/', day)).toBe(404);
  expect(await ask('measurements/payment-times/', `${day}&merchant_id=mer_0`)).toBe(404);
});
