import { expect, test } from 'vitest';
import type { Transfer } from '../../src/core/chain.ts';
import type { OnchainPayment } from '../../src/core/payment.ts';
import { recordTransfers } from '../../src/payments/record.ts';
import { settlePayment } from '../../src/payments/settle.ts';
import { inTransaction } from '../../src/storage/database.ts';
import { confirmDeposits, listDeposits, orphanDepositsOfBlock } from '../../src/storage/deposits/deposits.ts';
import { insertPayment } from '../../src/storage/payments/insert.ts';
import { findPaymentById } from '../../src/storage/payments/payments.ts';
import type { Db } from '../../src/storage/schema.ts';
import { testChain } from '../support/config.ts';
import { describeDecisions } from '../support/databases.ts';
import {
  addTestAddresses,
  addTestMerchant,
  createdAt,
  expiresAt,
  lockedAt,
  testBlock,
  testPayment,
  testTransfer,
  usdt,
} from '../support/payments.ts';

/** Long after the payment's time. */
const now = expiresAt + 600_000;

/** A merchant whose one address on BSC was given to a payment that is as `changes` say by now. */
async function setUp(db: Db, changes: Partial<OnchainPayment> = {}) {
  const merchantId = await addTestMerchant(db);
  const [addressId = 0] = await addTestAddresses(db, merchantId, { count: 1 });
  const give = (more: Partial<OnchainPayment>) =>
    inTransaction(db, (trx) => {
      const { id: _, ...payment } = testPayment({ merchantId, addressId, ...more });
      return insertPayment(trx, payment);
    });
  const payment = await give(changes);
  return {
    payment,
    giveNext: (height = 500) => give({ paymentNumber: 'PAY-2', paymentToken: '2', ...lockedAt(height) }),
  };
}

async function record(db: Db, transfer: Transfer = testTransfer(), as: 'missed' | 'new' = 'missed') {
  const context = { chain: testChain('bsc'), reportedBy: () => 'node.example', now };
  const [one = null] = await inTransaction(db, (trx) =>
    recordTransfers(trx, [transfer], { ...context, missed: as === 'missed' }),
  );
  return one;
}

/** Confirms the deposit and settles its payment, as the watcher does. */
async function confirm(db: Db, payment: OnchainPayment): Promise<OnchainPayment> {
  const [deposit] = (await listDeposits(db, { limit: 1 })).deposits;
  await inTransaction(db, async (trx) => {
    if (deposit !== undefined) await confirmDeposits(trx, [deposit]);
    const chain = { cursor: testBlock(900), requiredConfirmations: 15 };
    const context = {
      network: 'bsc',
      chain,
      latePolicy: 'flag',
      now,
    } as const;
    await settlePayment(trx, payment.id, context);
  });
  return findPaymentById(db, payment.id);
}

async function onlyDeposit(db: Db) {
  const { deposits } = await listDeposits(db, { limit: 10 });
  expect(deposits).toHaveLength(1);
  return deposits[0];
}

