import { setImmediate } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { openDatabase } from '../../src/storage/database.ts';
import { listAttempts, listDeliveries } from '../../src/storage/webhooks/deliveries.ts';
import { describeDatabases, freshDatabaseUrl } from '../support/databases.ts';
import { respond, startLoopback } from '../support/loopback.ts';
import { waitFor } from '../support/wait.ts';
import { manualClock, openShop } from '../support/webhooks.ts';

describeDatabases('endpoints beside each other', (openTestDb) => {
  test('S57: a hanging, a dripping and a dead endpoint delay no other, and hold no more than four places each', async () => {
    const hanging = await startLoopback(() => {});
    const dripping = await startLoopback((_request, response) => {
      response.socket?.write('HTTP/1.1 200 OK\r\n');
      const drip = setInterval(() => response.socket?.write('x-drip: drop\r\n'), 50);
      response.once('close', () => clearInterval(drip));
    });
    const dead = await startLoopback(respond(200));
    await dead.close();
    const well = await startLoopback(respond(200));
    const shop = await openShop(await openTestDb(), Date.now);
    for (const url of [hanging.url, dripping.url, dead.url, well.url]) await shop.addEndpoint(url);
    await shop.happen(100);
    const notifier = shop.notifier();
    notifier.start();
    await well.arrived(100);
    // Fresh ones, too, while the others go on hanging.
    await shop.happen(100);
    notifier.wake();
    await well.arrived(200);
    expect(hanging.requests.length).toBeLessThanOrEqual(4);
    expect(dripping.requests.length).toBeLessThanOrEqual(4);
  });

  test('S57: an endpoint on the same host as a hanging one is not delayed', async () => {
    const server = await startLoopback((request, response) => {
      if (request.path !== '/hangs') response.end('ok');
    });
    const shop = await openShop(await openTestDb(), Date.now);
    await shop.addEndpoint(`${server.url}/hangs`);
    await shop.addEndpoint(`${server.url}/works`);
    await shop.happen(50);
    shop.notifier().start();
    const sentTo = (path: string) => server.requests.filter((request) => request.path === path).length;
    await waitFor('50 deliveries', () => sentTo('/works') >= 50);
    expect(sentTo('/hangs')).toBeLessThanOrEqual(4);
  });

  test('an endpoint that fails gets one request at a time, and four again once it answers', async () => {
    const clock = manualClock();
    let status = 500;
    let open = 0;
    let most = 0;
    const server = await startLoopback(async (_request, response) => {
      most = Math.max(most, ++open);
      // As many as there will be at once have time to arrive.
      for (let turn = 0; turn < 20; turn++) await setImmediate();
      open--;
      response.writeHead(status).end();
    });
    const shop = await openShop(await openTestDb(), clock.now);
    await shop.addEndpoint(server.url);
    const notifier = shop.notifier();
    await shop.happen(1);
    await notifier.drain();
    most = 0;
    await shop.happen(12);
    await notifier.drain();
    expect(server.requests).toHaveLength(13);
    expect(most).toBe(1);

    status = 200;
    clock.advance(60_000);
    await shop.happen(12);
    await notifier.drain();
    expect(server.requests).toHaveLength(13 + 13 + 12);
    expect(most).toBe(4);
  });

  test('a quick endpoint that begins to fail gets one request at a time, however much was claimed for it', async () => {
    let failures = 0;
    let open = 0;
    let most = 0;
    const server = await startLoopback(async (_request, response, nth) => {
      if (nth <= 300) return response.end('ok');
      open++;
      // Those that were under way with the first failure do not count.
      if (failures >= 4) most = Math.max(most, open);
      for (let turn = 0; turn < 20; turn++) await setImmediate();
      open--;
      failures++;
      response.writeHead(500).end();
    });
    const shop = await openShop(await openTestDb(), Date.now);
    await shop.addEndpoint(server.url);
    await shop.happen(400);
    await shop.notifier().drain();
    expect(server.requests).toHaveLength(400);
    expect(failures).toBe(100);
    expect(most).toBe(1);
  });

  test('what waited in the queue until its lease was short is not sent under it, and loses no attempt', async () => {
    const clock = manualClock();
    const held: (() => void)[] = [];
    const leasesLeft: number[] = [];
    const server = await startLoopback(async (request, response, nth) => {
      if (nth <= 300) return response.end('ok');
      if (nth <= 304) return held.push(() => response.end('late'));
      const id = Number(request.headers['x-payhook-delivery-id']);
      const query = shop.db.selectFrom('deliveries').select('lease_until').where('id', '=', id);
      leasesLeft.push(((await query.executeTakeFirst())?.lease_until ?? 0) - clock.now());
      response.end('ok');
    });
    const shop = await openShop(await openTestDb(), clock.now);
    await shop.addEndpoint(server.url);
    const notifier = shop.notifier();
    await shop.happen(300);
    await notifier.drain();
    await shop.happen(40);
    await waitFor('more to be claimed than is sent at once', async () => (await notifier.step()).claimed > 4);
    await server.arrived(304);
    clock.advance(20_000);
    for (const release of held) release();
    await notifier.drain();
    expect(server.requests).toHaveLength(340);
    expect(leasesLeft).toHaveLength(36);
    expect(Math.min(...leasesLeft)).toBeGreaterThan(12_000);
    const rows = await shop.db.selectFrom('deliveries').select(['state', 'attempts']).execute();
    expect(rows).toEqual(Array(340).fill({ state: 'delivered', attempts: 1 }));
  });

  test('fresh events go before retries, at an endpoint that fails and at one that works again', async () => {
    const clock = manualClock();
    let status = 500;
    const server = await startLoopback((_request, response) => response.writeHead(status).end());
    const shop = await openShop(await openTestDb(), clock.now);
    await shop.addEndpoint(server.url);
    const notifier = shop.notifier();
    await shop.happen(60);
    await notifier.drain();
    expect(server.requests).toHaveLength(60);
    const numbersOf = (requests: typeof server.requests) =>
      requests.map((request) => Number(JSON.parse(request.body.toString()).payment_id.split('-')[2]));

    clock.advance(10_000);
    await shop.happen(5);
    await notifier.drain();
    expect(numbersOf(server.requests.slice(60, 65))).toEqual([61, 62, 63, 64, 65]);
    expect(server.requests).toHaveLength(125);

    status = 200;
    clock.advance(60 * 60_000);
    await shop.happen(5);
    await notifier.drain();
    expect(server.requests).toHaveLength(195);
    const order = numbersOf(server.requests.slice(125));
    const positions = [66, 67, 68, 69, 70].map((number) => order.indexOf(number));
    // At most every second place went to a retry meanwhile.
    expect(Math.max(...positions)).toBeLessThan(12);
  });

  test('a failing endpoint with a long queue has no more claimed than its probe', async () => {
    const server = await startLoopback(() => {});
    const shop = await openShop(await openTestDb(), Date.now);
    const { id } = await shop.addEndpoint(server.url);
    await shop.db.updateTable('webhook_endpoints').set({ failing_since: 1 }).where('id', '=', id).execute();
    await shop.happen(500);
    const notifier = shop.notifier();
    expect(await notifier.step()).toEqual({ claimed: 1 });
    expect(await notifier.step()).toEqual({ claimed: 0 });
    await server.arrived(1);
    const sending = await listDeliveries(shop.db, { state: 'sending', limit: 100 });
    expect(sending).toHaveLength(1);
  });

  test('a hundred endpoints with long queues take turns', async () => {
    const server = await startLoopback(respond(200));
    const shop = await openShop(await openTestDb(), Date.now);
    for (let i = 0; i < 100; i++) await shop.addEndpoint(`${server.url}/${i}`);
    await shop.happen(10);
    const notifier = shop.notifier({ total: 40 });
    await notifier.drain();
    expect(server.requests).toHaveLength(1_000);
    // Whoever came last had its first delivery before anybody had more than two rounds.
    const firstOf = (path: string) => server.requests.findIndex((request) => request.path === path);
    const last = Math.max(...Array.from({ length: 100 }, (_, i) => firstOf(`/${i}`)));
    expect(last).toBeLessThan(600);
  });
});

