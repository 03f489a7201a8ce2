import { beforeAll, expect, test } from 'vitest';
import type { PaymentBody } from '../support/api.ts';
import { type EvmNetwork, type Scenario, startScenario } from '../support/scenario.ts';

let shop: Scenario;
beforeAll(async () => {
  shop = await startScenario();
  return shop.stop;
});

/** Twice as long as a payment lives. */
const longOutage = 3600;

/** The customer pays in time; then hours pass on the chain. */
async function payInTimeAndWait(payment: PaymentBody, network: EvmNetwork): Promise<string> {
  const txHash = await shop.payAndMine(payment, 1);
  await shop.passTime(longOutage);
  await shop.chain(network).anvil.mine(40);
  return txHash;
}

async function isConfirmedOnce(payment: PaymentBody, txHash: string): Promise<void> {
  const confirmed = await shop.until(payment, 'confirmed', (body) => body.status === 'confirmed');
  expect(confirmed).toMatchObject({ tx_hash: txHash, reason: null });
  await shop.receiver.waitForEvent('payment.confirmed', payment.payment_number);
  expect(await shop.eventsOf(payment)).toEqual(['payment.detected', 'payment.confirmed']);
}

test('a payment made in time is confirmed although the daemon was down for longer than it lived', async () => {
  const payment = await shop.create('bsc', 'usdt');
  await shop.home.current().stop();
  const txHash = await payInTimeAndWait(payment, 'bsc');
  await shop.home.start();
  await isConfirmedOnce(payment, txHash);
});

test('a payment made in time is confirmed although its node was down for longer than it lived', async () => {
  const [paid, unpaid] = [await shop.create('ethereum', 'usdc'), await shop.create('ethereum', 'usdc')];
  shop.ethereum.node.setReachable(false);
  const txHash = await payInTimeAndWait(paid, 'ethereum');
  // While the node is away nobody's time is up, and the other chain goes on.
  await shop.untilRead('bsc');
  const elsewhere = await shop.create('bsc', 'native');
  await shop.payAndMine(elsewhere, 15);
  await shop.until(elsewhere, 'confirmed', (body) => body.status === 'confirmed');
  expect((await shop.retrieve(paid)).status).toBe('pending');
  expect((await shop.retrieve(unpaid)).status).toBe('pending');

  shop.ethereum.node.setReachable(true);
  await isConfirmedOnce(paid, txHash);
  await shop.until(unpaid, 'expired', (body) => body.status === 'expired');
});

test('while a chain is not read for two minutes no payment is made on it', async () => {
  shop.bsc.node.setReachable(false);
  await shop.home.advanceClock(180);
  const refused = await shop.api.create({ amount_usd_cents: 5000, network: 'bsc', currency: 'usdt' });
  expect([refused.status, refused.body]).toMatchObject([503, { code: 'chain_unavailable' }]);
  await shop.untilRead('ethereum');
  const other = await shop.create('ethereum', 'usdt');
  expect(other.status).toBe('pending');

  shop.bsc.node.setReachable(true);
  await shop.untilRead('bsc');
  expect((await shop.create('bsc', 'usdt')).status).toBe('pending');
});

test('a webhook reaches a receiver that was down for a while, once it is back', async () => {
  shop.receiver.answerAlways('reset');
  const payment = await shop.create('bsc', 'usdt');
  await shop.payAndMine(payment, 15);
  await shop.until(payment, 'confirmed', (body) => body.status === 'confirmed');
  await shop.receiver.waitForEvent('payment.confirmed', payment.payment_number, 1);
  await shop.home.current().stop();
  shop.receiver.answerAlways(200);
  await shop.home.advanceClock(60);
  await shop.home.start();
  const requests = await shop.receiver.waitForEvent('payment.confirmed', payment.payment_number, 2);
  expect(requests.every((request) => request.verified)).toBe(true);
  expect(new Set(requests.map((request) => request.body.toString())).size).toBe(1);
});
