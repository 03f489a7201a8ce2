import { expect, test } from 'vitest';
import type { Deposit } from '../../src/core/payment.ts';
import { settlePayment } from '../../src/payments/settle.ts';
import { inTransaction } from '../../src/storage/database.ts';
import { listAudit } from '../../src/storage/operators/audit.ts';
import { describeDecisions } from '../support/databases.ts';
import { openShop, type Shop } from '../support/shop.ts';

async function onlyUnmatched(shop: Shop): Promise<Deposit> {
  const [deposit, ...others] = await shop.unmatched();
  if (deposit === undefined || others.length > 0) throw new Error('expected exactly one unmatched deposit');
  return deposit;
}

/** An expired payment, and 50 USDT that reached an address of the same merchant that no payment had. */
async function strayMoney(shop: Shop) {
  const payment = await shop.create();
  const other = await shop.create();
  await shop.cancel(other);
  shop.passTime(2_000);
  await shop.read();
  return payment;
}

describeDecisions('attaching an unmatched deposit', (openTestDb) => {
  test('of the same asset that suffices confirms the payment, with the money as its own', async () => {
    const shop = await openShop(await openTestDb());
    const payment = await strayMoney(shop);
    const unused = shop.unusedAddress();
    const txHash = shop.pay({ ...payment, address: unused }, 50);
    await shop.confirmAll();
    const deposit = await onlyUnmatched(shop);

    const answer = await shop.attach(deposit.id, payment);
    expect(answer).toMatchObject({
      outcome: 'attached',
      deposit: { paymentId: payment.id, role: 'accepted' },
      payment: { status: 'confirmed' },
    });
    expect(await shop.show(payment)).toMatchObject({
      status: 'confirmed',
      reason: 'late',
      actual_crypto_amount: '50.000000',
      tx_hash: txHash,
      deposits: [{ tx_hash: txHash, amount: '50.000000', status: 'confirmed' }],
    });
    expect(await shop.events(payment)).toEqual(['payment.expired', 'payment.confirmed']);
    expect(await shop.unmatched()).toEqual([]);
  });

  test('of the same asset that is too little becomes a late deposit of the payment', async () => {
    const shop = await openShop(await openTestDb());
    const payment = await strayMoney(shop);
    shop.pay({ ...payment, address: shop.unusedAddress() }, 20);
    await shop.confirmAll();
    await shop.attach((await onlyUnmatched(shop)).id, payment);
    expect(await shop.show(payment)).toMatchObject({
      status: 'expired',
      reason: 'late',
      actual_crypto_amount: '20.000000',
      deposits: [{ amount: '20.000000', status: 'late' }],
    });
    expect(await shop.events(payment)).toEqual(['payment.expired', 'payment.late']);

    expect((await shop.accept(payment)).outcome).toBe('accepted');
    expect(await shop.state(payment)).toBe('confirmed late');
  });

  test('to a pending payment leaves the customer only the rest to pay', async () => {
    const shop = await openShop(await openTestDb());
    const payment = await shop.create();
    shop.pay({ ...payment, address: shop.unusedAddress() }, 20);
    await shop.confirmAll();
    await shop.attach((await onlyUnmatched(shop)).id, payment);
    expect(await shop.state(payment)).toBe('pending');
    shop.pay(payment, 30);
    await shop.confirmAll();
    expect((await shop.show(payment)).actual_crypto_amount).toBe('50.000000');
    expect((await shop.viewOf(payment)).payment.status).toBe('confirmed');
  });

  test('in another token settles the payment and is added to no amount of it', async () => {
    const shop = await openShop(await openTestDb());
    const payment = await shop.create({ currency: 'usdt' });
    const txHash = shop.pay(payment, 50, { currency: 'usdc' });
    await shop.confirmAll();
    await shop.attach((await onlyUnmatched(shop)).id, payment, 'paid in USDC');
    expect(await shop.show(payment)).toMatchObject({
      status: 'confirmed',
      reason: 'underpaid',
      currency: 'usdt',
      actual_crypto_amount: null,
      tx_hash: txHash,
      deposits: [
        { tx_hash: txHash, amount: '50.000000', status: 'confirmed', network: 'bsc', currency: 'usdc' },
      ],
    });
    const [confirmed] = await shop.eventBodies('payment.confirmed');
    expect(confirmed).toMatchObject({
      payment_id: payment.paymentNumber,
      status: 'confirmed',
      tx_hash: txHash,
    });
    expect((await shop.tryCreate({})).outcome).toBe('created');
  });

  test('on another network settles the payment beside what came on the right one', async () => {
    const shop = await openShop(await openTestDb());
    const payment = await shop.create({ network: 'bsc' });
    shop.pay(payment, 30);
    shop.pay(payment, 20, { network: 'ethereum' });
    await shop.confirmAll();
    await shop.attach((await onlyUnmatched(shop)).id, payment);
    const shown = await shop.show(payment);
    expect(shown).toMatchObject({
      status: 'confirmed',
      reason: 'underpaid',
      actual_crypto_amount: '30.000000',
    });
    expect(shown.deposits.map(({ amount, network, currency }) => [amount, network, currency])).toEqual([
      ['30.000000', undefined, undefined],
      ['20.000000', 'ethereum', 'usdt'],
    ]);
    const onEthereum = shown.deposits[1];
    expect(onEthereum?.confirmations).toBe(
      shop.chains.ethereum.head().height - shop.heightOf(onEthereum?.tx_hash ?? '') + 1,
    );
  });

  test('on another network: when that chain takes it back the payment reverts, and confirms when it returns', async () => {
    const shop = await openShop(await openTestDb());
    const payment = await shop.create({ network: 'bsc' });
    shop.pay(payment, 50, { network: 'ethereum' });
    await shop.confirmAll();
    await shop.attach((await onlyUnmatched(shop)).id, payment);
    const gone = shop.chains.ethereum.reorg(4);
    await shop.read();
    expect(await shop.state(payment)).toBe('failed reorged');
    shop.chains.ethereum.mine(gone);
    await shop.confirmAll();
    expect(await shop.state(payment)).toBe('confirmed underpaid');
    expect(await shop.events(payment)).toEqual([
      'deposit.unmatched',
      'payment.confirmed',
      'payment.reverted',
      'payment.confirmed',
    ]);
  });

  test('on another network: by the time of that chain the payment does not end', async () => {
    const shop = await openShop(await openTestDb());
    const payment = await shop.create();
    shop.passTime(2_000);
    const settleBy = (network: 'bsc' | 'ethereum') =>
      inTransaction(shop.db, (trx) =>
        settlePayment(trx, payment.id, {
          network,
          chain: { cursor: { height: 1_000, time: payment.blockTimeLimit + 1 }, requiredConfirmations: 15 },
          latePolicy: 'flag',
          now: payment.expiresAt + 1,
        }),
      );
    expect(await settleBy('ethereum')).toBeNull();
    expect(await settleBy('bsc')).toMatchObject({ payment: { status: 'expired' } });
  });

  test('in another asset that the chain took back for good no longer stands in the way of other money', async () => {
    const shop = await openShop(await openTestDb());
    const payment = await shop.create({ network: 'bsc' });
    shop.pay(payment, 50, { network: 'ethereum' });
    await shop.confirmAll();
    await shop.attach((await onlyUnmatched(shop)).id, payment);
    shop.chains.ethereum.reorg(4);
    await shop.read();
    expect((await shop.show(payment)).remaining).toBe('50.000000');
    shop.pay(payment, 50);
    await shop.confirmAll();
    expect(await shop.state(payment)).toBe('failed reorged');

    expect((await shop.accept(payment)).outcome).toBe('accepted');
    await shop.confirmAll();
    // In time: after a revert a payment can be paid anew.
    expect(await shop.state(payment)).toBe('confirmed');
    const [orphan] = await shop.unmatched();
    expect(orphan).toMatchObject({ status: 'orphaned', paymentId: null });
  });

  test('in another asset replaces what was attached before and the chain took back for good', async () => {
    const shop = await openShop(await openTestDb());
    const payment = await shop.create({ network: 'bsc' });
    shop.pay(payment, 50, { network: 'ethereum' });
    await shop.confirmAll();
    await shop.attach((await onlyUnmatched(shop)).id, payment);
    shop.chains.ethereum.reorg(4);
    const txHash = shop.pay(payment, 50, { network: 'ethereum' });
    await shop.confirmAll();
    expect(await shop.state(payment)).toBe('failed reorged');

    await shop.attach((await onlyUnmatched(shop)).id, payment);
    await shop.confirmAll();
    expect(await shop.show(payment)).toMatchObject({
      status: 'confirmed',
      deposits: [{ tx_hash: txHash, network: 'ethereum' }],
    });
    shop.pay(payment, 50);
    await shop.confirmAll();
    expect(await shop.state(payment)).toBe('confirmed late');
  });

  test('that came late for the payment that had the address before gives it to the one it was meant for', async () => {
    const shop = await openShop(await openTestDb());
    const before = await strayMoney(shop);
    const txHash = shop.pay(before, 50);
    await shop.confirmAll();
    expect(await shop.state(before)).toBe('expired late');
    const late = async () => (await shop.viewOf(before)).deposits[0]?.id ?? 0;
    const id = await late();
    expect(await shop.attach(id, before)).toEqual({
      outcome: 'not_attachable',
      why: 'the deposit is of this payment already: accept the payment',
    });
    const meant = await shop.create();
    for (const repeated of [false, true]) {
      expect((await shop.attach(id, meant)).outcome).toBe('attached');
      expect([await shop.state(meant), await shop.state(before)], String(repeated)).toEqual([
        'confirmed late',
        'expired',
      ]);
    }
    expect(await shop.show(meant)).toMatchObject({ tx_hash: txHash, actual_crypto_amount: '50.000000' });
    expect(await shop.show(before)).toMatchObject({ tx_hash: '', deposits: [] });
    expect(await shop.events(before)).toEqual(['payment.expired', 'payment.late']);
    expect(await shop.accept(before)).toMatchObject({ outcome: 'not_acceptable' });
    const [{ detail } = { detail: {} }] = (await listAudit(shop.db, { beforeId: null, limit: 20 })).filter(
      ({ action }) => action === 'deposit.attached',
    );
    expect(detail).toMatchObject({ from_payment: before.paymentNumber, payment_number: meant.paymentNumber });
    // Taken back by the chain it is still whose the operator has said, and mined again it counts again.
    const gone = shop.chains.bsc.reorg(4);
    await shop.confirmAll();
    expect([await shop.state(meant), await shop.state(before)]).toEqual(['failed reorged', 'expired']);
    shop.chains.bsc.mine(gone);
    await shop.confirmAll();
    expect([await shop.state(meant), await shop.state(before)]).toEqual(['confirmed late', 'expired']);
  });

  test('happens once: again it is the same, and to another payment it is refused', async () => {
    const shop = await openShop(await openTestDb());
    const payment = await shop.create();
    const other = await shop.create();
    shop.pay(payment, 50, { currency: 'usdc' });
    await shop.confirmAll();
    const deposit = await onlyUnmatched(shop);
    const answers = await Promise.all([
      shop.attach(deposit.id, payment),
      shop.attach(deposit.id, other),
      shop.attach(deposit.id, payment),
    ]);
    const attached = answers.filter((answer) => answer.outcome === 'attached');
    const paid = [await shop.state(payment), await shop.state(other)].filter((state) => state !== 'pending');
    expect(paid).toEqual(['confirmed underpaid']);
    expect(await shop.eventBodies('payment.confirmed')).toHaveLength(1);
    expect(attached.length + answers.filter((answer) => answer.outcome === 'not_attachable').length).toBe(3);
    const winner = (await shop.state(payment)) === 'pending' ? other : payment;
    expect((await shop.attach(deposit.id, winner)).outcome).toBe('attached');
    expect(await shop.attach(deposit.id, winner === other ? payment : other)).toEqual({
      outcome: 'not_attachable',
      why: 'the deposit counts for a payment already',
    });
    const audit = await listAudit(shop.db, { beforeId: null, limit: 20 });
    expect(audit.filter((entry) => entry.action === 'deposit.attached')).toHaveLength(1);
  });

  test('is refused before its confirmations, after a reorg, across merchants and to a payment paid in full', async () => {
    const shop = await openShop(await openTestDb());
    const rival = await shop.addShop('Rival', 2, 500);
    const payment = await shop.create();
    const theirs = await shop.create({ merchant: rival });
    const paid = await shop.create();
    shop.pay(paid, 50);
    await shop.confirmAll();
    shop.pay(payment, 50, { currency: 'usdc' });
    await shop.read();
    const deposit = await onlyUnmatched(shop);
    const attach = async (to: typeof payment) => {
      const answer = await shop.attach(deposit.id, to);
      return answer.outcome === 'not_attachable' ? answer.why : answer.outcome;
    };
    expect(await attach(payment)).toBe('the deposit awaits its confirmations');
    await shop.confirmAll();
    expect(await attach(theirs)).toBe('the deposit reached another merchant');
    expect(await attach(paid)).toBe('the payment is confirmed and paid in full');
    expect(await shop.attach(deposit.id, { paymentNumber: 'PAY-2026-0000000000' })).toEqual({
      outcome: 'unknown_payment',
    });
    expect(await shop.attach(9_999, payment)).toEqual({ outcome: 'not_found' });
    shop.chains.bsc.reorg(4);
    await shop.read();
    expect(await attach(payment)).toBe('the chain took the deposit back');
    expect(await shop.state(payment)).toBe('pending');
  });

  test('in another asset waits until everything else that came is confirmed', async () => {
    const shop = await openShop(await openTestDb());
    const payment = await shop.create();
    shop.pay(payment, 50, { currency: 'usdc' });
    await shop.confirmAll();
    shop.pay(payment, 10);
    await shop.read();
    expect(await shop.attach((await onlyUnmatched(shop)).id, payment)).toEqual({
      outcome: 'not_attachable',
      why: 'another deposit of the payment awaits its confirmations',
    });
    await shop.confirmAll();
    expect((await shop.attach((await onlyUnmatched(shop)).id, payment)).outcome).toBe('attached');
  });

  test('is written to the audit log with the operator’s reason', async () => {
    const shop = await openShop(await openTestDb());
    const payment = await shop.create();
    const txHash = shop.pay(payment, 50, { currency: 'usdc' });
    await shop.confirmAll();
    const deposit = await onlyUnmatched(shop);
    await shop.attach(deposit.id, payment, 'the customer chose USDC');
    const [entry] = await listAudit(shop.db, { beforeId: null, limit: 1 });
    expect(entry).toMatchObject({
      actor: 'admin',
      action: 'deposit.attached',
      subject: String(deposit.id),
      detail: {
        reason: 'the customer chose USDC',
        payment_number: payment.paymentNumber,
        network: 'bsc',
        tx_hash: txHash,
        status: 'pending',
      },
    });
  });
});
