import { beforeAll, describe, expect, test } from 'vitest';
import type { Api, EventBody, PaymentBody } from '../support/api.ts';
import { webhookBody } from '../support/receiver.ts';
import { expectedAmount, type Scenario, startScenario, testAddress } from '../support/scenario.ts';
import { batchTokens, placeLookAlike, transferToken, transferTokenFrom } from '../support/tokens.ts';
import { waitFor } from '../support/wait.ts';

let shop: Scenario;
beforeAll(async () => {
  shop = await startScenario({ config: { chains: { bsc: { recheckSeconds: 0.2 } } } });
  return async () => {
    await shop.stop();
    // Soon as the second reading is here, it does not do the work of the first.
    expect(shop.home.logs.filter(({ msg }) => msg === 'missed transfer found')).toEqual([]);
  };
});

/** Pays as it should be and expects that nothing but this was noticed. */
async function isPaidAndNothingElse(payment: PaymentBody): Promise<void> {
  const { anvil, requiredConfirmations, network } = shop.chain(payment.network);
  const txHash = await shop.payAndMine(payment, requiredConfirmations);
  const confirmed = await shop.until(payment, 'confirmed', (body) => body.status === 'confirmed');
  expect(confirmed).toMatchObject({ reason: null, tx_hash: txHash });
  expect(confirmed.deposits).toHaveLength(1);
  await anvil.mine(1);
  await shop.untilRead(network);
  expect(await unmatchedTo(payment)).toEqual([]);
}

/** All that happened to the merchant's money. */
async function moneyEvents(api: Api): Promise<EventBody['body'][]> {
  const events = await api.allEvents();
  return events.map(({ body }) => body).filter(({ event }) => !event.startsWith('pool.'));
}

/** They may be told a moment after their block was read: some wait for a second look. */
function untilMoneyEvents(api: Api): Promise<EventBody['body'][]> {
  return waitFor('money to be told of', async () => {
    const found = await moneyEvents(api);
    return found.length > 0 && found;
  });
}

/** What was received at the payment's address and is nobody's. */
async function unmatchedTo(payment: PaymentBody): Promise<{ tx_hash: string; reason: string }[]> {
  const events = await shop.api.allEvents();
  const deposits = events
    .filter(({ body }) => body.event === 'deposit.unmatched')
    .map(({ body }) => body.deposit as { address: string; tx_hash: string; reason: string });
  return deposits.filter(({ address }) => address === payment.assigned_address);
}

