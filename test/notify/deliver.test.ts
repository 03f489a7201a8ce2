import { Webhook } from 'standardwebhooks';
import { expect, test } from 'vitest';
import { rotateSecret } from '../../src/notify/endpoints.ts';
import { inTransaction } from '../../src/storage/database.ts';
import { addApiKey } from '../../src/storage/operators/merchants.ts';
import type { Db } from '../../src/storage/schema.ts';
import { listAttempts, listDeliveries } from '../../src/storage/webhooks/deliveries.ts';
import {
  deleteEndpoint,
  disableEndpoint,
  enableEndpoint,
  getEndpoint,
} from '../../src/storage/webhooks/endpoints.ts';
import { findNextDueAt } from '../../src/storage/webhooks/queue.ts';
import { describeDecisions } from '../support/databases.ts';
import { captureLog } from '../support/log.ts';
import { respond, startLoopback } from '../support/loopback.ts';
import { verifyPayhookSignature } from '../support/seed-verifier.ts';
import { manualClock, openShop } from '../support/webhooks.ts';

async function onlyDelivery(db: Db) {
  const [delivery, ...others] = await listDeliveries(db, { limit: 10 });
  expect(others).toEqual([]);
  if (delivery === undefined) throw new Error('there is no delivery');
  return delivery;
}

