import { Webhook } from 'standardwebhooks';
import { describe, expect, test } from 'vitest';
import { defaultEventTypes } from '../../src/core/events.ts';
import { checkEndpoint, createEndpoint, defaultOverlapMs, rotateSecret } from '../../src/notify/endpoints.ts';
import { replayDelivery, replayRange, sendTestEvent } from '../../src/notify/replays.ts';
import { inTransaction } from '../../src/storage/database.ts';
import { countByState, countRejected } from '../../src/storage/webhooks/counts.ts';
import { getDelivery, listAttempts, listDeliveries } from '../../src/storage/webhooks/deliveries.ts';
import {
  deleteEndpoint,
  disableEndpoint,
  finishEndpointRotation,
  getEndpoint,
  listEndpoints,
  updateEndpoint,
} from '../../src/storage/webhooks/endpoints.ts';
import { describeDecisions } from '../support/databases.ts';
import { respond, startLoopback } from '../support/loopback.ts';
import { verifyPayhookSignature } from '../support/seed-verifier.ts';
import { parseSignatureHeader } from '../support/signature.ts';
import { manualClock, openShop } from '../support/webhooks.ts';

const rules = (allowHosts: readonly string[]) => ({ allowHosts, headerPrefix: 'X-PayHook' });

describe('what an endpoint may be', () => {
  test('every fault is told, each on its field', () => {
    const faults = checkEndpoint(
      {
        url: 'http://10.0.0.1/',
        events: ['payment.confirmed', 'payment.paid', '*'],
        description: 'x'.repeat(501),
      },
      rules([]),
    );
    expect(faults?.url?.[0]).toMatch(/10\.0\.0\.1 is a private address/);
    expect(faults?.events).toHaveLength(2);
    expect(faults?.events?.[0]).toMatch(/"payment\.paid" is no event; there are payment\.confirmed, /);
    expect(faults?.description?.[0]).toMatch(/500 characters/);
    expect(checkEndpoint({ description: 'two\nlines' }, rules([]))).toHaveProperty('description');
    expect(checkEndpoint({ url: 'http://10.0.0.1/' }, rules(['10.0.0.0/8']))).toBeNull();
    expect(checkEndpoint({}, rules([]))).toBeNull();
  });
});

test('every event of the contract can be subscribed to, and the default set is what an endpoint gets that names none', () => {
  const onRequest = [
    'payment.detected',
    'payment.late',
    'deposit.unmatched',
    'pool.low',
    'pool.exhausted',
    'webhook.test',
  ];
  const byDefault = [
    'payment.confirmed',
    'payment.expired',
    'payment.cancelled',
    'payment.failed',
    'payment.reverted',
  ];
  expect(checkEndpoint({ events: [...byDefault, ...onRequest] }, rules([]))).toBeNull();
  expect(defaultEventTypes).toEqual(byDefault);
});

