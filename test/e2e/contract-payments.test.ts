import { expect, test } from 'vitest';
import type { PaymentBody } from '../support/api.ts';
import { type LoneChain, openLoneChain } from '../support/lone-chain.ts';
import { deployPayer } from '../support/payers.ts';
import { expectedAmount } from '../support/scenario.ts';
import { waitFor } from '../support/wait.ts';

/*
 * BNB that a contract pays: the running daemon, a real node, and one that does not tell how transactions ran.
 */

test('paid by a contract, beside a plain transfer in the same block, confirms with both', async () => {
  const shop = await openLoneChain();
  const payer = await deployPayer(shop.anvil);
  const payment = await createNative(shop);
  const half = expectedAmount(payment) / 2n;
  const to = payment.assigned_address;
  const plain = await shop.anvil.send({ to, value: half });
  const inner = await shop.anvil.send(payer.batch({ to, amount: expectedAmount(payment) - half }));
  await shop.anvil.mine(15);
  const confirmed = await shop.until(payment, 'confirmed', ({ status }) => status === 'confirmed');
  expect(confirmed).toMatchObject({ reason: null, actual_crypto_amount: payment.expected_crypto_amount });
  expect(new Set(confirmed.deposits.map(({ tx_hash }) => tx_hash))).toEqual(new Set([plain, inner]));
});

test('paid by a contract whose call is undone or fails is not paid', async () => {
  const shop = await openLoneChain();
  const payer = await deployPayer(shop.anvil);
  const payment = await createNative(shop);
  const payout = { to: payment.assigned_address, amount: expectedAmount(payment) };
  await shop.anvil.send(payer.undone(payout));
  await shop.anvil.send(payer.overdrawn({ ...payout, amount: 10n ** 30n }));
  await shop.anvil.mine(15);
  await shop.untilRead();
  const unpaid = await shop.api.retrieve(payment.payment_number);
  expect(unpaid.body).toMatchObject({ status: 'pending', deposits: [] });
});

test('paid by a contract and taken back by a reorg is unseen, and mined again it confirms', async () => {
  const shop = await openLoneChain();
  const payer = await deployPayer(shop.anvil);
  const payment = await createNative(shop);
  const request = payer.batch({ to: payment.assigned_address, amount: expectedAmount(payment) });
  await shop.anvil.send(request);
  await shop.anvil.mine(2);
  await shop.until(payment, 'seen', ({ tx_hash }) => tx_hash !== '');
  await shop.anvil.reorg(2);
  await shop.anvil.mine(1);
  await shop.until(payment, 'unseen', ({ tx_hash }) => tx_hash === '');
  const txHash = await shop.anvil.send(request);
  await shop.anvil.mine(15);
  const confirmed = await shop.until(payment, 'confirmed', ({ status }) => status === 'confirmed');
  expect(confirmed).toMatchObject({ tx_hash: txHash, deposits: [{ tx_hash: txHash }] });
});

test('a coin that came in a way no node shows is an unmatched deposit at the end, and pays once it is attached', async () => {
  const shop = await openLoneChain();
  for (const method of ['debug_traceTransaction', 'trace_transaction']) {
    shop.proxy.inject({ kind: 'refuse', code: -32601, message: 'Method not found' }, { method });
  }
  const payer = await deployPayer(shop.anvil);
  await shop.untilRead();
  const payment = await createNative(shop);
  // A block that shows what the address holds before it is paid.
  await shop.anvil.mine();
  await shop.untilRead();
  await shop.anvil.send(payer.batch({ to: payment.assigned_address, amount: expectedAmount(payment) }));
  await shop.anvil.mine();
  await shop.untilRead();
  await shop.home.advanceClock(2_000);
  await shop.anvil.mine(2, 2_000);
  await shop.until(payment, 'expired', ({ status }) => status === 'expired');

  const unmatched = await waitFor('the unmatched deposit', async () => {
    const events = await shop.api.allEvents();
    return events.find(({ body }) => body.event === 'deposit.unmatched')?.body;
  });
  expect(unmatched).toMatchObject({
    tx_hash: '',
    amount: payment.expected_crypto_amount,
    currency: 'BNB',
    deposit: { reason: 'unexplained', address: payment.assigned_address },
    expected: { payment_number: payment.payment_number },
  });
  await shop.anvil.mine(15);
  const { id } = unmatched.deposit as { id: number };
  const act = { payment_number: payment.payment_number, reason: 'found in a block explorer' };
  await waitFor('its confirmations', async () => {
    const answer = await shop.admin.post(`/deposits/${id}/attach/`, act);
    return answer.status === 200;
  });
  const paid = await shop.api.retrieve(payment.payment_number);
  expect(paid.body).toMatchObject({ status: 'confirmed', reason: 'late' });
});

async function createNative({ api }: LoneChain): Promise<PaymentBody> {
  const answer = await api.create({ amount_usd_cents: 5000, network: 'bsc', currency: 'native' });
  if (answer.status !== 201) throw new Error(answer.text);
  return answer.body;
}