describeDatabases('after an outage', (openTestDb) => {
  test('S57: the events of one endpoint do not wait for the long queues of a hundred others', async () => {
    const server = await startLoopback(respond(200));
    const shop = await openShop(await openTestDb(), Date.now);
    for (let i = 0; i < 100; i++) await shop.addEndpoint(`${server.url}/${i}`);
    await shop.addEndpoint(`${server.url}/other`, ['payment.late']);
    // At the last moment there are as many again before it as may be.
    await shop.happen(60);
    const notifier = shop.notifier();
    notifier.start();
    for (const moment of [1_000, 2_000, 3_000]) {
      await server.arrived(moment);
      const before = server.requests.length;
      await shop.happen(1, 'payment.late');
      notifier.wake();
      const position = () => server.requests.findIndex(({ path }, at) => at >= before && path === '/other');
      await waitFor('the event to arrive', () => position() >= 0);
      // What was claimed already, and what its own transaction and the one before claimed beside it.
      expect(position() - before).toBeLessThan(1_024 + 2 * 256);
    }
  });
});

describe('two notifiers on one PostgreSQL', () => {
  test('never send the same attempt twice', async () => {
    const url = await freshDatabaseUrl('PostgreSQL', { migrated: true });
    const [db, otherDb] = [await openDatabase(url), await openDatabase(url)];
    onTestFinished(async () => {
      await Promise.all([db.destroy(), otherDb.destroy()]);
    });
    const server = await startLoopback((_request, response, nth) =>
      response.writeHead(nth <= 100 ? 500 : 200).end(),
    );
    let aheadMs = 0;
    const shop = await openShop(db, () => Date.now() + aheadMs);
    for (let i = 0; i < 5; i++) await shop.addEndpoint(`${server.url}/${i}`);
    await shop.happen(200);
    const senders = [db, otherDb].map((eachDb, index) => {
      const claimed: number[] = [];
      const notifier = shop.notifier({
        db: eachDb,
        observe: ({ record }) => claimed.push(record.deliveryId),
      });
      return { index, claimed, notifier };
    });
    for (const { notifier } of senders) notifier.start();
    const states = async () => db.selectFrom('deliveries').select(['state', 'attempts']).execute();
    const wasTried = ({ state, attempts }: { state: string; attempts: number }) =>
      state === 'delivered' || (state === 'pending' && attempts > 0);
    await waitFor('every delivery to be tried', async () => (await states()).every(wasTried));
    aheadMs = 10_000;
    await waitFor('every delivery to be delivered', async () =>
      (await states()).every(({ state }) => state === 'delivered'),
    );
    await Promise.all(senders.map(({ notifier }) => notifier.stop()));

    const begun = (await states()).reduce((sum, { attempts }) => sum + attempts, 0);
    const ids = server.requests.map((request) => String(request.headers['x-payhook-delivery-id']));
    expect(ids).toHaveLength(begun);
    const deliveries = await db.selectFrom('deliveries').select(['id', 'attempts']).execute();
    expect(deliveries).toHaveLength(1_000);
    for (const { id, attempts } of deliveries) {
      expect(ids.filter((sent) => sent === String(id))).toHaveLength(attempts);
      expect((await listAttempts(db, id)).map(({ attempt }) => attempt)).toEqual(
        Array.from({ length: attempts }, (_, index) => index + 1),
      );
    }
    // Both had a share in it.
    for (const { claimed } of senders) expect(claimed.length).toBeGreaterThan(0);
  });
});
