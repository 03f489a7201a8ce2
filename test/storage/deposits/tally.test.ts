import fc from 'fast-check';
import { sql } from 'kysely';
import { expect, test } from 'vitest';
import type { Deposit, DepositSum, OnchainPayment } from '../../../src/core/payment.ts';
import { inTransaction } from '../../../src/storage/database.ts';
import {
  acceptLateDeposits,
  attachToPayment,
  detachLost,
} from '../../../src/storage/deposits/attachments.ts';
import {
  confirmDeposits,
  insertDeposits,
  listDeposits,
  moveDeposit,
  orphanDeposits,
  orphanDepositsOfBlock,
  setDepositAgreed,
  setDepositRole,
} from '../../../src/storage/deposits/deposits.ts';
import { mostShown } from '../../../src/storage/deposits/shown.ts';
import { listSums } from '../../../src/storage/deposits/sums.ts';
import { readTally } from '../../../src/storage/deposits/tally.ts';
import { insertPayment } from '../../../src/storage/payments/insert.ts';
import { findPaymentById } from '../../../src/storage/payments/payments.ts';
import { viewOf } from '../../../src/storage/payments/views.ts';
import type { Db } from '../../../src/storage/schema.ts';
import { describeDatabases } from '../../support/databases.ts';
import { listDepositsOfPayment } from '../../support/deposits.ts';
import {
  addTestAddresses,
  addTestMerchant,
  blockHash,
  testBlock,
  testDeposit,
  testPayment,
  testTransfer,
  testView,
  tokenKey,
  txHash,
} from '../../support/payments.ts';
import { tallyOf } from '../../support/tally.ts';

/*
 * What the deposits of a payment come to, whatever becomes of each, against the same put together from all of them.
 */

const heights = fc.integer({ min: 101, max: 106 });
const amounts = fc.oneof(fc.bigInt(1n, 60n), fc.bigInt(1n, 2n ** 256n - 1n));

const change = fc.oneof(
  fc.record({ do: fc.constant('confirm' as const), nth: fc.nat(9) }),
  fc.record({ do: fc.constant('orphan' as const), nth: fc.nat(9) }),
  fc.record({ do: fc.constant('orphan block' as const), height: heights }),
  fc.record({ do: fc.constant('move' as const), nth: fc.nat(9), height: heights, amount: amounts }),
  fc.record({ do: fc.constant('late' as const), nth: fc.nat(9) }),
  fc.record({ do: fc.constant('agree' as const), nth: fc.nat(9), nobody: fc.boolean(), amount: amounts }),
  fc.record({ do: fc.constant('accept late' as const) }),
  fc.record({ do: fc.constant('attach' as const), nth: fc.nat(9) }),
  fc.record({ do: fc.constant('detach lost' as const) }),
);

const anyDeposit = fc.record({
  txHash: fc.nat(3).map(txHash),
  amount: amounts,
  height: heights,
  logIndex: fc.option(fc.nat(5)),
  role: fc.constantFrom('counted', 'late', 'accepted'),
  token: fc.constantFrom(tokenKey('bsc', 'usdt'), tokenKey('bsc', 'usdt'), tokenKey('bsc', 'usdc')),
});

const given = fc.record({
  deposits: fc.array(anyDeposit, { minLength: 1, maxLength: 10 }),
  changes: fc.array(change, { maxLength: 12 }),
  required: fc.constantFrom(0n, 1n, 50n, 2n ** 255n),
  limit: heights,
  forgotten: heights,
});
type Given = typeof given extends fc.Arbitrary<infer T> ? T : never;

let made = 0;

async function addPayment(db: Db, changes: Partial<OnchainPayment> = {}): Promise<OnchainPayment> {
  made += 1;
  const merchantId = await addTestMerchant(db);
  const [addressId = 0] = await addTestAddresses(db, merchantId, { first: made, count: 1 });
  return inTransaction(db, (trx) => {
    const { id: _, ...payment } = testPayment({ merchantId, addressId, ...changes });
    const unique = { paymentNumber: `PAY-${made}`, paymentToken: `${made}` };
    return insertPayment(trx, { ...payment, ...unique });
  });
}

function depositsOf({ id, merchantId, addressId }: OnchainPayment, deposits: readonly Partial<Deposit>[]) {
  return deposits.map((deposit, ordinal) => {
    const { id: _, ...row } = testDeposit({
      merchantId,
      addressId,
      ordinal: 1_000 * made + ordinal,
      ...deposit,
    });
    const placed = { blockHash: blockHash(row.height), blockTime: testBlock(row.height).time };
    return { ...row, ...placed, paymentId: id };
  });
}

/** Each statement that changes deposits, on one of them. */
async function act(db: Db, payment: OnchainPayment, what: Given['changes'][number]): Promise<void> {
  const all = (await listDeposits(db, { limit: 1_000 })).deposits.filter(
    ({ addressId }) => addressId === payment.addressId,
  );
  const one = 'nth' in what ? all[what.nth % all.length] : undefined;
  await inTransaction(db, async (trx) => {
    switch (what.do) {
      case 'confirm':
        if (one !== undefined) await confirmDeposits(trx, [one]);
        return;
      case 'orphan':
        if (one !== undefined) await orphanDeposits(trx, [one]);
        return;
      case 'orphan block':
        await orphanDepositsOfBlock(trx, 'bsc', { height: what.height, hash: blockHash(what.height) });
        return;
      case 'move': {
        const block = testBlock(what.height);
        const transfer = testTransfer({ block, amount: what.amount });
        if (one !== undefined) await moveDeposit(trx, one.id, transfer, null);
        return;
      }
      case 'late':
        if (one?.paymentId != null) await setDepositRole(trx, one.id, 'late');
        return;
      case 'agree': {
        if (one === undefined) return;
        const role = what.nobody ? 'unmatched' : 'counted';
        const paymentId = what.nobody ? null : payment.id;
        await setDepositAgreed(trx, { ...one, amount: what.amount, role, paymentId });
        return;
      }
      case 'accept late':
        await acceptLateDeposits(trx, payment.id);
        return;
      case 'attach':
        if (one !== undefined)
          await attachToPayment(trx, one.id, { paymentId: payment.id, role: 'accepted' });
        return;
      case 'detach lost':
        await detachLost(trx, payment);
        return;
      default:
        what satisfies never;
    }
  });
}

