import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Deposit, OnchainPayment } from '../../../src/core/payment.ts';
import { paymentEventBody } from '../../../src/present/event-body.ts';
import { inTransaction } from '../../../src/storage/database.ts';
import { insertDeposits } from '../../../src/storage/deposits/deposits.ts';
import { insertPayment } from '../../../src/storage/payments/insert.ts';
import { viewOf } from '../../../src/storage/payments/views.ts';
import type { Db } from '../../../src/storage/schema.ts';
import { describeDatabases } from '../../support/databases.ts';
import {
  addTestAddresses,
  addTestMerchant,
  testDeposit,
  testPayment,
  testView,
  tokenKey,
  txHash,
} from '../../support/payments.ts';

/** A payment with these deposits, as the database has them. */
async function store(
  db: Db,
  changes: Partial<OnchainPayment>,
  deposits: readonly Partial<Deposit>[],
  first = 1,
) {
  const merchantId = await addTestMerchant(db);
  const [addressId = 0] = await addTestAddresses(db, merchantId, { first, count: 1 });
  return inTransaction(db, async (trx) => {
    const { id: _, ...payment } = testPayment({ merchantId, addressId, ...changes });
    const inserted = await insertPayment(trx, payment);
    const rows = deposits.map((deposit, ordinal) => {
      const { id: _, ...row } = testDeposit({ merchantId, addressId, ordinal, ...deposit });
      return { ...row, paymentId: inserted.id };
    });
    const stored: Deposit[] = [];
    for (let at = 0; at < rows.length; at += 500)
      stored.push(...(await insertDeposits(trx, rows.slice(at, at + 500))));
    return { payment: inserted, deposits: stored };
  });
}

const anyDeposit = fc.record({
  txHash: fc.nat(3).map(txHash),
  amount: fc.oneof(fc.bigInt(1n, 30n), fc.bigInt(1n, 2n ** 256n - 1n)),
  height: fc.integer({ min: 101, max: 105 }),
  logIndex: fc.option(fc.nat(5)),
  status: fc.constantFrom('seen', 'confirmed', 'orphaned'),
  role: fc.constantFrom('counted', 'late', 'accepted'),
  token: fc.constantFrom(tokenKey('bsc', 'usdt'), tokenKey('bsc', 'usdc')),
});

describeDatabases('what is shown of a payment', (openTestDb) => {
  test('is what its deposits come to, whatever they are', async () => {
    const db = await openTestDb();
    let payments = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(anyDeposit, { maxLength: 70 }), fc.nat(3), async (deposits, completing) => {
        payments += 1;
        const stored = await store(
          db,
          { paymentNumber: `PAY-${payments}`, paymentToken: `${payments}`, completedBy: txHash(completing) },
          deposits.map((deposit, ordinal) => ({ ...deposit, ordinal: payments * 100 + ordinal })),
          payments,
        );
        const { deposits: shown } = await viewOf(db, stored.payment);
        expect(shown).toEqual(testView(stored.payment, stored.deposits).deposits);
      }),
      { numRuns: 40 },
    );
  });

  test('is at most fifty deposits, in a body of at most 64 KiB with all that an app may have given it', async () => {
    const db = await openTestDb();
    const long = (length: number) => '"'.repeat(length);
    const { payment } = await store(
      db,
      {
        metadata: { note: long(8_000) },
        externalOrderId: long(200),
        redirectUrl: `https://shop.example/${'a'.repeat(2_000)}`,
      },
      Array.from({ length: 2_100 }, (_, n) => ({ amount: 2n ** 256n - 1n - BigInt(n) })),
    );
    const view = await viewOf(db, payment);
    expect(view.deposits.total).toBe(2_100);
    expect(view.deposits.largest).toHaveLength(50);
    const body = paymentEventBody('payment.confirmed', view);
    expect(Buffer.byteLength(body)).toBeLessThan(64 * 1024);
    expect(JSON.parse(body).payment.deposits_total).toBe(2_100);
  });
});
