import { expect, test } from 'vitest';
import type { EventType } from '../../src/core/events.ts';
import { replayMissed, replayRange, sendTestEvent } from '../../src/notify/replays.ts';
import { inTransaction } from '../../src/storage/database.ts';
import type { Db } from '../../src/storage/schema.ts';
import { countKept } from '../../src/storage/webhooks/counts.ts';
import { listDeliveries } from '../../src/storage/webhooks/deliveries.ts';
import {
  deleteEndpoint,
  disableEndpoint,
  enableEndpoint,
  updateEndpoint,
} from '../../src/storage/webhooks/endpoints.ts';
import { describeDecisions } from '../support/databases.ts';
import { type SeenRequest, startLoopback } from '../support/loopback.ts';
import { manualClock, openShop } from '../support/webhooks.ts';

/*
 * Every way in which an event does not become a delivery at once: it is kept for the endpoint, or found again
 * when it is asked for.
 */

const dayMs = 24 * 60 * 60_000;
const retentionMs = 90 * dayMs;

/** The numbers of the events that came, in order. */
function numbers(requests: readonly SeenRequest[]): number[] {
  return requests.map(({ body }) => Number(JSON.parse(body.toString()).payment_id.split('-')[2]));
}

async function openKept(db: Db, status: () => number = () => 200) {
  const clock = manualClock();
  const server = await startLoopback((_request, response) => response.writeHead(status()).end());
  const shop = await openShop(db, clock.now);
  // Nothing comes by itself: what a person asks for is seen alone.
  const notifier = shop.notifier({ replayOnRecovery: false });
  return {
    clock,
    server,
    shop,
    enable: (id: string) => inTransaction(db, (trx) => enableEndpoint(trx, id)),
    disable: (id: string) => inTransaction(db, (trx) => disableEndpoint(trx, id, 'operator')),
    replay: (endpointId: string, since: number) =>
      inTransaction(db, (trx) => replayRange(trx, { endpointId, since, at: clock.now() })),
    replayMissed: (endpointId: string, since: number, limit?: number) =>
      inTransaction(db, (trx) =>
        replayMissed(trx, {
          endpointId,
          since,
          retentionMs,
          at: clock.now(),
          ...(limit === undefined ? {} : { limit }),
        }),
      ),
    /** What the receiver gets until nothing is due for a while. */
    async sent(): Promise<number[]> {
      const before = server.requests.length;
      for (let round = 0; round < 3; round++) {
        await notifier.drain();
        clock.advance(1_000);
      }
      return numbers(server.requests.slice(before));
    },
  };
}

describeDecisions('an event while its endpoint is disabled', (openTestDb) => {
  test('by one 410 is kept, counted when it is enabled again, and sent by a replay since then, oldest first', async () => {
    let status = 410;
    const { shop, clock, server, sent, enable, replay } = await openKept(await openTestDb(), () => status);
    const { id } = await shop.addEndpoint(server.url);
    await shop.happen();
    expect(await sent()).toEqual([1]);
    const since = clock.now();
    await shop.happen(3);
    expect(await sent()).toEqual([]);
    const kept = await listDeliveries(shop.db, { endpointId: id, state: 'cancelled', limit: 10 });
    expect(kept).toHaveLength(3);
    expect(kept[0]).toMatchObject({ attempts: 0, nextAttemptAt: null, finishedAt: since });

    status = 200;
    expect(await enable(id)).toMatchObject({ active: true });
    expect(await countKept(shop.db, id)).toEqual({ count: 3, since });
    expect(await sent()).toEqual([]);
    expect(await replay(id, since)).toEqual({ kind: 'queued', count: 3, more: false });
    expect(await sent()).toEqual([2, 3, 4]);
    expect(await countKept(shop.db, id)).toEqual({ count: 0, since: null });
    expect(await replay(id, since)).toMatchObject({ count: 0 });
  });

  test('is kept beside what waited when it was turned off, and what was given up before comes along', async () => {
    let status = 404;
    const { shop, clock, server, sent, enable, disable, replay } = await openKept(
      await openTestDb(),
      () => status,
    );
    const { id } = await shop.addEndpoint(server.url);
    const since = clock.now();
    await shop.happen();
    await sent();
    status = 500;
    await shop.happen();
    await sent();
    await disable(id);
    await shop.happen();
    await sent();
    status = 200;
    await enable(id);
    expect((await countKept(shop.db, id)).count).toBe(2);
    expect(await replay(id, since)).toMatchObject({ count: 3 });
    expect(await sent()).toEqual([1, 2, 3]);
  });

  test('that does not subscribe to it, or was removed, is not kept', async () => {
    const { shop, clock, disable } = await openKept(await openTestDb());
    const other = await shop.addEndpoint('https://a.example/', ['payment.late']);
    const gone = await shop.addEndpoint('https://b.example/');
    await disable(other.id);
    await inTransaction(shop.db, (trx) => deleteEndpoint(trx, gone.id, clock.now()));
    await shop.happen();
    expect(await listDeliveries(shop.db, { limit: 10 })).toEqual([]);
  });

  test('is either kept or sent when it happens at the moment of enabling, and never neither', async () => {
    const { shop, server, enable, disable } = await openKept(await openTestDb());
    const { id } = await shop.addEndpoint(server.url);
    for (let round = 1; round <= 10; round++) {
      await disable(id);
      const counted = enable(id).then(() => countKept(shop.db, id));
      const [{ count }] = await Promise.all([counted, shop.happen(), shop.happen()]);
      const states = (await listDeliveries(shop.db, { limit: 2 })).map(({ state }) => state);
      const kept = (await listDeliveries(shop.db, { state: 'cancelled', limit: 100 })).length;
      expect(states).toHaveLength(2);
      // Who enables sees all that was kept: nothing is kept after the count.
      expect(count).toBe(kept);
    }
  });
});