describeDecisions('a webhook', (openTestDb) => {
  test('is the frozen body with the documented headers, and both signatures verify', async () => {
    const server = await startLoopback(respond(200));
    const shop = await openShop(await openTestDb(), Date.now);
    const { secret } = await shop.addEndpoint(`${server.url}/hook`);
    await shop.happen();
    await shop.notifier().drain();

    const [request] = server.requests;
    const [event] = await shop.db.selectFrom('events').select(['id', 'body']).execute();
    const delivery = await onlyDelivery(shop.db);
    expect(server.requests).toHaveLength(1);
    expect(request?.method).toBe('POST');
    expect(request?.body.toString()).toBe(event?.body);
    expect(request?.headers).toMatchObject({
      'content-type': 'application/json',
      'user-agent': 'depositd/test',
      'x-payhook-event': 'payment.confirmed',
      'x-payhook-delivery-id': String(delivery.id),
      'webhook-id': event?.id,
    });
    const header = String(request?.headers['x-payhook-signature']);
    expect(header).toMatch(/^t=\d{10},v1=[0-9a-f]{64}$/);
    expect(verifyPayhookSignature(request?.body ?? '', header, secret)).toBe(true);
    const standard = request?.headers as Record<string, string>;
    expect(new Webhook(secret).verify(request?.body.toString() ?? '', standard)).toMatchObject({
      event: 'payment.confirmed',
    });
    expect(JSON.stringify(request?.headers)).not.toContain(secret);
    expect(delivery).toMatchObject({
      state: 'delivered',
      attempts: 1,
      lastStatus: 200,
      lastError: null,
      eventId: event?.id,
    });
    expect(delivery.finishedAt).not.toBeNull();
  });

  test('S50: carries neither the secret nor its bytes nor the merchant’s API key, in whatever encoding, while it rotates either', async () => {
    const server = await startLoopback(respond(200));
    const shop = await openShop(await openTestDb(), Date.now);
    const { id, secret } = await shop.addEndpoint(`${server.url}/hook`);
    const apiKey = await inTransaction(shop.db, (trx) =>
      addApiKey(trx, { merchantId: shop.merchantId, at: 1 }),
    );
    const notifier = shop.notifier();
    await shop.happen();
    await notifier.drain();
    const rotation = { endpointId: id, at: Date.now() };
    const rotated = await inTransaction(shop.db, (trx) => rotateSecret(trx, shop.secrets, rotation));
    await shop.happen();
    await notifier.drain();
    expect(server.requests).toHaveLength(2);
    const sent = server.requests
      .map(({ path, headers, body }) => path + JSON.stringify(headers) + body)
      .join();
    for (const whole of [secret, rotated?.secret ?? '', apiKey.secret]) {
      const bare = whole.replace(/^(whsec|pk)_/, '');
      const bytes = Buffer.from(bare, whole.startsWith('pk_') ? 'hex' : 'base64');
      for (const form of [
        whole,
        bare,
        ...(['hex', 'base64', 'base64url'] as const).map((as) => bytes.toString(as)),
      ]) {
        expect(form.length).toBeGreaterThan(30);
        expect(sent).not.toContain(form);
      }
    }
  });

  test('goes to every active endpoint that subscribes to its type, and to no other', async () => {
    const server = await startLoopback(respond(200));
    const shop = await openShop(await openTestDb(), Date.now);
    const other = await openShop(shop.db, Date.now);
    await shop.addEndpoint(`${server.url}/default`);
    await shop.addEndpoint(`${server.url}/late`, ['payment.late']);
    await shop.addEndpoint(`${server.url}/both`, ['payment.confirmed', 'payment.late']);
    const off = await shop.addEndpoint(`${server.url}/off`);
    const gone = await shop.addEndpoint(`${server.url}/gone`);
    await other.addEndpoint(`${server.url}/stranger`);
    await inTransaction(shop.db, async (trx) => {
      await disableEndpoint(trx, off.id, 'operator');
      await deleteEndpoint(trx, gone.id, Date.now());
    });
    await shop.happen(1, 'payment.confirmed');
    await shop.happen(1, 'payment.late');
    await shop.notifier().drain();
    const seen = server.requests
      .map((request) => `${request.path} ${request.headers['x-payhook-event']}`)
      .sort();
    expect(seen).toEqual([
      '/both payment.confirmed',
      '/both payment.late',
      '/default payment.confirmed',
      '/late payment.late',
    ]);
  });

  test('S54, S52, S59: that is never accepted is attempted exactly ten times within 28 to 36 minutes, each signed afresh, then given up', async () => {
    const start = Date.now();
    const clock = manualClock(start);
    const times: number[] = [];
    const server = await startLoopback((_request, response) => {
      times.push(clock.now());
      response.writeHead(500).end('no');
    });
    const { log, lines } = captureLog();
    const shop = await openShop(await openTestDb(), clock.now);
    const { id, secret } = await shop.addEndpoint(`${server.url}/hook/with-a-key`);
    await shop.happen();
    const notifier = shop.notifier({ log });
    for (let rounds = 0; rounds < 50; rounds++) {
      await notifier.drain();
      const next = await findNextDueAt(shop.db, clock.now());
      if (next === null) break;
      // One millisecond early nothing happens.
      clock.set(next - 1);
      await notifier.drain();
      clock.set(next);
    }

    expect(times).toHaveLength(10);
    const lasted = (times.at(-1) ?? 0) - start;
    expect(lasted).toBeGreaterThanOrEqual(28 * 60_000);
    expect(lasted).toBeLessThanOrEqual(36 * 60_000);
    expect(new Set(server.requests.map((request) => request.body.toString())).size).toBe(1);
    for (const [index, request] of server.requests.entries()) {
      const header = String(request.headers['x-payhook-signature']);
      expect(header).toContain(`t=${Math.floor((times[index] ?? 0) / 1000)},`);
      expect(verifyPayhookSignature(request.body, header, secret, 3_000)).toBe(true);
    }
    expect(new Set(server.requests.map((request) => request.headers['x-payhook-delivery-id'])).size).toBe(1);
    expect(new Set(server.requests.map((request) => request.headers['webhook-id'])).size).toBe(1);

    const delivery = await onlyDelivery(shop.db);
    expect(delivery).toMatchObject({
      state: 'failed',
      attempts: 10,
      lastStatus: 500,
      lastError: 'http',
      nextAttemptAt: null,
    });
    const attempts = await listAttempts(shop.db, delivery.id);
    expect(attempts.map(({ attempt, status, response }) => ({ attempt, status, response }))).toEqual(
      Array.from({ length: 10 }, (_, index) => ({ attempt: index + 1, status: 500, response: 'no' })),
    );
    expect(attempts.map(({ startedAt }) => startedAt)).toEqual(times);
    const given = lines.filter((line) => line.msg === 'webhook given up');
    expect(given).toHaveLength(1);
    expect(given[0]).toMatchObject({
      level: 'warn',
      merchant_id: shop.merchantId,
      endpoint_id: id,
      delivery_id: delivery.id,
      event_type: 'payment.confirmed',
      reason: 'exhausted',
      attempts: 10,
      status: 500,
      host: `127.0.0.1:${server.port}`,
    });
    expect(JSON.stringify(lines)).not.toContain('with-a-key');
    expect(JSON.stringify(lines)).not.toContain('whsec_');
  });

  test('is delivered by the attempt that succeeds', async () => {
    const clock = manualClock();
    const server = await startLoopback((_request, response, nth) =>
      response.writeHead(nth < 3 ? 503 : 204).end(),
    );
    const shop = await openShop(await openTestDb(), clock.now);
    const { id } = await shop.addEndpoint(server.url);
    await shop.happen();
    const notifier = shop.notifier();
    await notifier.drain();
    expect((await getEndpoint(shop.db, id))?.failingSince).toBe(clock.now());
    clock.advance(4_000);
    await notifier.drain();
    clock.advance(8_000);
    await notifier.drain();
    expect(await onlyDelivery(shop.db)).toMatchObject({
      state: 'delivered',
      attempts: 3,
      lastStatus: 204,
      lastError: null,
    });
    expect((await getEndpoint(shop.db, id))?.failingSince).toBeNull();
  });

  test('S53: is given up at once on 400, 401, 403, 404 and 422', async () => {
    const clock = manualClock();
    const server = await startLoopback((request, response) =>
      response.writeHead(Number(request.path.slice(1))).end(),
    );
    const { log, lines } = captureLog();
    const shop = await openShop(await openTestDb(), clock.now);
    for (const status of [400, 401, 403, 404, 422]) await shop.addEndpoint(`${server.url}/${status}`);
    await shop.happen();
    const notifier = shop.notifier({ log });
    await notifier.drain();
    clock.advance(60 * 60_000);
    await notifier.drain();
    expect(server.requests).toHaveLength(5);
    const deliveries = await listDeliveries(shop.db, { limit: 10 });
    expect(deliveries.map(({ lastStatus }) => lastStatus).sort()).toEqual([400, 401, 403, 404, 422]);
    for (const delivery of deliveries) expect(delivery).toMatchObject({ state: 'failed', attempts: 1 });
    const given = lines.filter((line) => line.msg === 'webhook given up');
    expect(given.map(({ reason }) => reason)).toEqual(Array(5).fill('rejected'));
  });

  test('S53, S43: is sent again on every other status, redirects included, which are not followed', async () => {
    const clock = manualClock();
    const elsewhere = await startLoopback(respond(200));
    const server = await startLoopback((request, response) =>
      response.writeHead(Number(request.path.slice(1)), { location: `${elsewhere.url}/secret/path` }).end(),
    );
    const shop = await openShop(await openTestDb(), clock.now);
    const statuses = [302, 307, 402, 408, 409, 418, 425, 429, 500, 503];
    for (const status of statuses) await shop.addEndpoint(`${server.url}/${status}`);
    await shop.happen();
    await shop.notifier().drain();
    const deliveries = await listDeliveries(shop.db, { limit: 20 });
    expect(deliveries.map(({ lastStatus }) => lastStatus).sort()).toEqual(statuses);
    for (const delivery of deliveries) {
      expect(delivery).toMatchObject({ state: 'pending', attempts: 1, lastError: 'http' });
      expect(delivery.nextAttemptAt).toBeGreaterThanOrEqual(clock.now() + 3_500);
      const status = delivery.lastStatus ?? 0;
      const [attempt] = await listAttempts(shop.db, delivery.id);
      const redirect = status === 302 || status === 307;
      expect(attempt?.detail).toBe(
        redirect ? `redirects to 127.0.0.1:${elsewhere.port}` : `answered ${status}`,
      );
    }
    expect(elsewhere.connections()).toBe(0);
  });

  test('waits as long as Retry-After says', async () => {
    const clock = manualClock();
    const server = await startLoopback(respond(429, { 'retry-after': '90' }));
    const shop = await openShop(await openTestDb(), clock.now);
    await shop.addEndpoint(server.url);
    await shop.happen();
    await shop.notifier().drain();
    const { nextAttemptAt } = await onlyDelivery(shop.db);
    expect(nextAttemptAt).toBeGreaterThanOrEqual(clock.now() + 90_000);
    expect(nextAttemptAt).toBeLessThan(clock.now() + 91_000);
  });

  test.each([
    ['Retry-After', 503, ['90', '5'], 90_000],
    ['Date', 400, ['Thu, 01 Jan 1970 00:00:00 GMT', 'Thu, 01 Jan 1970 00:00:01 GMT'], null],
  ] as const)(
    'is judged by the first of several headers %s that an answer has',
    async (name, status, values, waitMs) => {
      const clock = manualClock();
      const server = await startLoopback((_request, response) => {
        response.sendDate = false;
        response.writeHead(status, { [name]: [...values] }).end();
      });
      const shop = await openShop(await openTestDb(), clock.now);
      await shop.addEndpoint(server.url);
      await shop.happen();
      await shop.notifier().drain();
      const { state, lastStatus, nextAttemptAt } = await onlyDelivery(shop.db);
      expect({ state, lastStatus }).toEqual({
        state: waitMs === null ? 'failed' : 'pending',
        lastStatus: status,
      });
      if (waitMs !== null) expect(nextAttemptAt).toBeGreaterThanOrEqual(clock.now() + waitMs);
    },
  );

  test('S53: to a blocked target is given up without a connection', async () => {
    const server = await startLoopback(respond(200));
    const { log, lines } = captureLog();
    const shop = await openShop(await openTestDb(), Date.now);
    await shop.addEndpoint(server.url);
    await shop.happen();
    await shop.notifier({ log, allowHosts: [] }).drain();
    expect(server.connections()).toBe(0);
    expect(await onlyDelivery(shop.db)).toMatchObject({ state: 'failed', attempts: 1, lastError: 'blocked' });
    expect(lines.filter((line) => line.msg === 'webhook given up')).toMatchObject([{ reason: 'blocked' }]);
  });

  test('S53: that finds nobody is tried again', async () => {
    const closed = await startLoopback(respond(200));
    await closed.close();
    const clock = manualClock();
    const shop = await openShop(await openTestDb(), clock.now);
    await shop.addEndpoint(closed.url);
    await shop.happen();
    await shop.notifier().drain();
    expect(await onlyDelivery(shop.db)).toMatchObject({
      state: 'pending',
      attempts: 1,
      lastStatus: null,
      lastError: 'refused',
    });
  });

  test('S48: keeps the first 2 KiB of the answer as text, whatever the bytes are', async () => {
    const bytes = Buffer.concat([Buffer.from('a\0b'), Buffer.from([0xff, 0xfe]), Buffer.alloc(5_000, 0x7a)]);
    const server = await startLoopback((_request, response) => response.writeHead(200).end(bytes));
    const shop = await openShop(await openTestDb(), Date.now);
    await shop.addEndpoint(server.url);
    await shop.happen();
    await shop.notifier().drain();
    const [attempt] = await listAttempts(shop.db, (await onlyDelivery(shop.db)).id);
    expect(attempt?.response).toBe(`a\uFFFDb\uFFFD\uFFFD${'z'.repeat(2_043)}`);
    expect((await onlyDelivery(shop.db)).state).toBe('delivered');
  });
});

