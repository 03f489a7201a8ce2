import { expect, test } from 'vitest';
import { listAttempts, listDeliveries } from '../../src/storage/webhooks/deliveries.ts';
import { describeDecisions } from '../support/databases.ts';
import { respond, startLoopback } from '../support/loopback.ts';
import { waitFor } from '../support/wait.ts';
import { manualClock, openShop } from '../support/webhooks.ts';

describeDecisions('a notifier that stops', (openTestDb) => {
  test('lets what is under way end, records it, and returns what it had not begun, uncounted', async () => {
    let holding = true;
    const held: (() => void)[] = [];
    const server = await startLoopback((_request, response, nth) => {
      if (nth <= 100 || !holding) response.end('ok');
      else held.push(() => response.end('late'));
    });
    const shop = await openShop(await openTestDb(), Date.now);
    await shop.addEndpoint(server.url);
    await shop.happen(300);
    const notifier = shop.notifier();
    notifier.start();
    await server.arrived(104);
    const stopped = notifier.stop(20_000);
    holding = false;
    for (const release of held) release();
    await stopped;

    expect(server.requests).toHaveLength(104);
    const rows = await shop.db
      .selectFrom('deliveries')
      .select(['state', 'attempts', 'lane', 'lease_until'])
      .execute();
    expect(rows.filter(({ state }) => state === 'delivered')).toHaveLength(104);
    const left = rows.filter(({ state }) => state !== 'delivered');
    expect(left).toEqual(
      Array(196).fill({ state: 'pending', attempts: 0, lane: 'fresh', lease_until: null }),
    );

    // Nothing more begins, and what was returned is there for the next one at once.
    await shop.notifier().drain();
    expect(server.requests).toHaveLength(300);
  });

  test('cuts off what does not end within the grace; it counts, and is sent again', async () => {
    const clock = manualClock();
    const server = await startLoopback((_request, response, nth) => {
      if (nth > 1) response.end('ok');
    });
    const shop = await openShop(await openTestDb(), clock.now);
    await shop.addEndpoint(server.url);
    await shop.happen();
    const notifier = shop.notifier();
    notifier.start();
    await server.arrived(1);
    await notifier.stop(10);
    const [delivery] = await listDeliveries(shop.db, { limit: 1 });
    expect(delivery).toMatchObject({ state: 'pending', attempts: 1, lastError: 'interrupted' });
    clock.advance(4_000);
    await shop.notifier().drain();
    const [again] = await listDeliveries(shop.db, { limit: 1 });
    expect(again).toMatchObject({ state: 'delivered', attempts: 2 });
    expect(await listAttempts(shop.db, again?.id ?? 0)).toMatchObject([
      { error: 'interrupted' },
      { status: 200 },
    ]);
    // That we were interrupted says nothing about the endpoint.
    const counts = await shop.db
      .selectFrom('endpoint_measurements')
      .select(['succeeded', 'failed'])
      .execute();
    expect(counts).toEqual([{ succeeded: 1, failed: 0 }]);
  });

  test('may be asked twice, and before it was started', async () => {
    const shop = await openShop(await openTestDb(), Date.now);
    const idle = shop.notifier();
    await Promise.all([idle.stop(), idle.stop()]);
    const running = shop.notifier();
    running.start();
    await Promise.all([running.stop(), running.stop()]);
  });
});

describeDecisions('a running notifier', (openTestDb) => {
  test('finds within a poll what another process queued', async () => {
    const server = await startLoopback(respond(200));
    const shop = await openShop(await openTestDb(), Date.now);
    await shop.addEndpoint(server.url);
    shop.notifier().start();
    await shop.happen();
    await server.arrived(1);
  });

  test('goes on after the database failed for a while, and records what ended meanwhile', async () => {
    const server = await startLoopback(respond(200));
    const shop = await openShop(await openTestDb(), Date.now);
    await shop.addEndpoint(server.url);
    await shop.happen();
    // Whatever it writes of attempts is refused, as by a full disk.
    await shop.db.schema.alterTable('delivery_attempts').renameTo('gone').execute();
    shop.notifier().start();
    await server.arrived(1);
    const [delivery] = await listDeliveries(shop.db, { limit: 1 });
    expect(delivery?.state).toBe('sending');
    await shop.db.schema
      .alterTable('gone' as 'delivery_attempts')
      .renameTo('delivery_attempts')
      .execute();
    await waitFor('the result to be recorded', async () => {
      const [recorded] = await listDeliveries(shop.db, { limit: 1 });
      return recorded?.state === 'delivered';
    });
    expect(server.requests).toHaveLength(1);
  });
});
