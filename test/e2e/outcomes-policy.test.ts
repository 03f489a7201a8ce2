import { beforeAll, expect, test } from 'vitest';
import type { PaymentBody } from '../support/api.ts';
import { amountOf, type EvmNetwork, type Scenario, startScenario } from '../support/scenario.ts';

let shop: Scenario;
beforeAll(async () => {
  // One percent too little is enough, and so is money that comes late.
  shop = await startScenario({ config: { payments: { toleranceBps: 100, late: 'confirm' } } });
  return shop.stop;
});

const lifetime = 1801;

async function outlive(payment: PaymentBody): Promise<void> {
  await shop.passTime(lifetime);
  await shop.chain(payment.network).anvil.mine(1);
}

async function paySurely(payment: PaymentBody, amount: string): Promise<string> {
  const blocks = shop.chain(payment.network).requiredConfirmations + 5;
  const txHash = await shop.payAndMine(payment, blocks, amountOf(payment, amount));
  await shop.untilRead(payment.network as EvmNetwork);
  return txHash;
}

test("an exchange's fee within the tolerance confirms, a cent more does not", async () => {
  const [within, beyond] = [await shop.create('bsc', 'usdt'), await shop.create('bsc', 'usdt')];
  await paySurely(within, '49.5');
  await paySurely(beyond, '49.49');
  const confirmed = await shop.until(within, 'confirmed', (body) => body.status === 'confirmed');
  expect(confirmed).toMatchObject({ reason: null, actual_crypto_amount: '49.500000' });
  expect(await shop.retrieve(beyond)).toMatchObject({ status: 'pending', actual_crypto_amount: '49.490000' });
});

test('a partial payment keeps its address and is completed before its end', async () => {
  const payment = await shop.create('ethereum', 'usdc');
  await paySurely(payment, '20');
  await shop.until(payment, 'partly paid', (body) => body.deposits[0]?.status === 'confirmed');
  await shop.passTime(lifetime - 120);
  const txHash = await paySurely(payment, '30');
  const confirmed = await shop.until(payment, 'confirmed', (body) => body.status === 'confirmed');
  expect(confirmed).toMatchObject({ reason: null, actual_crypto_amount: '50.000000', tx_hash: txHash });
  expect(confirmed.assigned_address).toBe(payment.assigned_address);
});

test('late money confirms an expired payment by itself where the policy is to confirm', async () => {
  const payment = await shop.create('bsc', 'usdc');
  await outlive(payment);
  await shop.until(payment, 'expired', (body) => body.status === 'expired');
  await paySurely(payment, '50');
  const confirmed = await shop.until(payment, 'confirmed', (body) => body.status === 'confirmed');
  expect(confirmed).toMatchObject({ reason: 'late', deposits: [{ status: 'confirmed' }] });
  expect(await shop.eventsOf(payment)).toEqual(['payment.expired', 'payment.late', 'payment.confirmed']);
});

test('late money completes an underpaid payment by itself where the policy is to confirm', async () => {
  const payment = await shop.create('ethereum', 'usdt');
  await paySurely(payment, '30');
  await outlive(payment);
  await shop.until(payment, 'failed', (body) => body.status === 'failed');
  await paySurely(payment, '20');
  const confirmed = await shop.until(payment, 'confirmed', (body) => body.status === 'confirmed');
  expect(confirmed).toMatchObject({ reason: 'late', actual_crypto_amount: '50.000000' });
});