describeDecisions('an endpoint', (openTestDb) => {
  test('S53: that answers 410 is disabled, its queue cancelled, and the others are told', async () => {
    const gone = await startLoopback(respond(410));
    const well = await startLoopback(respond(200));
    const { log, lines } = captureLog();
    const clock = manualClock();
    const shop = await openShop(await openTestDb(), clock.now);
    const { id } = await shop.addEndpoint(gone.url);
    await shop.addEndpoint(well.url, ['webhook.disabled']);
    await shop.happen(20);
    const notifier = shop.notifier({ log });
    await notifier.drain();
    clock.advance(2_000);
    await notifier.drain();

    expect(await getEndpoint(shop.db, id)).toMatchObject({ active: false, disabledReason: 'gone' });
    expect(gone.requests.length).toBeLessThanOrEqual(4);
    const states = (await listDeliveries(shop.db, { endpointId: id, limit: 100 })).map(({ state }) => state);
    expect(states.filter((state) => state === 'failed')).toHaveLength(gone.requests.length);
    expect(states.filter((state) => state === 'cancelled')).toHaveLength(20 - gone.requests.length);
    expect(lines.filter((line) => line.msg === 'webhook endpoint disabled')).toMatchObject([
      { level: 'warn', endpoint_id: id, reason: 'gone' },
    ]);
    expect(well.requests.map((request) => JSON.parse(request.body.toString()))).toMatchObject([
      { event: 'webhook.disabled', endpoint: { id, disabled_reason: 'gone' } },
    ]);
  });

  test('without one success for five days is disabled with the next delivery given up, and not before', async () => {
    const dayMs = 24 * 60 * 60_000;
    let status = 401;
    const server = await startLoopback((_request, response) => response.writeHead(status).end());
    const { log, lines } = captureLog();
    const clock = manualClock();
    const shop = await openShop(await openTestDb(), clock.now);
    const { id } = await shop.addEndpoint(server.url);
    const notifier = shop.notifier({ log });
    const failOnce = async () => {
      await shop.happen();
      await notifier.drain();
      return getEndpoint(shop.db, id);
    };
    await failOnce();
    clock.advance(4 * dayMs);
    expect(await failOnce()).toMatchObject({ active: true });
    status = 200;
    expect(await failOnce()).toMatchObject({ active: true, failingSince: null });
    status = 401;
    clock.advance(dayMs);
    expect(await failOnce()).toMatchObject({ active: true });
    clock.advance(5 * dayMs - 1);
    expect(await failOnce()).toMatchObject({ active: true });
    clock.advance(1);
    // A failure that will be tried again decides nothing.
    status = 500;
    expect(await failOnce()).toMatchObject({ active: true });
    status = 401;
    expect(await failOnce()).toMatchObject({ active: false, disabledReason: 'failing' });
    expect(lines.filter((line) => line.msg === 'webhook endpoint disabled')).toMatchObject([
      { reason: 'failing' },
    ]);
    const enabled = await inTransaction(shop.db, (trx) => enableEndpoint(trx, id));
    expect(enabled).toMatchObject({ active: true, disabledReason: null, failingSince: null });
  });

  test('that is disabled or deleted has its waiting deliveries cancelled', async () => {
    const clock = manualClock();
    const server = await startLoopback(respond(500));
    const shop = await openShop(await openTestDb(), clock.now);
    const off = await shop.addEndpoint(server.url);
    const gone = await shop.addEndpoint(server.url);
    await shop.happen(2);
    const notifier = shop.notifier();
    await notifier.drain();
    const sent = server.requests.length;
    await inTransaction(shop.db, async (trx) => {
      await deleteEndpoint(trx, gone.id, clock.now());
      await disableEndpoint(trx, off.id, 'operator');
    });
    clock.advance(60_000);
    await notifier.drain();
    expect(server.requests).toHaveLength(sent);
    const deliveries = await listDeliveries(shop.db, { limit: 10 });
    expect(deliveries.map(({ state }) => state)).toEqual(Array(4).fill('cancelled'));
  });
});