describeDecisions('a webhook endpoint', (openTestDb) => {
  test('is created with a secret that is shown once and stored sealed', async () => {
    const shop = await openShop(await openTestDb(), Date.now);
    const given = {
      merchantId: shop.merchantId,
      url: 'https://shop.example/hook',
      description: 'Main shop',
      at: 5,
    };
    const tools = { secrets: shop.secrets, ...rules([]) };
    const made = await inTransaction(shop.db, (trx) => createEndpoint(trx, tools, given));
    if (made.kind !== 'created') throw new Error('not created');
    expect(made.secret).toMatch(/^whsec_/);
    expect(made.endpoint).toMatchObject({
      merchantId: shop.merchantId,
      url: 'https://shop.example/hook',
      events: defaultEventTypes,
      description: 'Main shop',
      active: true,
      disabledReason: null,
      createdAt: 5,
    });
    expect(await getEndpoint(shop.db, made.endpoint.id)).toEqual(made.endpoint);
    expect(JSON.stringify(made.endpoint)).not.toContain('secret"');
    const rows = await shop.db.selectFrom('webhook_endpoints').selectAll().execute();
    expect(JSON.stringify(rows)).not.toContain(made.secret);
    expect(JSON.stringify(rows)).not.toContain(made.secret.slice(6));
  });

  test('that is at fault is not created', async () => {
    const shop = await openShop(await openTestDb(), Date.now);
    const given = { merchantId: shop.merchantId, url: 'http://localhost/', events: ['nonsense'], at: 5 };
    const tools = { secrets: shop.secrets, ...rules([]) };
    const made = await inTransaction(shop.db, (trx) => createEndpoint(trx, tools, given));
    expect(made).toMatchObject({
      kind: 'invalid',
      faults: { url: [expect.any(String)], events: [expect.any(String)] },
    });
    expect(await listEndpoints(shop.db, shop.merchantId)).toEqual([]);
  });

  test('is changed, listed oldest first, and gone once deleted, with its secrets', async () => {
    const clock = manualClock();
    const shop = await openShop(await openTestDb(), clock.now);
    const first = await shop.addEndpoint('https://a.example/');
    clock.advance(1);
    const second = await shop.addEndpoint('https://b.example/');
    const changed = await inTransaction(shop.db, (trx) =>
      updateEndpoint(trx, second.id, {
        url: 'https://c.example/',
        events: ['payment.late'],
        description: 'two',
      }),
    );
    expect(changed).toMatchObject({
      url: 'https://c.example/',
      events: ['payment.late'],
      description: 'two',
    });
    expect((await listEndpoints(shop.db, shop.merchantId)).map(({ id }) => id)).toEqual([
      first.id,
      second.id,
    ]);
    const remove = () => inTransaction(shop.db, (trx) => deleteEndpoint(trx, first.id, 9));
    expect(await remove()).toBe(true);
    expect(await remove()).toBe(false);
    expect(await getEndpoint(shop.db, first.id)).toBeNull();
    expect((await listEndpoints(shop.db, shop.merchantId)).map(({ id }) => id)).toEqual([second.id]);
    expect(
      await inTransaction(shop.db, (trx) => updateEndpoint(trx, first.id, { description: 'x' })),
    ).toBeNull();
    const row = await shop.db
      .selectFrom('webhook_endpoints')
      .select('secret')
      .where('id', '=', first.id)
      .executeTakeFirst();
    expect(row?.secret).toBe('');
  });
});