describeDecisions('a transfer that an earlier reading missed', (openTestDb) => {
  test('pays a payment that expired because of that: its customer paid in time', async () => {
    const db = await openTestDb();
    const { payment } = await setUp(db, { status: 'expired', endedAt: expiresAt + 1 });
    expect(await record(db)).toMatchObject({ paymentId: payment.id, event: 'payment.detected' });
    expect(await onlyDeposit(db)).toMatchObject({ role: 'counted', status: 'seen' });
    expect(await confirm(db, payment)).toMatchObject({ status: 'confirmed', reason: null, confirmedAt: now });
  });

  test('pays the payment that had the address then, not the one that has it now', async () => {
    const db = await openTestDb();
    const { payment, giveNext } = await setUp(db, { status: 'expired', endedAt: expiresAt + 1 });
    const next = await giveNext();
    await record(db);
    expect(await confirm(db, payment)).toMatchObject({ status: 'confirmed' });
    expect(await findPaymentById(db, next.id)).toEqual(next);
  });

  test('pays the last of several payments that had the address before it', async () => {
    const db = await openTestDb();
    const { payment, giveNext } = await setUp(db, { status: 'expired', endedAt: expiresAt + 1 });
    const next = await giveNext(105);
    expect(await record(db)).toMatchObject({ paymentId: next.id });
    expect(await confirm(db, payment)).toMatchObject({ status: 'expired', reason: null });
  });

  test('completes one that failed for want of it', async () => {
    const db = await openTestDb();
    const { payment } = await setUp(db, { status: 'failed', reason: 'underpaid', endedAt: expiresAt + 1 });
    await record(db);
    expect(await confirm(db, payment)).toMatchObject({ status: 'confirmed' });
  });

  test('that is too little leaves an expired payment expired, and says why it is unusual', async () => {
    const db = await openTestDb();
    const { payment } = await setUp(db, { status: 'expired', endedAt: expiresAt + 1 });
    await record(db, testTransfer({ amount: usdt(20) }));
    expect(await confirm(db, payment)).toMatchObject({ status: 'expired', reason: 'underpaid' });
  });

  test('is late for one that its app cancelled', async () => {
    const db = await openTestDb();
    const { payment } = await setUp(db, { status: 'cancelled', endedAt: createdAt + 1 });
    expect(await record(db)).toMatchObject({ event: 'payment.late' });
    expect(await confirm(db, payment)).toMatchObject({ status: 'cancelled', reason: 'late' });
  });

  test('is late when it came late, and nobody’s where another payment holds the address by now', async () => {
    for (const given of [false, true]) {
      const db = await openTestDb();
      const { payment, giveNext } = await setUp(db, { status: 'expired', endedAt: expiresAt + 1 });
      if (given) await giveNext();
      await record(db, testTransfer({ block: testBlock(250, { time: expiresAt / 1000 + 1 }) }));
      expect(await onlyDeposit(db)).toMatchObject(
        given ? { role: 'unmatched', unmatchedReason: 'before_lock' } : { role: 'late' },
      );
      expect(await confirm(db, payment)).toMatchObject({ status: 'expired', reason: given ? null : 'late' });
    }
  });

  test('pays nobody when it came before the address was given to anybody', async () => {
    const db = await openTestDb();
    const { payment } = await setUp(db, { status: 'expired', endedAt: expiresAt + 1 });
    await record(db, testTransfer({ block: testBlock(99) }));
    expect(await onlyDeposit(db)).toMatchObject({ role: 'unmatched', unmatchedReason: 'before_lock' });
    expect(await confirm(db, payment)).toMatchObject({ status: 'expired', reason: null });
  });

  test('is there again where a confirmed payment has lost it, and nothing is taken back meanwhile', async () => {
    const db = await openTestDb();
    const { payment } = await setUp(db);
    await record(db, testTransfer(), 'new');
    const confirmed = await confirm(db, payment);
    expect(confirmed).toMatchObject({ status: 'confirmed' });
    await inTransaction(db, (trx) => trx.deleteFrom('deposits').execute());
    expect(await record(db)).toMatchObject({ paymentId: payment.id });
    expect(await onlyDeposit(db)).toMatchObject({ role: 'counted' });
    expect(await confirm(db, payment)).toEqual(confirmed);
  });

  test('is recorded once, however often it is found', async () => {
    const db = await openTestDb();
    await setUp(db, { status: 'expired', endedAt: expiresAt + 1 });
    await record(db);
    const before = await onlyDeposit(db);
    for (const as of ['missed', 'new'] as const) expect(await record(db, testTransfer(), as)).toBeNull();
    expect(await onlyDeposit(db)).toEqual(before);
  });

  test('and was taken back by mistake counts again, though its payment has expired meanwhile', async () => {
    const db = await openTestDb();
    const { payment } = await setUp(db);
    const transfer = testTransfer();
    await record(db, transfer, 'new');
    await inTransaction(db, async (trx) => {
      await orphanDepositsOfBlock(trx, 'bsc', transfer.block);
      await trx.updateTable('payments').set({ status: 'expired', ended_at: now }).execute();
    });
    expect(await record(db)).toMatchObject({ paymentId: payment.id });
    expect(await onlyDeposit(db)).toMatchObject({ role: 'counted', status: 'seen' });
    expect(await confirm(db, payment)).toMatchObject({ status: 'confirmed' });
  });
});
