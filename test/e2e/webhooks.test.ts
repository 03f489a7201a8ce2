import { beforeAll, expect, test } from 'vitest';
import type { ReceivedRequest } from '../support/receiver.ts';
import { type Scenario, startScenario } from '../support/scenario.ts';
import { waitFor } from '../support/wait.ts';

let shop: Scenario;
beforeAll(async () => {
  shop = await startScenario();
  return shop.stop;
});

const setBackSeconds = 1_200;
const deliveryId = (request: ReceivedRequest) => request.headers['x-payhook-delivery-id'];
const signedAt = (request: ReceivedRequest) =>
  Number(/^t=([0-9]+),/.exec(String(request.headers['x-payhook-signature']))?.[1]);

/** By twenty minutes: nothing waits for as long. */
async function setClockBack(): Promise<void> {
  await shop.home.advanceClock(-setBackSeconds);
  await waitFor('it to be noticed', () => shop.home.logs.some(({ msg }) => msg === 'clock set back'));
}

test('S51, S52, S55: each of ten attempts and a replay carries the same bytes and a signature that verifies, also where the clock is set back', async () => {
  const payment = await shop.create('bsc', 'usdt');
  const number = payment.payment_number;
  await shop.payAndMine(payment, 1);
  await shop.receiver.waitForEvent('payment.detected', number);
  shop.receiver.answerAlways(503);
  await shop.bsc.anvil.mine(14);

  for (let attempt = 1; attempt <= 10; attempt++) {
    await shop.receiver.waitForEvent('payment.confirmed', number, attempt);
    if (attempt === 6) await setClockBack();
    // 3.5 seconds, then twice as long each time, and up to a tenth more.
    if (attempt < 10) await shop.home.advanceClock(1.1 * 3.5 * 2 ** (attempt - 1));
  }
  const attempts = shop.receiver.received('payment.confirmed', number);
  expect(attempts.map((request) => request.verified)).toEqual(Array(10).fill(true));
  expect(new Set(attempts.map((request) => request.body.toString())).size).toBe(1);
  expect(new Set(attempts.map((request) => request.headers['webhook-id'])).size).toBe(1);
  expect(new Set(attempts.map(deliveryId)).size).toBe(1);
  // Each was signed anew, at its own time.
  expect(new Set(attempts.map(signedAt)).size).toBe(10);
  await shop.home.advanceClock(setBackSeconds);

  shop.receiver.answerAlways(200);
  const replay = await shop.admin.post(
    `/deliveries/${String(deliveryId(attempts[0] as ReceivedRequest))}/replay/`,
  );
  expect(replay.status).toBe(201);
  const all = await shop.receiver.waitForEvent('payment.confirmed', number, 11);
  const last = all.at(-1) as ReceivedRequest;
  expect(last.verified).toBe(true);
  expect(last.body).toEqual(attempts[0]?.body);
  expect(last.headers['webhook-id']).toBe(attempts[0]?.headers['webhook-id']);
  expect(deliveryId(last)).not.toBe(deliveryId(attempts[0] as ReceivedRequest));
});

test('S59: what was given up is told in the log, without the URL’s path or a secret, and counted in /metrics', async () => {
  const lines = shop.home.logs.filter(({ msg }) => msg === 'webhook given up');
  expect(lines).toEqual([
    expect.objectContaining({
      level: 'warn',
      merchant_id: shop.merchant.id,
      endpoint_id: shop.merchant.endpointId,
      host: `127.0.0.1:${shop.receiver.port}`,
      event_type: 'payment.confirmed',
      payment_number: expect.stringMatching(/^PAY-/),
      reason: 'exhausted',
      attempts: 10,
      status: 503,
      error: 'http',
    }),
  ]);
  const metrics = await (await fetch(`${shop.home.current().url}/metrics`)).text();
  expect(metrics).toContain('depositd_deliveries_given_up_total{reason="exhausted"} 1\n');
  expect(metrics).toContain('depositd_deliveries_due 0\n');
});

test('deliveries are deleted 90 days after they ended, and the events feed still has everything', async () => {
  const listed = async () => (await shop.admin.get<{ data: unknown[] }>('/deliveries/')).body.data.length;
  const events = (await shop.api.allEvents()).map(({ id }) => id);
  expect(events.length).toBeGreaterThan(1);
  expect(await listed()).toBeGreaterThan(1);
  const daysSeconds = 91 * 86_400;
  // No chain says so yet: it may be our clock that is wrong.
  await shop.home.advanceClock(daysSeconds);
  await shop.untilPolled('bsc');
  expect(await listed()).toBeGreaterThan(1);
  await shop.bsc.anvil.increaseTime(Math.round(shop.home.clockOffsetMs() / 1000));
  for (let round = 0; round < 4; round++) {
    await shop.bsc.anvil.mine(1);
    await shop.untilRead('bsc');
    await shop.passTime(30);
    await shop.untilPolled('bsc');
  }
  await waitFor('the deliveries to be deleted', async () => (await listed()) === 0);
  expect((await shop.api.allEvents()).slice(0, events.length).map(({ id }) => id)).toEqual(events);
});