describeDecisions("the rotation of an endpoint's secret", (openTestDb) => {
  test('S56: signs with both for a day, new first and old last, then with the new one alone', async () => {
    const clock = manualClock();
    const server = await startLoopback(respond(200));
    const shop = await openShop(await openTestDb(), clock.now);
    const { id, secret: old } = await shop.addEndpoint(server.url);
    const rotated = await inTransaction(shop.db, (trx) =>
      rotateSecret(trx, shop.secrets, { endpointId: id, at: clock.now() }),
    );
    const next = rotated?.secret ?? '';
    expect(next).toMatch(/^whsec_/);
    expect(next).not.toBe(old);
    expect(rotated?.endpoint).toMatchObject({
      rotatedAt: clock.now(),
      previousSecretUntil: clock.now() + defaultOverlapMs,
    });

    const notifier = shop.notifier();
    const sendOne = async () => {
      await shop.happen();
      await notifier.drain();
      const request = server.requests.at(-1);
      const header = String(request?.headers['x-payhook-signature']);
      const accepts = (secret: string) =>
        verifyPayhookSignature(request?.body ?? '', header, secret, 200_000);
      return { request, signatures: parseSignatureHeader(header)?.signatures.length, accepts };
    };
    const during = await sendOne();
    expect(during.signatures).toBe(2);
    // Receivers with the published verifier go on with the old secret during the overlap.
    expect(during.accepts(old)).toBe(true);
    const headers = during.request?.headers as Record<string, string>;
    for (const secret of [old, next])
      new Webhook(secret).verify(during.request?.body.toString() ?? '', headers);

    clock.advance(defaultOverlapMs - 1);
    expect((await sendOne()).signatures).toBe(2);
    clock.advance(1);
    const after = await sendOne();
    expect(after.signatures).toBe(1);
    expect(after.accepts(next)).toBe(true);
    expect(after.accepts(old)).toBe(false);
    // The old secret is not kept any longer, either.
    clock.advance(1_000);
    await notifier.drain();
    const row = await shop.db
      .selectFrom('webhook_endpoints')
      .select(['previous_secret'])
      .executeTakeFirstOrThrow();
    expect(row.previous_secret).toBeNull();
  });

  test('S56: can be finished now, or have no overlap at all', async () => {
    const server = await startLoopback(respond(200));
    const shop = await openShop(await openTestDb(), Date.now);
    const { id } = await shop.addEndpoint(server.url);
    const notifier = shop.notifier();
    const rotate = (overlapMs?: number) =>
      inTransaction(shop.db, (trx) =>
        rotateSecret(trx, shop.secrets, {
          endpointId: id,
          at: Date.now(),
          ...(overlapMs === undefined ? {} : { overlapMs }),
        }),
      );
    const signatures = async () => {
      await shop.happen();
      await notifier.drain();
      return parseSignatureHeader(String(server.requests.at(-1)?.headers['x-payhook-signature']))?.signatures
        .length;
    };
    await rotate();
    expect(await signatures()).toBe(2);
    const finished = await inTransaction(shop.db, (trx) => finishEndpointRotation(trx, id));
    expect(finished).toMatchObject({ previousSecretUntil: null });
    expect(await signatures()).toBe(1);
    expect((await rotate(0))?.endpoint).toMatchObject({ previousSecretUntil: null });
    expect(await signatures()).toBe(1);
    expect(
      await inTransaction(shop.db, (trx) =>
        rotateSecret(trx, shop.secrets, { endpointId: 'we_none', at: 1 }),
      ),
    ).toBeNull();
  });

  test('S58: that a receiver did not follow shows as rejected deliveries, which a range replay sends again', async () => {
    const clock = manualClock();
    let secret = '';
    const server = await startLoopback((request, response) => {
      const ok = verifyPayhookSignature(
        request.body,
        String(request.headers['x-payhook-signature']),
        secret,
        1e6,
      );
      response.writeHead(ok ? 200 : 401).end();
    });
    const shop = await openShop(await openTestDb(), clock.now);
    const endpoint = await shop.addEndpoint(server.url);
    secret = endpoint.secret;
    const notifier = shop.notifier();
    await shop.happen(2);
    await notifier.drain();
    clock.advance(1_000);
    const rotatedAt = clock.now();
    const rotated = await inTransaction(shop.db, (trx) =>
      rotateSecret(trx, shop.secrets, { endpointId: endpoint.id, overlapMs: 0, at: rotatedAt }),
    );
    await shop.happen(3);
    await notifier.drain();
    expect(await countRejected(shop.db, endpoint.id, rotatedAt)).toBe(3);

    secret = rotated?.secret ?? '';
    clock.advance(1_000);
    const replayed = await inTransaction(shop.db, (trx) =>
      replayRange(trx, { endpointId: endpoint.id, since: rotatedAt, at: clock.now() }),
    );
    expect(replayed).toEqual({ kind: 'queued', count: 3, more: false });
    clock.advance(1_000);
    await notifier.drain();
    const made = { endpointId: endpoint.id, since: clock.now() - 1_000, replays: true };
    expect(await countByState(shop.db, made)).toMatchObject({ delivered: 3, pending: 0, failed: 0 });
    expect(await countRejected(shop.db, endpoint.id, rotatedAt)).toBe(0);
  });
});

