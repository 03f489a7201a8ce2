import { beforeAll, expect, test } from 'vitest';
import type { PaymentBody } from '../support/api.ts';
import { webhookBody } from '../support/receiver.ts';
import { amountOf, type Scenario, startScenario, testAddress } from '../support/scenario.ts';
import { transferToken } from '../support/tokens.ts';
import { waitFor } from '../support/wait.ts';

let shop: Scenario;
beforeAll(async () => {
  // So few, on both chains, that all are asked for at the head, and not those in use alone.
  shop = await startScenario({ addresses: 15 });
  return shop.stop;
});

type Listed = { id: number; tx_hash: string; status: string; payment_number: string | null };

/** The unmatched deposit that a transaction made, once it is sure. */
async function unmatchedOf(txHash: string): Promise<Listed> {
  const { body } = await shop.admin.get<{ data: Listed[] }>('/deposits/?status=unmatched');
  const found = body.data.find((deposit) => deposit.tx_hash === txHash);
  if (found === undefined) throw new Error(`${txHash} is not unmatched: ${JSON.stringify(body)}`);
  return found;
}

/** How far a chain is final is asked once a minute for what no payment waits for. */
async function attachOnceSure(deposit: Listed, payment: PaymentBody) {
  await shop.passTime(60);
  return waitFor('the deposit to be sure', async () => {
    const answer = await attach(deposit, payment);
    return !answer.body.error?.includes('awaits its confirmations') && answer;
  });
}

function attach(deposit: Listed, payment: PaymentBody, reason = 'the customer sent the hash') {
  return shop.admin.post<Listed & { code?: string; error?: string }>(`/deposits/${deposit.id}/attach/`, {
    payment_number: payment.payment_number,
    reason,
  });
}

async function unmatchedWebhook(txHash: string) {
  const all = await shop.receiver.waitForEvent('deposit.unmatched');
  const own = all.map((request) => webhookBody(request)).filter((body) => body.tx_hash === txHash);
  expect(own).toHaveLength(1);
  return own[0];
}

test('the wrong token is kept and told, and settles the payment once the operator attaches it', async () => {
  const payment = await shop.create('bsc', 'usdt', { external_order_id: 'order-1' });
  const { anvil, tokens } = shop.bsc;
  const txHash = await transferToken(anvil, tokens.usdc, payment.assigned_address, 50n * 10n ** 18n);
  await anvil.mine(20);
  await shop.untilRead('bsc');
  expect(await unmatchedWebhook(txHash)).toMatchObject({
    currency: 'USDC',
    amount: '50.000000',
    deposit: { reason: 'wrong_token' },
    expected: { payment_number: payment.payment_number, external_order_id: 'order-1', currency: 'usdt' },
  });
  expect((await shop.retrieve(payment)).status).toBe('pending');

  const deposit = await unmatchedOf(txHash);
  expect(deposit).toMatchObject({ expected: { payment_number: payment.payment_number, currency: 'usdt' } });
  for (const answer of [await attachOnceSure(deposit, payment), await attach(deposit, payment)]) {
    expect(answer).toMatchObject({ status: 200, body: { payment_number: payment.payment_number } });
  }
  expect(await shop.retrieve(payment)).toMatchObject({
    status: 'confirmed',
    reason: 'underpaid',
    actual_crypto_amount: null,
    tx_hash: txHash,
    deposits: [{ amount: '50.000000', currency: 'usdc', status: 'confirmed' }],
  });
  await shop.receiver.waitForEvent('payment.confirmed', payment.payment_number);
  expect(await shop.eventsOf(payment)).toEqual(['payment.confirmed']);
});

test('the wrong EVM network is found at an address listed on the right one alone, and settles the payment once attached', async () => {
  const payment = await shop.create('bsc', 'usdt');
  const { anvil, tokens } = shop.ethereum;
  const txHash = await transferToken(anvil, tokens.usdt, payment.assigned_address, 50n * 10n ** 6n);
  await anvil.mine(13);
  await shop.untilRead('ethereum');
  expect(await unmatchedWebhook(txHash)).toMatchObject({
    chain: 'Ethereum',
    amount: '50.000000',
    deposit: { reason: 'wrong_network', address: payment.assigned_address },
    expected: { payment_number: payment.payment_number, network: 'bsc', amount: '50.000000' },
  });

  expect((await attachOnceSure(await unmatchedOf(txHash), payment)).status).toBe(200);
  const confirmed = await shop.until(payment, 'confirmed', (body) => body.status === 'confirmed');
  expect(confirmed).toMatchObject({
    network: 'bsc',
    reason: 'underpaid',
    confirmations: 13,
    deposits: [{ tx_hash: txHash, network: 'ethereum', currency: 'usdt', confirmations: 13 }],
  });
});

test('money at an address that no payment had is kept and told, and confirms the payment it is attached to', async () => {
  const payment = await shop.create('ethereum', 'usdc');
  const { anvil, tokens } = shop.ethereum;
  const unused = testAddress('ethereum', 14);
  const txHash = await transferToken(anvil, tokens.usdc, unused, 50n * 10n ** 6n);
  await anvil.mine(5);
  await shop.untilRead('ethereum');
  expect(await unmatchedWebhook(txHash)).toMatchObject({
    deposit: { reason: 'no_payment', address: unused },
    expected: null,
  });
  const deposit = await unmatchedOf(txHash);
  expect(await attach(deposit, payment)).toMatchObject({ status: 409, body: { code: 'not_attachable' } });

  await anvil.mine(8);
  await shop.untilRead('ethereum');
  expect((await attachOnceSure(deposit, payment)).status).toBe(200);
  expect(await shop.retrieve(payment)).toMatchObject({
    status: 'confirmed',
    actual_crypto_amount: '50.000000',
    tx_hash: txHash,
  });
  const other = await shop.create('ethereum', 'usdc');
  expect(await attach(deposit, other)).toMatchObject({ status: 409, body: { code: 'not_attachable' } });
});

test('dust is shown on the payment it reaches and pays nothing of it', async () => {
  const payment = await shop.create('bsc', 'busd');
  const dust = await shop.payAndMine(payment, 1, 1n);
  const dusty = await shop.until(payment, 'dusty', (body) => body.tx_hash === dust);
  expect(dusty).toMatchObject({ status: 'pending', actual_crypto_amount: '0.000000000000000001' });
  await shop.payAndMine(payment, 20, amountOf(payment, '50'));
  const confirmed = await shop.until(payment, 'confirmed', (body) => body.status === 'confirmed');
  expect(confirmed).toMatchObject({ reason: 'overpaid' });
});
