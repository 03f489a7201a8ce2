import { beforeAll, expect, test } from 'vitest';
import type { PaymentBody } from '../support/api.ts';
import { webhookBody } from '../support/receiver.ts';
import { amountOf, type EvmNetwork, type Scenario, startScenario } from '../support/scenario.ts';

let shop: Scenario;
beforeAll(async () => {
  shop = await startScenario();
  return shop.stop;
});

/** Longer than a payment lives by default. */
const lifetime = 1801;

/** Lets a payment's time run out, for us and on its chain. */
async function outlive(payment: PaymentBody): Promise<void> {
  await shop.passTime(lifetime);
  await shop.chain(payment.network).anvil.mine(1);
}

/** Pays `amount` coins and makes them sure. */
async function paySurely(payment: PaymentBody, amount: string): Promise<string> {
  const blocks = shop.chain(payment.network).requiredConfirmations + 5;
  const txHash = await shop.payAndMine(payment, blocks, amountOf(payment, amount));
  await shop.untilRead(payment.network as EvmNetwork);
  return txHash;
}

function accept(payment: PaymentBody, reason = 'the customer is known') {
  return shop.admin.post<PaymentBody & { code?: string }>(`/payments/${payment.payment_number}/accept/`, {
    reason,
  });
}

async function confirmedWebhook(payment: PaymentBody) {
  const [webhook, ...more] = await shop.receiver.waitForEvent('payment.confirmed', payment.payment_number);
  if (webhook === undefined) throw new Error('no webhook');
  expect(webhook.verified).toBe(true);
  expect(more).toEqual([]);
  return webhookBody(webhook);
}

test('late money that the operator accepts confirms an expired payment', async () => {
  const payment = await shop.create('bsc', 'usdt');
  await outlive(payment);
  await shop.until(payment, 'expired', (body) => body.status === 'expired');
  const refused = await accept(payment);
  expect(refused).toMatchObject({ status: 409, body: { code: 'not_acceptable' } });

  const txHash = await paySurely(payment, '50');
  await shop.until(payment, 'late', (body) => body.reason === 'late');
  expect(await accept(payment)).toMatchObject({
    status: 200,
    body: { status: 'confirmed', reason: 'late', deposits: [{ tx_hash: txHash, status: 'confirmed' }] },
  });
  expect(await confirmedWebhook(payment)).toMatchObject({ amount: '50.000000', tx_hash: txHash });
  expect(await shop.eventsOf(payment)).toEqual(['payment.expired', 'payment.late', 'payment.confirmed']);
});

test('money that comes after a cancellation is late, and confirms the payment once the operator accepts it', async () => {
  const payment = await shop.create('ethereum', 'usdc');
  await shop.api.cancel(payment.payment_number);
  const txHash = await paySurely(payment, '50');
  const late = await shop.until(payment, 'late', (body) => body.reason === 'late');
  expect(late).toMatchObject({ status: 'cancelled', deposits: [{ tx_hash: txHash, status: 'late' }] });

  expect((await accept(payment)).body).toMatchObject({ status: 'confirmed', reason: 'late' });
  await confirmedWebhook(payment);
  expect(await shop.eventsOf(payment)).toEqual(['payment.cancelled', 'payment.late', 'payment.confirmed']);
});

test('a payment that failed for too little confirms once the operator accepts it, however often that is asked', async () => {
  const payment = await shop.create('bsc', 'busd');
  const txHash = await paySurely(payment, '48.5');
  await outlive(payment);
  await shop.until(payment, 'failed', (body) => body.status === 'failed');

  const answers = await Promise.all([accept(payment, 'the exchange took its fee'), accept(payment)]);
  for (const answer of [...answers, await accept(payment)]) {
    expect(answer).toMatchObject({
      status: 200,
      body: { status: 'confirmed', reason: 'underpaid', actual_crypto_amount: '48.500000', tx_hash: txHash },
    });
  }
  expect(await confirmedWebhook(payment)).toMatchObject({ amount: '48.500000' });
  expect(await shop.eventsOf(payment)).toEqual([
    'payment.detected',
    'payment.partially_paid',
    'payment.failed',
    'payment.confirmed',
  ]);
  const audit = await shop.admin.get<{ data: { action: string; detail: object }[] }>(
    `/audit/?subject=${payment.payment_number}`,
  );
  expect(audit.body.data).toMatchObject([
    { action: 'payment.accepted', detail: { expected_amount: '50', received_amount: '48.5' } },
  ]);
});

test('a second payment of the same order is late money of a confirmed payment and confirms nothing twice', async () => {
  const payment = await shop.create('ethereum', 'usdt');
  await paySurely(payment, '50');
  await shop.until(payment, 'confirmed', (body) => body.status === 'confirmed');
  const again = await paySurely(payment, '50');
  const twice = await shop.until(payment, 'late', (body) => body.reason === 'late');
  expect(twice).toMatchObject({
    status: 'confirmed',
    actual_crypto_amount: '100.000000',
    deposits: [{ status: 'confirmed' }, { tx_hash: again, status: 'late' }],
  });
  expect(await accept(payment)).toMatchObject({ status: 409, body: { code: 'not_acceptable' } });
  await shop.receiver.waitForEvent('payment.late', payment.payment_number);
  expect(await shop.eventsOf(payment)).toEqual(['payment.detected', 'payment.confirmed', 'payment.late']);
});