describeDecisions('a replay', (openTestDb) => {
  test('S55, S52: is a new delivery of the same bytes and event id, with ten attempts of its own and a fresh signature', async () => {
    const clock = manualClock();
    let status = 400;
    const server = await startLoopback((_request, response) => response.writeHead(status).end());
    const shop = await openShop(await openTestDb(), clock.now);
    const { secret } = await shop.addEndpoint(server.url);
    const notifier = shop.notifier();
    await shop.happen();
    await notifier.drain();
    const [original] = await listDeliveries(shop.db, { limit: 1 });
    status = 500;
    clock.advance(7 * 24 * 60 * 60_000);
    const replay = () =>
      inTransaction(shop.db, (trx) =>
        replayDelivery(trx, { deliveryId: original?.id ?? 0, at: clock.now() }),
      );
    const made = await replay();
    if (made.kind !== 'queued') throw new Error(made.kind);
    expect(made.delivery).toMatchObject({
      state: 'pending',
      attempts: 0,
      replayOf: original?.id,
      eventId: original?.eventId,
    });
    await notifier.drain();
    status = 200;
    clock.advance(4_000);
    await notifier.drain();

    const [first, second, third] = server.requests;
    expect(server.requests).toHaveLength(3);
    expect(second?.body).toEqual(first?.body);
    expect(second?.headers['webhook-id']).toBe(first?.headers['webhook-id']);
    expect(second?.headers['x-payhook-delivery-id']).toBe(String(made.delivery.id));
    expect(made.delivery.id).not.toBe(original?.id);
    const header = String(third?.headers['x-payhook-signature']);
    expect(header).toContain(`t=${Math.floor(clock.now() / 1000)},`);
    expect(verifyPayhookSignature(third?.body ?? '', header, secret, 1e6)).toBe(true);
    expect(await getDelivery(shop.db, made.delivery.id)).toMatchObject({ state: 'delivered', attempts: 2 });
    expect(await getDelivery(shop.db, original?.id ?? 0)).toMatchObject({ state: 'failed', attempts: 1 });
    // A second replay is another delivery.
    expect(await replay()).toMatchObject({ kind: 'queued' });
  });

  test('of a range takes what is in the time and state asked for, oldest first, and nothing twice', async () => {
    const clock = manualClock(1_800_000_000_000);
    const server = await startLoopback((request, response) => {
      const number = Number(JSON.parse(request.body.toString()).payment_id.split('-')[2]);
      const again = server.requests.filter(({ body }) => body.equals(request.body)).length > 1;
      response.writeHead(number % 2 === 0 || again ? 200 : 404).end();
    });
    const shop = await openShop(await openTestDb(), clock.now);
    const { id } = await shop.addEndpoint(server.url);
    const other = await shop.addEndpoint(`${server.url}/other`, ['payment.late']);
    const notifier = shop.notifier({ replayOnRecovery: false });
    const since = clock.now();
    for (let minute = 0; minute < 10; minute++) {
      await shop.happen();
      await notifier.drain();
      clock.advance(60_000);
    }
    // Numbers 1, 3, 5, 7, 9 failed at minutes 0, 2, 4, 6, 8.
    const range = { endpointId: id, since: since + 60_000, until: since + 8 * 60_000 };
    const replay = (more: Partial<Parameters<typeof replayRange>[1]> = {}) =>
      inTransaction(shop.db, (trx) => replayRange(trx, { ...range, at: clock.now(), ...more }));
    expect(await replay({ limit: 2 })).toEqual({ kind: 'queued', count: 2, more: true });
    expect(await replay({ limit: 2 })).toEqual({ kind: 'queued', count: 1, more: false });
    expect(await replay()).toEqual({ kind: 'queued', count: 0, more: false });
    expect(await replay({ endpointId: other.id })).toEqual({ kind: 'queued', count: 0, more: false });
    const before = server.requests.length;
    clock.advance(1_000);
    await notifier.drain();
    const sent = server.requests.slice(before).map(({ body }) => JSON.parse(body.toString()).payment_id);
    expect(sent.sort()).toEqual(['PAY-2026-3', 'PAY-2026-5', 'PAY-2026-7']);
    const deliveries = await listDeliveries(shop.db, { endpointId: id, state: 'delivered', limit: 100 });
    expect(deliveries.filter(({ replayOf }) => replayOf !== null)).toHaveLength(3);

    expect(await replay({ states: ['delivered'] })).toMatchObject({ count: 4 });
  });

  test('of a range is paced, and never delays a fresh event', async () => {
    const clock = manualClock();
    let status = 404;
    const server = await startLoopback((_request, response) => response.writeHead(status).end());
    const shop = await openShop(await openTestDb(), clock.now);
    const { id } = await shop.addEndpoint(server.url);
    const notifier = shop.notifier();
    await shop.happen(100);
    await notifier.drain();
    status = 200;
    await inTransaction(shop.db, (trx) => replayRange(trx, { endpointId: id, since: 0, at: clock.now() }));
    await notifier.drain();
    expect(server.requests).toHaveLength(101);
    clock.advance(1_000);
    await shop.happen();
    await notifier.drain();
    // 50 a second, and the fresh one among the first.
    expect(server.requests).toHaveLength(152);
    const fresh = server.requests.slice(101).findIndex(({ body }) => body.includes('PAY-2026-101'));
    expect(fresh).toBeLessThan(8);
  });

  test('to an endpoint that is off or gone is refused', async () => {
    const shop = await openShop(await openTestDb(), Date.now);
    const { id } = await shop.addEndpoint('https://shop.example/');
    await shop.happen();
    const [delivery] = await listDeliveries(shop.db, { limit: 1 });
    const deliveryId = delivery?.id ?? 0;
    await inTransaction(shop.db, async (trx) => {
      expect(await replayDelivery(trx, { deliveryId: deliveryId + 1, at: 1 })).toEqual({ kind: 'not-found' });
      expect(await replayRange(trx, { endpointId: 'we_none', since: 0, at: 1 })).toEqual({
        kind: 'not-found',
      });
      await disableEndpoint(trx, id, 'operator');
      expect(await replayDelivery(trx, { deliveryId, at: 1 })).toEqual({ kind: 'endpoint-disabled' });
      expect(await replayRange(trx, { endpointId: id, since: 0, at: 1 })).toEqual({
        kind: 'endpoint-disabled',
      });
      expect(await sendTestEvent(trx, { endpointId: id, at: 1 })).toEqual({ kind: 'endpoint-disabled' });
      await deleteEndpoint(trx, id, 1);
      expect(await replayDelivery(trx, { deliveryId, at: 1 })).toEqual({ kind: 'endpoint-disabled' });
      expect(await sendTestEvent(trx, { endpointId: id, at: 1 })).toEqual({ kind: 'not-found' });
    });
  });
});

