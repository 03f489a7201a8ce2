import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { PaymentPolicy } from '../../src/config.ts';
import type { OnchainPayment } from '../../src/core/payment.ts';
import { mostRequotes, requotePayment } from '../../src/payments/requote.ts';
import { findPaymentByToken } from '../../src/storage/payments/views.ts';
import type { Db } from '../../src/storage/schema.ts';
import { describeDatabases } from '../support/databases.ts';
import { testUsdPer } from '../support/payments.ts';
import { openShop, type Shop } from '../support/shop.ts';

const minute = 60;

async function openRequotes(
  db: Db,
  { addresses = 3, ...payments }: Partial<PaymentPolicy> & { addresses?: number } = {},
) {
  const shop = await openShop(db, { addresses, payments: { lifetimeSeconds: 30 * minute, ...payments } });
  const rates = { usdPer: testUsdPer, quote: () => null };
  const deps = { db, config: shop.config, clock: shop.clock, rates, payments: shop.creator };
  const requote = (payment: OnchainPayment, on = true) => {
    const config = { payments: { ...shop.config.payments, requote: on } };
    return requotePayment({ ...deps, config }, payment.paymentToken);
  };
  async function fresh(payment: OnchainPayment): Promise<OnchainPayment> {
    const outcome = await requote(payment);
    if (outcome.outcome !== 'requoted') throw new Error(`no fresh quote: ${JSON.stringify(outcome)}`);
    const view = await findPaymentByToken(db, outcome.paymentToken);
    if (view?.kind !== 'onchain') throw new Error('the fresh quote vanished');
    return view.payment;
  }
  return { shop, requote, fresh };
}

async function expire(shop: Shop): Promise<void> {
  shop.passTime(30 * minute + 1);
  shop.passTime(2);
  await shop.read();
}

const refused = (why: string) => ({ outcome: 'refused', why });

describeDatabases('a fresh quote', (openTestDb, kind) => {
  test('is a new payment of the same order at the same address, and both name each other', async () => {
    const { shop, fresh } = await openRequotes(await openTestDb());
    const first = await shop.create();
    await expire(shop);
    const second = await fresh(first);
    expect(second).toMatchObject({
      status: 'pending',
      address: first.address,
      price: first.price,
      externalOrderId: first.externalOrderId,
      replaces: first.paymentNumber,
      requotes: 1,
    });
    expect(second.paymentToken).not.toBe(first.paymentToken);
    expect((await shop.show(first)).replaced_by).toBe(second.paymentNumber);
    shop.pay(second, 50);
    await shop.confirmAll();
    expect([await shop.state(first), await shop.state(second)]).toEqual(['expired', 'confirmed']);
  });

  test('asked for twice, also at once, is one', async () => {
    const { shop, requote } = await openRequotes(await openTestDb());
    const first = await shop.create();
    await expire(shop);
    const answers = await Promise.all([requote(first), requote(first), requote(first)]);
    answers.push(await requote(first));
    expect(answers[0]?.outcome).toBe('requoted');
    for (const answer of answers) expect(answer).toEqual(answers[0]);
  });

  test(`is given ${mostRequotes} times for one order`, async () => {
    const { shop, requote, fresh } = await openRequotes(await openTestDb());
    let last = await shop.create();
    for (let n = 0; n < mostRequotes; n++) {
      await expire(shop);
      last = await fresh(last);
    }
    await expire(shop);
    expect(await requote(last)).toEqual(refused('too_many'));
  });

  test('is not given while the payment is open, was cancelled or paid, nor where it is switched off', async () => {
    const { shop, requote } = await openRequotes(await openTestDb());
    const [open, cancelled, paid] = [await shop.create(), await shop.create(), await shop.create()];
    await shop.cancel(cancelled);
    shop.pay(paid, 50);
    await shop.confirmAll();
    for (const payment of [open, cancelled, paid])
      expect(await requote(payment)).toEqual(refused('not_expired'));
    await expire(shop);
    expect(await requote(open, false)).toEqual(refused('switched_off'));
  });

  test('is not given once money has come for the payment', async () => {
    const { shop, requote } = await openRequotes(await openTestDb());
    const late = await shop.create();
    await expire(shop);
    shop.pay(late, 50);
    await shop.read();
    expect(await requote(late)).toEqual(refused('received'));
  });

  test('is not given where another payment has, or has had, the address since', async () => {
    const { shop, requote } = await openRequotes(await openTestDb(), { addresses: 1, quarantineSeconds: 0 });
    const first = await shop.create();
    await expire(shop);
    const other = await shop.create();
    expect(await requote(first)).toEqual(refused('address_taken'));
    await shop.cancel(other);
    expect(await requote(first)).toEqual(refused('address_taken'));
  });

  test('takes no money that was mined before it: that is late for the payment before', async () => {
    const { shop, fresh } = await openRequotes(await openTestDb());
    const first = await shop.create();
    await expire(shop);
    shop.pay(first, 50);
    shop.passTime(20);
    // The chain was not read since: nobody knows of the transfer yet.
    const second = await fresh(first);
    await shop.read();
    await shop.confirmAll();
    expect([await shop.state(first), await shop.state(second)]).toEqual(['expired late', 'pending']);
    expect(await shop.unmatched()).toEqual([]);
    expect(await shop.events(first)).toContain('payment.late');
  });

  test('and late money at the same moment leave every transfer at one of the two, once', async () => {
    const { shop, requote } = await openRequotes(await openTestDb(), { addresses: 40 });
    await fc.assert(
      fc.asyncProperty(
        fc.shuffledSubarray(['requote', 'again', 'look'], { minLength: 3 }),
        fc.nat(2),
        async (order, wait) => {
          const first = await shop.create();
          await expire(shop);
          shop.passTime(wait * 5);
          const hash = shop.pay(first, 50);
          const outcomes = await Promise.all(
            order.map((what) => (what === 'look' ? shop.look() : requote(first))),
          );
          await shop.read();
          await shop.confirmAll();
          const deposits = await shop.db
            .selectFrom('deposits')
            .selectAll()
            .where('tx_hash', '=', hash)
            .execute();
          expect(deposits).toHaveLength(1);
          expect(deposits[0]?.payment_id).not.toBeNull();
          const requoted = outcomes.filter((one) => one !== undefined && one.outcome === 'requoted');
          expect(new Set(requoted.map((one) => JSON.stringify(one))).size).toBeLessThanOrEqual(1);
        },
      ),
      { numRuns: kind === 'SQLite' ? 12 : 6, seed: 20_261_129 },
    );
  }, 60_000);
});