describeDecisions('an event that never became a delivery to an endpoint', (openTestDb) => {
  test('because it was added later, or in place of another, is sent when what it missed is asked for, once', async () => {
    const { shop, clock, server, sent, replay, replayMissed } = await openKept(await openTestDb());
    const since = clock.now();
    await shop.happen(2);
    clock.advance(1);
    const first = await shop.addEndpoint(server.url);
    await shop.happen();
    expect(await sent()).toEqual([3]);
    expect(await replay(first.id, since)).toMatchObject({ count: 0 });
    expect(await replayMissed(first.id, since)).toEqual({ kind: 'queued', count: 2, more: false });
    expect(await replayMissed(first.id, since)).toMatchObject({ count: 0 });
    expect(await sent()).toEqual([1, 2]);

    await inTransaction(shop.db, (trx) => deleteEndpoint(trx, first.id, clock.now()));
    await shop.happen();
    const second = await shop.addEndpoint(server.url);
    expect(await replayMissed(second.id, since, 3)).toEqual({ kind: 'queued', count: 3, more: true });
    expect(await replayMissed(second.id, since, 3)).toEqual({ kind: 'queued', count: 1, more: false });
    expect(await sent()).toEqual([1, 2, 3, 4]);
  });

  test('because it did not subscribe to its type is sent once it does, and a test event never', async () => {
    const { shop, clock, server, sent, replayMissed } = await openKept(await openTestDb());
    const since = clock.now();
    const { id } = await shop.addEndpoint(server.url, ['payment.confirmed']);
    const other = await shop.addEndpoint(server.url, ['payment.expired']);
    await inTransaction(shop.db, (trx) => sendTestEvent(trx, { endpointId: other.id, at: clock.now() }));
    await shop.happen(1, 'payment.late');
    await inTransaction(shop.db, (trx) => deleteEndpoint(trx, other.id, clock.now()));
    expect(await replayMissed(id, since)).toMatchObject({ count: 0 });
    const events: EventType[] = ['payment.confirmed', 'payment.late', 'webhook.test'];
    await inTransaction(shop.db, (trx) => updateEndpoint(trx, id, { events }));
    expect(await replayMissed(id, since)).toMatchObject({ count: 1 });
    expect(await sent()).toEqual([1]);
  });

  test('of another merchant, or from before anybody remembers what was sent, stays where it is', async () => {
    const { shop, clock, replayMissed } = await openKept(await openTestDb());
    const other = await openShop(shop.db, clock.now);
    await other.happen();
    await shop.happen();
    clock.advance(retentionMs + 1);
    const { id } = await shop.addEndpoint('https://shop.example/');
    expect(await replayMissed(id, 0)).toMatchObject({ count: 0 });
    await shop.happen(1, 'payment.late');
    expect(await replayMissed(id, 0)).toMatchObject({ count: 0 });
  });
});

describeDecisions('two replays of one range at one time', (openTestDb) => {
  test('send everything once', async () => {
    let status = 404;
    const { shop, server, sent, replay, replayMissed } = await openKept(await openTestDb(), () => status);
    await shop.happen(5);
    const { id } = await shop.addEndpoint(server.url);
    await shop.happen(20);
    await sent();
    status = 200;
    const replayed = await Promise.all([
      replay(id, 0),
      replay(id, 0),
      replayMissed(id, 0),
      replayMissed(id, 0),
    ]);
    const total = replayed.reduce((sum, one) => sum + (one.kind === 'queued' ? one.count : 0), 0);
    expect(total).toBe(25);
    expect((await sent()).toSorted((a, b) => a - b)).toEqual(Array.from({ length: 25 }, (_, n) => n + 1));
  });
});
