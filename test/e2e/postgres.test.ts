import { beforeAll, expect, test } from 'vitest';
import { type Scenario, startScenario } from '../support/scenario.ts';

let shop: Scenario;
beforeAll(async () => {
  shop = await startScenario({ database: 'PostgreSQL' });
  return shop.stop;
});

test('a payment is confirmed and announced on PostgreSQL as on SQLite', async () => {
  const payment = await shop.create('bsc', 'usdt');
  const txHash = await shop.payAndMine(payment, 14);
  await shop.untilRead('bsc');
  expect((await shop.retrieve(payment)).status).toBe('pending');
  await shop.bsc.anvil.mine(1);
  const confirmed = await shop.until(payment, 'confirmed', (body) => body.status === 'confirmed');
  expect(confirmed).toMatchObject({ tx_hash: txHash, confirmations: 15, reason: null });
  const requests = await shop.receiver.waitForEvent('payment.confirmed', payment.payment_number);
  expect(requests.map((request) => request.verified)).toEqual([true]);
});

test('of two daemons on one PostgreSQL database the second takes over when the first is killed', async () => {
  const first = shop.home.current();
  const second = await shop.home.start();
  expect(second.url).not.toBe(first.url);
  const before = await shop.create('ethereum', 'usdt');
  await shop.payAndMine(before, 12);
  await shop.until(before, 'confirmed', (body) => body.status === 'confirmed');

  await first.kill();
  const after = await shop.create('ethereum', 'usdc');
  await shop.payAndMine(after, 12);
  await shop.until(after, 'confirmed', (body) => body.status === 'confirmed');
  for (const payment of [before, after]) {
    const requests = await shop.receiver.waitForEvent('payment.confirmed', payment.payment_number);
    expect(requests.map((request) => request.verified)).toEqual([true]);
    expect(await shop.eventsOf(payment)).toEqual(['payment.detected', 'payment.confirmed']);
  }
});