describe('a payment in USDT on BSC', () => {
  test('is not paid by another token, which is kept as an unmatched deposit', async () => {
    const payment = await shop.create('bsc', 'usdt');
    const { anvil, tokens } = shop.bsc;
    const txHash = await transferToken(anvil, tokens.usdc, payment.assigned_address, expectedAmount(payment));
    await anvil.mine(15);
    await shop.untilRead('bsc');
    const unpaid = await shop.retrieve(payment);
    expect(unpaid).toMatchObject({
      status: 'pending',
      tx_hash: '',
      actual_crypto_amount: null,
      deposits: [],
    });
    expect(await unmatchedTo(payment)).toMatchObject([{ tx_hash: txHash, reason: 'wrong_token' }]);
    const webhook = shop.receiver
      .received('deposit.unmatched')
      .find((one) => webhookBody(one).tx_hash === txHash);
    expect(webhook?.verified).toBe(true);
  });

  test('is not paid by a token that only looks like it', async () => {
    const payment = await shop.create('bsc', 'usdt');
    const { anvil } = shop.bsc;
    const lookAlike = await placeLookAlike(anvil, 18);
    await transferToken(anvil, lookAlike, payment.assigned_address, expectedAmount(payment));
    await anvil.mine(15);
    await shop.untilRead('bsc');
    expect(await shop.retrieve(payment)).toMatchObject({ status: 'pending', tx_hash: '', deposits: [] });
    await isPaidAndNothingElse(payment);
  });

  test('is not disturbed by transfers of nothing', async () => {
    const payment = await shop.create('bsc', 'usdt');
    const { anvil, tokens } = shop.bsc;
    for (let count = 0; count < 3; count++) {
      await transferToken(anvil, tokens.usdt, payment.assigned_address, 0n);
      await anvil.mine(1);
    }
    await shop.untilRead('bsc');
    expect(await shop.retrieve(payment)).toMatchObject({ status: 'pending', tx_hash: '', deposits: [] });
    await isPaidAndNothingElse(payment);
  });

  test('is paid by a transferFrom that a third party sends', async () => {
    const payment = await shop.create('bsc', 'usdt');
    const { anvil, tokens } = shop.bsc;
    const amount = expectedAmount(payment);
    const txHash = await transferTokenFrom(anvil, tokens.usdt, payment.assigned_address, amount);
    await anvil.mine(15);
    const confirmed = await shop.until(payment, 'confirmed', (body) => body.status === 'confirmed');
    expect(confirmed).toMatchObject({ tx_hash: txHash, reason: null, actual_crypto_amount: '50.000000' });
  });

  test('is paid by two equal transfers in one transaction, which count as two', async () => {
    const payment = await shop.create('bsc', 'usdt');
    const { anvil, tokens } = shop.bsc;
    const half = { to: payment.assigned_address, amount: expectedAmount(payment) / 2n };
    const txHash = await batchTokens(anvil, tokens.usdt, [half, half]);
    await anvil.mine(15);
    const confirmed = await shop.until(payment, 'confirmed', (body) => body.status === 'confirmed');
    expect(confirmed).toMatchObject({ tx_hash: txHash, reason: null, actual_crypto_amount: '50.000000' });
    expect(confirmed.deposits).toMatchObject([
      { tx_hash: txHash, amount: '25.000000' },
      { tx_hash: txHash, amount: '25.000000' },
    ]);
  });

  test('is not paid by BNB', async () => {
    const payment = await shop.create('bsc', 'usdt');
    await shop.bsc.anvil.send({ to: payment.assigned_address, value: expectedAmount(payment) });
    await shop.bsc.anvil.mine(15);
    await shop.untilRead('bsc');
    expect(await shop.retrieve(payment)).toMatchObject({ status: 'pending', tx_hash: '', deposits: [] });
  });
});

describe('one transaction', () => {
  test('pays as many payments as it has transfers to', async () => {
    const payments = await Promise.all([1, 2, 3].map(() => shop.create('ethereum', 'usdt')));
    const { anvil, tokens } = shop.ethereum;
    const transfers = payments.map((payment) => ({
      to: payment.assigned_address,
      amount: expectedAmount(payment),
    }));
    const txHash = await batchTokens(anvil, tokens.usdt, transfers);
    await anvil.mine(12);
    for (const payment of payments) {
      const confirmed = await shop.until(payment, 'confirmed', (body) => body.status === 'confirmed');
      expect(confirmed).toMatchObject({ tx_hash: txHash, actual_crypto_amount: '50.000000', reason: null });
    }
  });
});

