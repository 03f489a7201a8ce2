import { beforeAll, expect, test } from 'vitest';
import { webhookBody } from '../support/receiver.ts';
import { amountOf, expectedAmount, type Scenario, startScenario } from '../support/scenario.ts';

let shop: Scenario;
beforeAll(async () => {
  shop = await startScenario();
  return shop.stop;
});

/** Longer than a payment lives by default. */
const lifetime = 1801;

test('a payment that nobody pays expires, but not before its chain has passed its time', async () => {
  const payment = await shop.create('bsc', 'usdt');
  await shop.passTime(lifetime);
  await shop.untilRead('bsc');
  expect((await shop.retrieve(payment)).status).toBe('pending');

  await shop.bsc.anvil.mine(1);
  const expired = await shop.until(payment, 'expired', (body) => body.status === 'expired');
  expect(expired).toMatchObject({
    tx_hash: '',
    actual_crypto_amount: null,
    confirmed_at: null,
    deposits: [],
  });
  const [webhook] = await shop.receiver.waitForEvent('payment.expired', payment.payment_number);
  expect(webhook?.verified).toBe(true);
  expect(webhook && webhookBody(webhook)).toMatchObject({
    status: 'expired',
    amount: '50.000000',
    tx_hash: '',
  });
});

test('a payment is cancelled while nothing has arrived, once', async () => {
  const payment = await shop.create('ethereum', 'usdc');
  const cancelled = await shop.api.cancel(payment.payment_number);
  expect(cancelled.status).toBe(200);
  expect(cancelled.body).toMatchObject({ payment_number: payment.payment_number, status: 'cancelled' });
  const [webhook] = await shop.receiver.waitForEvent('payment.cancelled', payment.payment_number);
  expect(webhook?.verified).toBe(true);

  const again = await shop.api.cancel(payment.payment_number);
  expect(again.status).toBe(409);
  expect(again.body).toMatchObject({ code: 'not_cancellable' });
});

test('a payment is not cancelled any more once money is on its way', async () => {
  const payment = await shop.create('bsc', 'usdc');
  await shop.payAndMine(payment, 1);
  await shop.until(payment, 'seen', (body) => body.tx_hash !== '');
  const refused = await shop.api.cancel(payment.payment_number);
  expect(refused.status).toBe(409);
  expect(refused.body).toMatchObject({ code: 'not_cancellable' });
  await shop.bsc.anvil.mine(14);
  await shop.until(payment, 'confirmed', (body) => body.status === 'confirmed');
});

test('a payment of one unit too little waits for the rest and fails at the end of its time', async () => {
  const payment = await shop.create('ethereum', 'usdt');
  await shop.payAndMine(payment, 12, expectedAmount(payment) - 1n);
  await shop.until(payment, 'at 12 confirmations', (body) => body.confirmations === 12);
  await shop.untilRead('ethereum');
  expect(await shop.retrieve(payment)).toMatchObject({
    status: 'pending',
    actual_crypto_amount: '49.999999',
  });

  await shop.passTime(lifetime);
  await shop.ethereum.anvil.mine(1);
  const failed = await shop.until(payment, 'failed', (body) => body.status === 'failed');
  expect(failed).toMatchObject({
    reason: 'underpaid',
    actual_crypto_amount: '49.999999',
    confirmed_at: null,
  });
  const [webhook] = await shop.receiver.waitForEvent('payment.failed', payment.payment_number);
  expect(webhook && webhookBody(webhook)).toMatchObject({ status: 'failed', amount: '49.999999' });
});

test('a payment of more than was asked for is confirmed and says so', async () => {
  const payment = await shop.create('bsc', 'usdt');
  await shop.payAndMine(payment, 15, expectedAmount(payment) + 1n);
  const confirmed = await shop.until(payment, 'confirmed', (body) => body.status === 'confirmed');
  // The chain's own value, to its last digit.
  expect(confirmed).toMatchObject({ reason: 'overpaid', actual_crypto_amount: '50.000000000000000001' });
});

test('two transfers add up, and the second one decides when they are confirmed', async () => {
  const payment = await shop.create('ethereum', 'usdt');
  const first = await shop.payAndMine(payment, 5, amountOf(payment, '20'));
  await shop.until(payment, 'half paid', (body) => body.actual_crypto_amount === '20.000000');
  const second = await shop.payAndMine(payment, 11, amountOf(payment, '30'));
  await shop.untilRead('ethereum');
  // The first has 16 confirmations by now, the second 11.
  const almost = await shop.retrieve(payment);
  expect(almost).toMatchObject({ status: 'pending', tx_hash: first, actual_crypto_amount: '50.000000' });

  await shop.ethereum.anvil.mine(1);
  const confirmed = await shop.until(payment, 'confirmed', (body) => body.status === 'confirmed');
  expect(confirmed).toMatchObject({ tx_hash: second, confirmations: 12, reason: null });
  // The largest first.
  expect(confirmed.deposits.map(({ tx_hash, amount }) => [tx_hash, amount])).toEqual([
    [second, '30.000000'],
    [first, '20.000000'],
  ]);
});

test('money that comes after the end is shown on its payment and changes nothing else', async () => {
  const payment = await shop.create('bsc', 'busd');
  await shop.passTime(lifetime);
  await shop.bsc.anvil.mine(1);
  await shop.until(payment, 'expired', (body) => body.status === 'expired');

  const txHash = await shop.payAndMine(payment, 16);
  const [webhook] = await shop.receiver.waitForEvent('payment.late', payment.payment_number);
  expect(webhook && webhookBody(webhook)).toMatchObject({
    status: 'expired',
    amount: '50.000000',
    tx_hash: txHash,
  });
  await shop.untilRead('bsc');
  const late = await shop.retrieve(payment);
  expect(late).toMatchObject({ status: 'expired', reason: 'late', actual_crypto_amount: '50.000000' });
  expect(late.deposits).toMatchObject([{ tx_hash: txHash, status: 'late' }]);
});