const alike = ({ network, token, status, role }: DepositSum) => `${network} ${token} ${status} ${role}`;

/** Of each kind how many, and how much. */
function added(sums: readonly DepositSum[]): Record<string, [number, bigint]> {
  const groups = [...Map.groupBy(sums, alike)].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(
    groups.map(([kind, all]) => [
      kind,
      [all.reduce((n, { total }) => n + total, 0), all.reduce((sum, { amount }) => sum + amount, 0n)],
    ]),
  );
}

describeDatabases('what the deposits of a payment come to', (openTestDb, kind) => {
  test('is kept as they are recorded, moved, confirmed, taken back, attached and let go of', async () => {
    const db = await openTestDb();
    await fc.assert(
      fc.asyncProperty(given, async ({ deposits, changes, required, limit, forgotten }) => {
        const blockTimeLimit = testBlock(limit).time;
        const payment = await addPayment(db, { requiredAmount: required, blockTimeLimit });
        await inTransaction(db, (trx) => insertDeposits(trx, depositsOf(payment, deposits)));
        for (const what of changes) await act(db, payment, what);

        const stored = await listDepositsOfPayment(db, payment.id);
        const expected = tallyOf(payment, stored, {
          cursor: { height: forgotten, time: 0 },
          requiredConfirmations: 0,
        });
        const tally = await readTally(db, payment, { forgotten, completes: 'all' });
        expect(added(tally.sums)).toEqual(added(expected.sums));
        expect(added(tally.missing)).toEqual(added(expected.missing));
        expect(tally.countsLate).toBe(expected.countsLate);
        expect(tally.completedBy).toEqual(expected.completedBy);
        expect((await viewOf(db, payment)).deposits).toEqual(testView(payment, stored).deposits);
      }),
      { numRuns: kind === 'SQLite' ? 100 : 15 },
    );
  });

  test('is shown of more deposits than are read together as of few', async () => {
    const db = await openTestDb();
    const payment = await addPayment(db, { completedBy: txHash(77) });
    const deposits = Array.from({ length: 260 }, (_, n) => ({
      txHash: txHash(n % 100),
      amount: BigInt(1 + ((n * 7_919) % 1_000)),
      height: 101 + ((n * 31) % 60),
      logIndex: n % 3 === 0 ? null : n % 5,
      status: n % 4 === 0 ? ('orphaned' as const) : n % 4 === 1 ? ('confirmed' as const) : ('seen' as const),
    }));
    await inTransaction(db, (trx) =>
      insertDeposits(trx, depositsOf(payment, [...deposits, ...deposits.slice(1)])),
    );
    const stored = await listDepositsOfPayment(db, payment.id);
    for (const completedBy of [null, txHash(77), txHash(7), txHash(999)]) {
      const known = { ...payment, completedBy };
      expect((await viewOf(db, known)).deposits).toEqual(testView(known, stored).deposits);
    }
  });

  test('is read of a hundred thousand grains as fast as of one', async () => {
    const db = await openTestDb();
    const [grains, payment] = [100_000, await addPayment(db)];
    const [row] = depositsOf(payment, [{ amount: 1n }]);
    const [first] = await inTransaction(db, (trx) => insertDeposits(trx, [row as Omit<Deposit, 'id'>]));
    const columns = `network, token, currency, decimals, recipient, amount, height, block_hash, block_time, log_index,
      status, role, unmatched_reason, merchant_id, address_id, payment_id, seen_at, reported_by`;
    // That the payment, its address and its merchant are there is looked up for each row, which takes ten times as long as it.
    if (kind === 'PostgreSQL')
      await sql`alter table deposits disable trigger all, enable trigger deposit_sums_insert`.execute(db);
    const [portions, each] = [10, grains / 10];
    for (let portion = 0; portion < portions; portion++)
      await inTransaction(db, (trx) =>
        sql
          .raw(
            `insert into deposits (tx_hash, ordinal, ${columns}) with recursive n(i) as
              (select 1 union all select i + 1 from n where i < ${each})
              select '0x${portion}f' || i, 0, ${columns} from n cross join deposits where id = ${first?.id}`,
          )
          .execute(trx),
      );
    expect(await listSums(db, payment.id)).toMatchObject([{ total: grains + 1, amount: BigInt(grains + 1) }]);
    const one = await leastMs(() => settle(db, payment.id));
    expect(one).toBeLessThan(20);
    expect((await viewOf(db, payment)).deposits).toMatchObject({
      total: grains + 1,
      largest: { length: mostShown },
    });
  }, 60_000);
});

/** What settling a payment and telling of it reads. */
async function settle(db: Db, id: number): Promise<void> {
  const payment = await findPaymentById(db, id);
  await readTally(db, payment, { forgotten: 0, completes: 'all' });
  await viewOf(db, payment);
}

/** Of several, on a machine that may be busy. */
async function leastMs(work: () => Promise<void>): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 20; round++) {
    const start = performance.now();
    await work();
    least = Math.min(least, performance.now() - start);
  }
  return least;
}
