import { expect, test } from 'vitest';
import type { Transfer } from '../../src/core/chain.ts';
import type { OnchainPayment } from '../../src/core/payment.ts';
import { recordTransfers } from '../../src/payments/record.ts';
import { inTransaction } from '../../src/storage/database.ts';
import { listDeposits } from '../../src/storage/deposits/deposits.ts';
import { insertPayment } from '../../src/storage/payments/insert.ts';
import type { Db } from '../../src/storage/schema.ts';
import { evmKey } from '../support/addresses.ts';
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
  tokenKey,
  txHash,
  usdt,
} from '../support/payments.ts';

/** A merchant whose one address on BSC is held by a pending payment. */
async function setUp(db: Db, changes: Partial<OnchainPayment> = {}) {
  const merchantId = await addTestMerchant(db);
  const [addressId = 0] = await addTestAddresses(db, merchantId, { count: 1 });
  const payment = await newPayment(db, { merchantId, addressId, ...changes });
  return { merchantId, addressId, payment };
}

let numbers = 0;

async function newPayment(db: Db, changes: Partial<OnchainPayment>): Promise<OnchainPayment> {
  numbers += 1;
  const { id: _, ...payment } = testPayment({
    paymentNumber: `PAY-2026-${numbers}`,
    paymentToken: `token ${numbers}`,
    ...changes,
  });
  return inTransaction(db, (trx) => insertPayment(trx, payment));
}

async function record(db: Db, transfer: Transfer) {
  const chain = testChain(transfer.network);
  const context = { chain, reportedBy: () => 'node.example', now: createdAt + 61_000 };
  const [one = null] = await inTransaction(db, (trx) => recordTransfers(trx, [transfer], context));
  return one;
}

async function recorded(db: Db) {
  return (await listDeposits(db, { limit: 100 })).deposits.reverse();
}