describeDecisions('the notifier', (openTestDb) => {
  test('deletes deliveries that ended longer ago than they are kept, and nothing else', async () => {
    const clock = manualClock();
    const server = await startLoopback(respond(200));
    const shop = await openShop(await openTestDb(), clock.now);
    await shop.addEndpoint(server.url);
    let confirmed = false;
    const notifier = shop.notifier({ retentionMs: 60 * 60_000, isClockConfirmed: async () => confirmed });
    await shop.happen(3);
    await notifier.drain();
    clock.advance(30 * 60_000);
    await shop.happen(2);
    await notifier.drain();
    expect(await listDeliveries(shop.db, { limit: 10 })).toHaveLength(5);
    clock.advance(31 * 60_000);
    await notifier.drain();
    // By a clock that may be an hour ahead nothing is old.
    expect(await listDeliveries(shop.db, { limit: 10 })).toHaveLength(5);
    confirmed = true;
    clock.advance(60_000);
    await notifier.drain();
    expect(await listDeliveries(shop.db, { limit: 10 })).toHaveLength(2);
    // The events themselves stay: merchants read them at their own pace.
    expect(await shop.db.selectFrom('events').select('id').execute()).toHaveLength(5);
  });

  test('says once that a secret cannot be read, keeps its deliveries waiting, and goes on with all others', async () => {
    const server = await startLoopback(respond(200));
    const { log, lines } = captureLog();
    const shop = await openShop(await openTestDb(), Date.now);
    const { id } = await shop.addEndpoint(`${server.url}/damaged`);
    await shop.addEndpoint(`${server.url}/whole`);
    await shop.db
      .updateTable('webhook_endpoints')
      .set({ secret: 'v1:nonsense:AAAA' })
      .where('id', '=', id)
      .execute();
    await shop.happen(10);
    const notifier = shop.notifier({ log });
    await notifier.drain();
    await notifier.drain();
    expect(server.requests.map(({ path }) => path)).toEqual(Array(10).fill('/whole'));
    expect(await listDeliveries(shop.db, { endpointId: id, state: 'pending', limit: 20 })).toHaveLength(10);
    const said = lines.filter((line) => line.msg === 'webhook secret unreadable');
    expect(said).toMatchObject([{ level: 'error', endpoint_id: id }]);
  });
});
