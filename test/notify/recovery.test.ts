import { expect, test } from 'vitest';
import { replayRecovered } from '../../src/notify/recovery.ts';
import { replayRange } from '../../src/notify/replays.ts';
import { inTransaction } from '../../src/storage/database.ts';
import type { Db } from '../../src/storage/schema.ts';
import { type Delivery, listDeliveries } from '../../src/storage/webhooks/deliveries.ts';
import { enableEndpoint, getEndpoint } from '../../src/storage/webhooks/endpoints.ts';
import { findNextDueAt } from '../../src/storage/webhooks/queue.ts';
import { describeDecisions } from '../support/databases.ts';
import { captureLog } from '../support/log.ts';
import { startLoopback } from '../support/loopback.ts';
import { manualClock, openShop } from '../support/webhooks.ts';

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;

/** A shop with one endpoint, whose receiver answers as the test says. */
async function openOutage(db: Db) {
  const clock = manualClock();
  const start = clock.now();
  let answer: (number: number) => number = () => 200;
  const got: { number: number; deliveryId: number; status: number; at: number }[] = [];
  const server = await startLoopback(({ body, headers }, response) => {
    const number = Number(JSON.parse(body.toString()).payment_id.split('-')[2]);
    const status = answer(number);
    const deliveryId = Number(headers['x-payhook-delivery-id']);
    got.push({ number, deliveryId, status, at: clock.now() - start });
    response.writeHead(status).end();
  });
  const { log, lines } = captureLog();
  const shop = await openShop(db, clock.now);
  const { id } = await shop.addEndpoint(server.url);
  const notifier = shop.notifier({ log });
  /** Lives through everything that is due within `ms`, and looks every `tickMs` whether anything is. */
  const pass = async (ms: number, tickMs = ms / 10) => {
    const until = clock.now() + ms;
    for (;;) {
      await notifier.drain();
      const next = await findNextDueAt(db, clock.now());
      const upkeep = clock.now() + tickMs;
      const at = Math.min(until, next ?? upkeep, upkeep);
      if (at <= clock.now()) return;
      clock.set(at);
    }
  };
  return {
    db,
    clock,
    shop,
    id,
    got,
    lines,
    notifier,
    pass,
    answers: (given: number | ((number: number) => number)) => {
      answer = typeof given === 'number' ? () => given : given;
    },
    /** Numbers of the events that were accepted, in order. */
    accepted: () => got.filter(({ status }) => status === 200).map(({ number }) => number),
    deliveries: async (): Promise<Delivery[]> =>
      (await listDeliveries(db, { limit: 1_000 })).toSorted((a, b) => a.id - b.id),
  };
}

describeDecisions('a receiver that answers 500 ten times', (openTestDb) => {
  test('and then 200 gets the only event there is, within an hour and a quarter, by a delivery of its own', async () => {
    const { shop, pass, answers, got, deliveries, lines } = await openOutage(await openTestDb());
    answers(500);
    await shop.happen();
    await pass(50 * minuteMs);
    expect(got).toHaveLength(10);
    answers(200);
    await pass(75 * minuteMs, minuteMs);
    const [first, second, ...others] = await deliveries();
    expect(others).toEqual([]);
    expect(first).toMatchObject({ state: 'failed', attempts: 10 });
    expect(second).toMatchObject({
      state: 'delivered',
      attempts: 1,
      replayOf: first?.id,
      eventId: first?.eventId,
    });
    expect(got.map(({ deliveryId }) => deliveryId)).toEqual([...Array(10).fill(first?.id), second?.id]);
    expect(lines.filter(({ msg }) => msg === 'failing webhook endpoint tried again')).toHaveLength(1);
  });

  test('gets everything that was given up as soon as it accepts anything, oldest first and paced', async () => {
    const { shop, clock, id, pass, answers, accepted, deliveries, notifier, lines } = await openOutage(
      await openTestDb(),
    );
    answers(500);
    for (let n = 0; n < 5; n++) {
      await shop.happen();
      clock.advance(1_000);
    }
    await pass(45 * minuteMs);
    expect((await deliveries()).map(({ state }) => state)).toEqual(Array(5).fill('failed'));
    answers(200);
    await shop.happen();
    await notifier.drain();
    clock.advance(1_000);
    await notifier.drain();
    const queued = (await deliveries()).slice(6);
    expect(queued.map(({ replayOf }) => replayOf)).toEqual(
      (await deliveries()).slice(0, 5).map((one) => one.id),
    );
    const due = await shop.db
      .selectFrom('deliveries')
      .select('next_attempt_at')
      .where('replay_of', 'is not', null)
      .orderBy('id')
      .execute();
    expect(due.map(({ next_attempt_at: at }) => at - (due[0]?.next_attempt_at ?? 0))).toEqual([
      0, 20, 40, 60, 80,
    ]);
    await pass(10_000);
    expect(accepted()).toEqual([6, 1, 2, 3, 4, 5]);
    expect((await deliveries()).filter(({ state }) => state === 'delivered')).toHaveLength(6);
    expect(lines.filter(({ msg }) => msg === 'given up webhooks sent again')).toMatchObject([
      { endpoint_id: id, deliveries: 5 },
    ]);
  });
});