describeDecisions('recording a transfer', (openTestDb) => {
  test('makes a deposit of it with all that the chain shows, counted for the holder of the address', async () => {
    const db = await openTestDb();
    const { merchantId, addressId, payment } = await setUp(db);
    const transfer = testTransfer({ logIndex: 7 });
    expect(await record(db, transfer)).toMatchObject({ paymentId: payment.id, event: 'payment.detected' });
    expect(await recorded(db)).toEqual([
      {
        id: expect.any(Number),
        network: 'bsc',
        txHash: txHash(1),
        token: transfer.token,
        currency: 'usdt',
        decimals: 18,
        recipient: evmKey(1),
        ordinal: 0,
        amount: usdt(50),
        height: 110,
        blockHash: transfer.block.hash,
        blockTime: transfer.block.time,
        logIndex: 7,
        status: 'seen',
        role: 'counted',
        unmatchedReason: null,
        merchantId,
        addressId,
        paymentId: payment.id,
        seenAt: createdAt + 61_000,
        reportedBy: 'node.example',
      },
    ]);
  });

  test('a second time in the same block changes nothing', async () => {
    const db = await openTestDb();
    await setUp(db);
    await record(db, testTransfer());
    const before = await recorded(db);
    expect(await record(db, testTransfer())).toBeNull();
    expect(await recorded(db)).toEqual(before);
  });

  test('keeps amounts beyond any machine number exactly', async () => {
    const db = await openTestDb();
    await setUp(db);
    const amount = 2n ** 256n - 1n;
    await record(db, testTransfer({ amount }));
    expect(await recorded(db)).toMatchObject([{ amount }]);
  });

  test('makes two deposits of two equal transfers in one transaction', async () => {
    const db = await openTestDb();
    const { payment } = await setUp(db);
    await record(db, testTransfer({ ordinal: 0, logIndex: 3 }));
    await record(db, testTransfer({ ordinal: 1, logIndex: 4 }));
    expect(await recorded(db)).toMatchObject([
      { ordinal: 0, paymentId: payment.id },
      { ordinal: 1, paymentId: payment.id },
    ]);
  });

  test('takes another token, recipient or chain in one transaction for another deposit', async () => {
    const db = await openTestDb();
    const { merchantId } = await setUp(db);
    await addTestAddresses(db, merchantId, { first: 2, count: 1 });
    await record(db, testTransfer());
    await record(db, testTransfer({ token: tokenKey('bsc', 'usdc'), currency: 'usdc' }));
    await record(db, testTransfer({ recipient: evmKey(2) }));
    await record(db, testTransfer({ network: 'ethereum', token: tokenKey('ethereum', 'usdt') }));
    expect(await recorded(db)).toHaveLength(4);
  });

  test('announces only the first transfer seen for a payment', async () => {
    const db = await openTestDb();
    await setUp(db);
    expect(await record(db, testTransfer())).toMatchObject({ event: 'payment.detected' });
    expect(await record(db, testTransfer({ txHash: txHash(2) }))).toMatchObject({ event: null });
  });

  test('gives it to the newest payment of the address, never to an earlier one', async () => {
    const db = await openTestDb();
    const { merchantId, addressId, payment } = await setUp(db, {
      status: 'expired',
      endedAt: createdAt,
      ...lockedAt(90),
    });
    const holder = await newPayment(db, { merchantId, addressId, ...lockedAt(105) });
    await record(db, testTransfer({ block: testBlock(106) }));
    await record(db, testTransfer({ txHash: txHash(2), block: testBlock(105) }));
    expect(payment.id).toBeLessThan(holder.id);
    expect(await recorded(db)).toMatchObject([
      { role: 'counted', paymentId: holder.id },
      { role: 'unmatched', unmatchedReason: 'before_lock', paymentId: null },
    ]);
  });

  test('after the payment ended and nobody else holds the address makes it late', async () => {
    const db = await openTestDb();
    const { payment } = await setUp(db, { status: 'cancelled' });
    expect(await record(db, testTransfer())).toMatchObject({ paymentId: payment.id, event: 'payment.late' });
    expect(await recorded(db)).toMatchObject([{ role: 'late', paymentId: payment.id }]);
  });

  test('in a block later than the expiry makes it late, though the payment is still pending', async () => {
    const db = await openTestDb();
    const { payment } = await setUp(db);
    const block = testBlock(500, { time: expiresAt / 1000 + 1 });
    expect(await record(db, testTransfer({ block }))).toMatchObject({ event: 'payment.late' });
    expect(await recorded(db)).toMatchObject([{ role: 'late', paymentId: payment.id }]);
  });

  test.each([
    ['of the wrong token', { token: tokenKey('bsc', 'usdc'), currency: 'usdc' as const }, 'wrong_token'],
    ['in a block before the lock', { block: testBlock(99) }, 'before_lock'],
  ])('%s leaves it unmatched, with its event', async (_which, changes, reason) => {
    const db = await openTestDb();
    await setUp(db);
    expect(await record(db, testTransfer(changes))).toMatchObject({
      paymentId: null,
      event: 'deposit.unmatched',
    });
    expect(await recorded(db)).toMatchObject([
      { role: 'unmatched', unmatchedReason: reason, paymentId: null },
    ]);
  });

  test('to an address that never had a payment leaves it unmatched: no_payment', async () => {
    const db = await openTestDb();
    const { merchantId } = await setUp(db);
    await addTestAddresses(db, merchantId, { first: 2, count: 1 });
    await record(db, testTransfer({ recipient: evmKey(2) }));
    expect(await recorded(db)).toMatchObject([{ role: 'unmatched', unmatchedReason: 'no_payment' }]);
  });

  test('on a chain that the address is not listed for leaves it unmatched: wrong_network', async () => {
    const db = await openTestDb();
    const { merchantId, addressId } = await setUp(db);
    const transfer = testTransfer({
      network: 'ethereum',
      token: tokenKey('ethereum', 'usdt'),
      amount: 50_000_000n,
    });
    await record(db, transfer);
    expect(await recorded(db)).toMatchObject([
      { network: 'ethereum', decimals: 6, unmatchedReason: 'wrong_network', merchantId, addressId },
    ]);
  });

  test('on a chain where the same address has no payment, but has one on a sister chain: wrong_network', async () => {
    const db = await openTestDb();
    const { merchantId } = await setUp(db);
    await addTestAddresses(db, merchantId, { network: 'ethereum', count: 1 });
    await record(db, testTransfer({ network: 'ethereum', token: tokenKey('ethereum', 'usdt') }));
    expect(await recorded(db)).toMatchObject([{ role: 'unmatched', unmatchedReason: 'wrong_network' }]);
  });

  test('that was recorded in a block that is gone moves it, and it has to be confirmed anew', async () => {
    const db = await openTestDb();
    const { payment } = await setUp(db);
    await record(db, testTransfer());
    const moved = testTransfer({ block: testBlock(117, { time: expiresAt / 1000 + 9 }), logIndex: 9 });
    expect(await record(db, moved)).toMatchObject({ paymentId: payment.id, event: null });
    expect(await recorded(db)).toMatchObject([
      { height: 117, blockHash: moved.block.hash, logIndex: 9, status: 'seen', role: 'counted' },
    ]);
  });
});