describeDecisions('a test event', (openTestDb) => {
  test('goes to the endpoint it was asked for alone, signed, and is never mistaken for a payment', async () => {
    const server = await startLoopback(respond(200));
    const shop = await openShop(await openTestDb(), Date.now);
    const { id, secret } = await shop.addEndpoint(`${server.url}/one`);
    await shop.addEndpoint(`${server.url}/two`, ['webhook.test']);
    const sent = await inTransaction(shop.db, (trx) =>
      sendTestEvent(trx, { endpointId: id, at: Date.now() }),
    );
    expect(sent).toMatchObject({ kind: 'queued', delivery: { endpointId: id, eventType: 'webhook.test' } });
    await shop.notifier().drain();
    expect(server.requests.map(({ path }) => path)).toEqual(['/one']);
    const [request] = server.requests;
    expect(request?.headers['x-payhook-event']).toBe('webhook.test');
    expect(
      verifyPayhookSignature(request?.body ?? '', String(request?.headers['x-payhook-signature']), secret),
    ).toBe(true);
    expect(JSON.parse(request?.body.toString() ?? '')).toMatchObject({
      event: 'webhook.test',
      payment_id: null,
      endpoint: { id, host: `127.0.0.1:${server.port}` },
    });
  });

  test('S46: to a blocked target uses the same guard, and nothing of what is there is shown', async () => {
    const server = await startLoopback(respond(200, {}, 'internal secret'));
    const shop = await openShop(await openTestDb(), Date.now);
    const { id } = await shop.addEndpoint(server.url);
    await inTransaction(shop.db, (trx) => sendTestEvent(trx, { endpointId: id, at: Date.now() }));
    await shop.notifier({ allowHosts: [] }).drain();
    expect(server.connections()).toBe(0);
    const [delivery] = await listDeliveries(shop.db, { limit: 1 });
    expect(delivery).toMatchObject({ state: 'failed', lastError: 'blocked', lastStatus: null });
    const [attempt] = await listAttempts(shop.db, delivery?.id ?? 0);
    expect(attempt).toMatchObject({ status: null, error: 'blocked', response: '' });
    expect(JSON.stringify(attempt)).not.toContain('internal secret');
  });
});