describeDecisions('what was given up', (openTestDb) => {
  test('more than five days ago is left to people', async () => {
    const { shop, clock, pass, answers, accepted } = await openOutage(await openTestDb());
    answers(404);
    await shop.happen();
    await pass(minuteMs);
    clock.advance(3 * dayMs);
    await shop.happen();
    await pass(minuteMs);
    clock.advance(2 * dayMs);
    answers(200);
    await shop.happen();
    await pass(minuteMs);
    expect(accepted()).toEqual([3, 2]);
  });

  test('because it was refused at once is sent again once, and what no attempt brought thrice', async () => {
    const { shop, pass, answers, got } = await openOutage(await openTestDb());
    answers((number) => (number === 1 ? 404 : number === 2 ? 500 : 200));
    await shop.happen(2);
    await pass(45 * minuteMs);
    for (let n = 0; n < 10; n++) {
      await shop.happen();
      await pass(45 * minuteMs);
    }
    expect(got.filter(({ number }) => number === 1)).toHaveLength(2);
    expect(got.filter(({ number }) => number === 2)).toHaveLength(40);
  });

  test('before an endpoint was disabled comes once it is enabled and accepts', async () => {
    const { shop, db, id, pass, answers, accepted } = await openOutage(await openTestDb());
    answers(410);
    await shop.happen();
    await pass(2 * hourMs);
    expect(await getEndpoint(db, id)).toMatchObject({ active: false, disabledReason: 'gone' });
    answers(200);
    await inTransaction(db, (trx) => enableEndpoint(trx, id));
    await pass(minuteMs);
    expect(accepted()).toEqual([]);
    await shop.happen();
    await pass(minuteMs);
    expect(accepted()).toEqual([2, 1]);
  });

  test('stays given up where replaying on recovery is off', async () => {
    const { shop, clock, answers, accepted } = await openOutage(await openTestDb());
    const notifier = shop.notifier({ replayOnRecovery: false });
    answers(404);
    await shop.happen();
    await notifier.drain();
    answers(200);
    await shop.happen();
    for (let n = 0; n < 5; n++) {
      await notifier.drain();
      clock.advance(minuteMs);
    }
    expect(accepted()).toEqual([2]);
  });

  test('is sent again once, although the first try to queue it dies, two processes do, and a person asks for it too', async () => {
    const { shop, db, clock, id, pass, answers, accepted, deliveries, notifier } = await openOutage(
      await openTestDb(),
    );
    answers(404);
    await shop.happen(50);
    await pass(minuteMs);
    answers(200);
    await shop.happen();
    await notifier.drain();
    const dying = inTransaction(db, async (trx) => {
      await replayRecovered(trx, clock.now());
      throw new Error('died');
    });
    await expect(dying).rejects.toThrow('died');
    const work = [
      () => inTransaction(db, (trx) => replayRecovered(trx, clock.now())),
      () => inTransaction(db, (trx) => replayRecovered(trx, clock.now())),
      () => inTransaction(db, (trx) => replayRange(trx, { endpointId: id, since: 0, at: clock.now() })),
      () => inTransaction(db, (trx) => replayRange(trx, { endpointId: id, since: 0, at: clock.now() })),
    ];
    await Promise.all(work.map((one) => one()));
    const repeats = (await deliveries()).flatMap(({ replayOf }) => replayOf ?? []);
    expect(new Set(repeats).size).toBe(repeats.length);
    expect(repeats).toHaveLength(50);
    await pass(minuteMs);
    expect(accepted().toSorted((a, b) => a - b)).toEqual(Array.from({ length: 51 }, (_, n) => n + 1));
  });

  test('by the thousand comes in parts, each once', async () => {
    const { shop, db, clock, answers, accepted, notifier } = await openOutage(await openTestDb());
    const count = 1_100;
    await shop.happen(count);
    await db
      .updateTable('deliveries')
      .set({ state: 'failed', attempts: 1, finished_at: clock.now() })
      .execute();
    await db.updateTable('webhook_endpoints').set({ recovery: 'awaited' }).execute();
    answers(200);
    await shop.happen();
    for (let round = 0; round < 40 && accepted().length <= count; round++) {
      await notifier.drain();
      clock.advance(3_000);
    }
    expect(accepted().toSorted((a, b) => a - b)).toEqual(Array.from({ length: count + 1 }, (_, n) => n + 1));
    expect(await db.selectFrom('webhook_endpoints').select('recovery').execute()).toEqual([
      { recovery: null },
    ]);
  });
});

