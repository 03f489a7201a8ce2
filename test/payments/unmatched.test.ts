import { expect, test } from 'vitest';
import { evmAddress } from '../support/addresses.ts';
import { describeDecisions } from '../support/databases.ts';
import { openShop, type Shop } from '../support/shop.ts';

/** What the only unmatched deposit is, and what its event says was expected instead. */
async function onlyUnmatched(shop: Shop) {
  const deposits = await shop.unmatched();
  const bodies = await shop.eventBodies('deposit.unmatched');
  expect(deposits).toHaveLength(1);
  expect(bodies).toHaveLength(1);
  return { deposit: deposits[0], body: bodies[0] };
}

describeDecisions('a deposit that nothing explains', (openTestDb) => {
  test('in the wrong token is kept and told beside what was expected, and pays nothing', async () => {
    const shop = await openShop(await openTestDb());
    const payment = await shop.create({ currency: 'usdt' });
    const txHash = shop.pay(payment, 50, { currency: 'usdc' });
    await shop.confirmAll();
    const { deposit, body } = await onlyUnmatched(shop);
    expect(deposit).toMatchObject({ status: 'confirmed', role: 'unmatched', paymentId: null, txHash });
    expect(body).toMatchObject({
      event: 'deposit.unmatched',
      payment_id: null,
      currency: 'USDC',
      amount: '50.000000',
      deposit: { reason: 'wrong_token', currency: 'usdc', network: 'bsc', address: payment.address },
      expected: {
        payment_number: payment.paymentNumber,
        status: 'pending',
        network: 'bsc',
        currency: 'usdt',
        amount: '50.000000',
      },
    });
    expect(await shop.state(payment)).toBe('pending');
    expect((await shop.show(payment)).actual_crypto_amount).toBeNull();
  });

  test('on the wrong EVM network is found at an address that was listed only on the right one', async () => {
    const shop = await openShop(await openTestDb());
    const payment = await shop.create({ network: 'bsc' });
    shop.pay(payment, 50, { network: 'ethereum' });
    await shop.confirmAll();
    const { body } = await onlyUnmatched(shop);
    expect(body).toMatchObject({
      network: 'ethereum',
      chain: 'Ethereum',
      amount: '50.000000',
      deposit: { reason: 'wrong_network', network: 'ethereum', address: payment.address },
      expected: { payment_number: payment.paymentNumber, network: 'bsc', currency: 'usdt' },
    });
    expect(await shop.state(payment)).toBe('pending');
  });

  test('on the wrong EVM network is not given to an older payment that had the address there', async () => {
    const shop = await openShop(await openTestDb(), {
      addresses: 1,
      shared: true,
      payments: { late: 'confirm' },
    });
    const old = await shop.create({ network: 'ethereum' });
    shop.passTime(2_000);
    await shop.read();
    expect(await shop.state(old)).toBe('expired');
    const payment = await shop.create({ network: 'bsc' });
    expect(payment.address).toBe(old.address);
    shop.pay(payment, 50, { network: 'ethereum' });
    await shop.confirmAll();
    const { body } = await onlyUnmatched(shop);
    expect(body).toMatchObject({
      deposit: { reason: 'wrong_network' },
      expected: { payment_number: payment.paymentNumber },
    });
    expect(await shop.state(old)).toBe('expired');
    expect(await shop.state(payment)).toBe('pending');
  });

  test('at an address that no payment ever had is no payment’s', async () => {
    const shop = await openShop(await openTestDb(), { addresses: 2 });
    const payment = await shop.create();
    const other = [evmAddress(0), evmAddress(1)].find((address) => address !== payment.address);
    if (other === undefined) throw new Error('one address');
    shop.pay({ ...payment, address: other }, 50);
    await shop.confirmAll();
    const { body } = await onlyUnmatched(shop);
    expect(body).toMatchObject({ deposit: { reason: 'no_payment', address: other }, expected: null });
  });

  test('mined before the lock never pays the payment that was locked after it', async () => {
    const shop = await openShop(await openTestDb(), { addresses: 1 });
    const first = await shop.create();
    await shop.cancel(first);
    shop.pay(first, 50);
    // The head that a lock looks at: the transfer is in it, though it was not read yet.
    await shop.look();
    // Longer than what is allowed for, as what tells the time is not exact.
    shop.passTime(6);
    const payment = await shop.create();
    expect(payment.address).toBe(first.address);
    await shop.confirmAll();
    const { body } = await onlyUnmatched(shop);
    expect(body).toMatchObject({
      deposit: { reason: 'before_lock' },
      expected: { payment_number: payment.paymentNumber },
    });
    expect(await shop.state(payment)).toBe('pending');
  });

  test('is told once, however often it is read and mined again', async () => {
    const shop = await openShop(await openTestDb());
    const payment = await shop.create();
    shop.pay(payment, 50, { currency: 'busd' });
    await shop.confirmAll();
    const gone = shop.chains.bsc.reorg(4);
    await shop.read();
    expect((await shop.unmatched())[0]?.status).toBe('orphaned');
    shop.chains.bsc.mine(gone);
    await shop.confirmAll();
    const { deposit } = await onlyUnmatched(shop);
    expect(deposit?.status).toBe('confirmed');
  });
});