describe('an address', () => {
  test('that was paid before it was locked pays nothing of the payment that gets it', async () => {
    const address = testAddress('bsc', 1000);
    const merchant = await shop.addMerchant({ bsc: [address] });
    const { anvil, tokens } = shop.bsc;
    const early = await transferToken(anvil, tokens.usdt, address, 50n * 10n ** 18n);
    await anvil.mine(1);
    await shop.passTime(10);
    await shop.untilRead('bsc');

    const created = await merchant.api.create({ amount_usd_cents: 5000, network: 'bsc', currency: 'usdt' });
    expect(created.body.assigned_address).toBe(address);
    await anvil.mine(15);
    await shop.untilRead('bsc');
    const unpaid = await merchant.api.retrieve(created.body.payment_number);
    expect(unpaid.body).toMatchObject({ status: 'pending', tx_hash: '', actual_crypto_amount: null });
    // Nobody had locked the address: the second reading asks for it once the block is final, which is asked now and then.
    await shop.passTime(60);
    const events = await untilMoneyEvents(merchant.api);
    expect(events.map(({ event, tx_hash }) => [event, tx_hash])).toEqual([['deposit.unmatched', early]]);

    const txHash = await shop.payAndMine(created.body, 15);
    const paid = await shop.receiver.waitForEvent('payment.confirmed', created.body.payment_number);
    expect(paid.map((request) => webhookBody(request).tx_hash)).toEqual([txHash]);
  });

  test('that was paid in the very block the chain had reached when it was locked pays nothing either', async () => {
    const address = testAddress('bsc', 1002);
    const merchant = await shop.addMerchant({ bsc: [address] });
    const { anvil, tokens, node } = shop.bsc;
    await shop.untilRead('bsc');
    node.setReachable(false);
    const early = await transferToken(anvil, tokens.usdt, address, 50n * 10n ** 18n);
    await anvil.mine(1);
    // The daemon learns that the block exists, and not yet what is in it.
    node.answerOnce('"latest"');
    const head = await anvil.height();
    const chain = await waitFor('the head to be seen', async () => {
      const state = await shop.chainState('bsc');
      return state?.head === head && state;
    });
    expect(chain.cursor?.height).toBe(head - 1);
    await shop.passTime(10);
    const created = await merchant.api.create({ amount_usd_cents: 5000, network: 'bsc', currency: 'usdt' });
    expect(created.status).toBe(201);

    node.setReachable(true);
    await shop.untilRead('bsc');
    const unpaid = await merchant.api.retrieve(created.body.payment_number);
    expect(unpaid.body).toMatchObject({ status: 'pending', tx_hash: '', actual_crypto_amount: null });
    const events = await untilMoneyEvents(merchant.api);
    expect(events.map(({ event, deposit }) => [event, deposit])).toMatchObject([
      ['deposit.unmatched', { tx_hash: early, reason: 'before_lock' }],
    ]);
  });

  test('that was paid a while before it was locked pays nothing although nobody had seen the chain since', async () => {
    const address = testAddress('bsc', 1003);
    const merchant = await shop.addMerchant({ bsc: [address] });
    const { anvil, tokens, node } = shop.bsc;
    // Mining in haste, the chain's clock has run ahead of the daemon's.
    const now = (Date.now() + shop.home.clockOffsetMs()) / 1000;
    await shop.home.advanceClock(Math.max(0, (await anvil.block('latest')).timestamp - now));
    await shop.untilRead('bsc');
    node.setReachable(false);
    const early = await transferToken(anvil, tokens.usdt, address, 50n * 10n ** 18n);
    await anvil.mine(1);
    await shop.passTime(90);
    const created = await merchant.api.create({ amount_usd_cents: 5000, network: 'bsc', currency: 'usdt' });
    expect(created.status).toBe(201);

    node.setReachable(true);
    await shop.untilRead('bsc');
    const unpaid = await merchant.api.retrieve(created.body.payment_number);
    expect(unpaid.body).toMatchObject({ status: 'pending', tx_hash: '', actual_crypto_amount: null });
    const events = await untilMoneyEvents(merchant.api);
    expect(events.map(({ event, deposit }) => [event, deposit])).toMatchObject([
      ['deposit.unmatched', { tx_hash: early, reason: 'before_lock' }],
    ]);
    const txHash = await shop.payAndMine(created.body, 15);
    const paid = await shop.receiver.waitForEvent('payment.confirmed', created.body.payment_number);
    expect(paid.map((request) => webhookBody(request).tx_hash)).toEqual([txHash]);
  });

  test('that is paid on the wrong chain keeps the money as an unmatched deposit', async () => {
    const address = testAddress('bsc', 1001);
    const merchant = await shop.addMerchant({ bsc: [address], ethereum: [address] });
    const created = await merchant.api.create({ amount_usd_cents: 5000, network: 'bsc', currency: 'usdt' });
    const { anvil, tokens } = shop.ethereum;
    const txHash = await transferToken(anvil, tokens.usdt, address, 50n * 10n ** 6n);
    await anvil.mine(12);
    await shop.untilRead('ethereum');
    const events = await untilMoneyEvents(merchant.api);
    expect(events.map(({ event, deposit }) => [event, deposit])).toMatchObject([
      ['deposit.unmatched', { network: 'ethereum', tx_hash: txHash, reason: 'wrong_network' }],
    ]);
    expect((await merchant.api.retrieve(created.body.payment_number)).body.status).toBe('pending');
  });
});