describeDecisions('an endpoint of which nothing is heard', (openTestDb) => {
  test('is tried less and less, not at all after five days, and one event that it cannot take does not disable it', async () => {
    const { shop, db, id, pass, answers, got, accepted } = await openOutage(await openTestDb());
    answers(500);
    await shop.happen();
    await pass(8 * dayMs, 20 * minuteMs);
    expect(got.length).toBeGreaterThan(50);
    expect(got.length).toBeLessThan(150);
    expect(got.at(-1)?.at).toBeLessThan(5 * dayMs);
    expect(await getEndpoint(db, id)).toMatchObject({ active: true });
    answers(200);
    await shop.happen();
    await pass(minuteMs);
    expect(accepted()).toEqual([2, 1]);
  });

  test('is tried again whatever other endpoints wait for, which have refused everything and were asked nothing since', async () => {
    const clock = manualClock();
    const shop = await openShop(await openTestDb(), clock.now);
    let last = '';
    const got: { path: string; status: number }[] = [];
    const server = await startLoopback(({ path }, response) => {
      const isUp = got.filter((one) => one.path === last).length >= 10;
      const status = path !== last ? 400 : isUp ? 200 : 500;
      got.push({ path, status });
      response.writeHead(status).end();
    });
    const paths = new Map<string, string>();
    for (let n = 0; n < 21; n++) paths.set((await shop.addEndpoint(`${server.url}/${n}`)).id, `/${n}`);
    last = paths.get([...paths.keys()].toSorted().at(-1) ?? '') ?? '';
    const notifier = shop.notifier();
    await shop.happen();
    for (let minute = 0; minute < 150; minute++) {
      await notifier.drain();
      clock.advance(minuteMs);
    }
    expect(got.filter(({ status }) => status === 400)).toHaveLength(20);
    expect(got.filter(({ path }) => path === last).map(({ status }) => status)).toEqual([
      ...Array(10).fill(500),
      200,
    ]);
  });

  test('is not tried for what it refused at once, nor while something waits for it', async () => {
    const { shop, clock, pass, answers, got } = await openOutage(await openTestDb());
    answers(404);
    await shop.happen();
    await pass(dayMs, 30 * minuteMs);
    expect(got).toHaveLength(1);
    answers(500);
    await shop.happen();
    await pass(40 * minuteMs);
    const ids = new Set(got.map(({ deliveryId }) => deliveryId));
    expect(ids.size).toBe(2);
    clock.advance(55 * minuteMs);
    await shop.happen();
    await pass(20 * minuteMs);
    expect(new Set(got.map(({ deliveryId }) => deliveryId)).size).toBe(3);
  });
});
