import { expect, test } from 'vitest';
import { listAudit } from '../../src/storage/operators/audit.ts';
import { describeDecisions } from '../support/databases.ts';
import { openShop } from '../support/shop.ts';

describeDecisions('accepting a payment', (openTestDb) => {
  test('confirms one that failed for too little, with what came, and it stays known as underpaid', async () => {
    const shop = await openShop(await openTestDb());
    const payment = await shop.create();
    const txHash = shop.pay(payment, 30);
    await shop.confirmAll();
    shop.passTime(2_000);
    await shop.read();
    expect(await shop.state(payment)).toBe('failed underpaid');

    const answer = await shop.accept(payment);
    expect(answer.outcome).toBe('accepted');
    expect(await shop.show(payment)).toMatchObject({
      status: 'confirmed',
      reason: 'underpaid',
      expected_crypto_amount: '50.000000',
      actual_crypto_amount: '30.000000',
      tx_hash: txHash,
      deposits: [{ tx_hash: txHash, amount: '30.000000', status: 'confirmed' }],
    });
    expect(await shop.events(payment)).toEqual([
      ...['payment.detected', 'payment.partially_paid', 'payment.failed', 'payment.confirmed'],
    ]);
    await shop.read();
    expect(await shop.state(payment)).toBe('confirmed underpaid');
  });

  test('confirms an expired one whose money came late, and it stays known as late', async () => {
    const shop = await openShop(await openTestDb());
    const payment = await shop.create();
    shop.passTime(2_000);
    await shop.read();
    shop.pay(payment, 50);
    await shop.confirmAll();
    expect(await shop.state(payment)).toBe('expired late');

    await shop.accept(payment);
    await shop.confirmAll();
    expect(await shop.state(payment)).toBe('confirmed late');
    expect(await shop.events(payment)).toEqual(['payment.expired', 'payment.late', 'payment.confirmed']);
  });

  test('of more than was asked for, which came late, stays confirmed when the chain takes back what was too much', async () => {
    const shop = await openShop(await openTestDb());
    const payment = await shop.create();
    shop.passTime(2_000);
    shop.pay(payment, 50);
    await shop.confirmAll();
    const length = shop.chains.bsc.length();
    shop.pay(payment, 10);
    await shop.confirmAll();
    await shop.accept(payment);
    shop.chains.bsc.reorg(shop.chains.bsc.length() - length);
    await shop.confirmAll();
    expect(await shop.state(payment)).toBe('confirmed late');
    expect(await shop.show(payment)).toMatchObject({ actual_crypto_amount: '50.000000' });
    expect(await shop.events(payment)).not.toContain('payment.reverted');
  });

  test('confirms a cancelled one whose money came after all', async () => {
    const shop = await openShop(await openTestDb());
    const payment = await shop.create();
    await shop.cancel(payment);
    shop.pay(payment, 50);
    await shop.confirmAll();
    expect(await shop.state(payment)).toBe('cancelled late');

    await shop.accept(payment);
    await shop.confirmAll();
    expect(await shop.state(payment)).toBe('confirmed late');
    expect(await shop.events(payment)).toEqual(['payment.cancelled', 'payment.late', 'payment.confirmed']);
  });

  test('confirms a short one that is still pending, and frees its address', async () => {
    const shop = await openShop(await openTestDb(), { addresses: 1 });
    const payment = await shop.create();
    shop.pay(payment, 49);
    await shop.confirmAll();
    expect(await shop.state(payment)).toBe('pending');
    expect((await shop.tryCreate({})).outcome).toBe('all_held');

    await shop.accept(payment);
    expect(await shop.state(payment)).toBe('confirmed underpaid');
    expect((await shop.tryCreate({})).outcome).toBe('created');
  });

  test('counts what came in time and what came late together', async () => {
    const shop = await openShop(await openTestDb());
    const payment = await shop.create();
    shop.pay(payment, 20);
    await shop.confirmAll();
    shop.passTime(2_000);
    await shop.read();
    shop.pay(payment, 25);
    await shop.confirmAll();
    expect(await shop.state(payment)).toBe('failed late');

    await shop.accept(payment);
    expect(await shop.show(payment)).toMatchObject({
      status: 'confirmed',
      reason: 'late',
      actual_crypto_amount: '45.000000',
    });
  });

  test('is refused while nothing came, or while a part of it awaits its confirmations', async () => {
    const shop = await openShop(await openTestDb());
    const payment = await shop.create();
    expect(await shop.accept(payment)).toEqual({
      outcome: 'not_acceptable',
      why: 'nothing was received for it',
    });
    shop.pay(payment, 20);
    await shop.confirmAll();
    shop.pay(payment, 20);
    await shop.read();
    expect(await shop.accept(payment)).toEqual({
      outcome: 'not_acceptable',
      why: 'a deposit of it awaits its confirmations',
    });
    expect(await shop.state(payment)).toBe('pending');

    const expired = await shop.create();
    shop.passTime(2_000);
    await shop.read();
    shop.pay(expired, 50);
    await shop.confirmAll();
    shop.pay(expired, 10);
    await shop.read();
    expect((await shop.accept(expired)).outcome).toBe('not_acceptable');
    expect(await shop.accept({ paymentNumber: 'PAY-2026-0000000000' })).toEqual({ outcome: 'not_found' });
  });

  test('is refused for a payment that confirmed by itself', async () => {
    const shop = await openShop(await openTestDb());
    const payment = await shop.create();
    shop.pay(payment, 50);
    await shop.confirmAll();
    expect(await shop.accept(payment)).toEqual({
      outcome: 'not_acceptable',
      why: 'it is confirmed already',
    });
    expect(await shop.events(payment)).toEqual(['payment.detected', 'payment.confirmed']);
  });

  test('twice is the same as once: one event, one entry in the audit log with the operator’s reason', async () => {
    const shop = await openShop(await openTestDb());
    const payment = await shop.create();
    shop.pay(payment, 30);
    await shop.confirmAll();
    const both = await Promise.all([shop.accept(payment, 'the exchange took a fee'), shop.accept(payment)]);
    expect(both.map((answer) => answer.outcome)).toEqual(['accepted', 'accepted']);
    expect((await shop.accept(payment)).outcome).toBe('accepted');
    expect(await shop.events(payment)).toEqual([
      ...['payment.detected', 'payment.partially_paid', 'payment.confirmed'],
    ]);
    const audit = await listAudit(shop.db, { beforeId: null, limit: 10 });
    const entries = audit.filter((entry) => entry.action === 'payment.accepted');
    expect(entries).toHaveLength(1);
    expect(entries[0]).toMatchObject({
      actor: 'admin',
      subject: payment.paymentNumber,
      detail: { status: 'pending', expected_amount: '50', received_amount: '30' },
    });
  });

  test('does not bind the chain: a part that is taken back reverts it, mined again it confirms again', async () => {
    const shop = await openShop(await openTestDb());
    const payment = await shop.create();
    shop.pay(payment, 20);
    shop.pay(payment, 10);
    await shop.confirmAll();
    await shop.accept(payment);

    const gone = shop.chains.bsc.reorg(4);
    await shop.read();
    expect(await shop.state(payment)).toBe('failed reorged');
    // What was accepted is what is needed: 30, of which 20 stayed.
    expect((await shop.show(payment)).remaining).toBe('10.000000');
    shop.chains.bsc.mine(gone);
    await shop.confirmAll();
    expect(await shop.state(payment)).toBe('confirmed underpaid');
    expect(await shop.events(payment)).toEqual([
      'payment.detected',
      'payment.partially_paid',
      'payment.confirmed',
      'payment.reverted',
      'payment.partially_paid',
      'payment.confirmed',
    ]);
  });
});
