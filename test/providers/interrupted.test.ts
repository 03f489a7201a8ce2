import { describe, expect, onTestFinished, test } from 'vitest';
import { openTestSqlite } from '../support/databases.ts';
import { makeFaulty } from '../support/faulty-db.ts';
import { openProviderShop } from '../support/providers/shop.ts';
import { chargeSubjects, type Subject } from '../support/providers/subjects.ts';

/*
 * The process dies at each write of a payment's life in turn, as after kill -9, and another takes over.
 */

/** Lives through a payment, a webhook and a refund; dies at the `n`th write. Answers whether there were so many. */
async function live(subject: Subject, n: number): Promise<boolean> {
  const db = await openTestSqlite();
  onTestFinished(() => db.destroy());
  const faulty = makeFaulty(db);
  const shop = await openProviderShop(faulty.db, subject);
  const { api, standIn, merchant } = shop;
  const before = faulty.writes();
  faulty.failAt(n);

  const order = { 'idempotency-key': 'order' };
  let made = await shop.create({}, order);
  // Whoever gets no answer asks again; what a dead process had in hand is another's after a while.
  for (let again = 0; made.status !== 201 && again < 5; again++) {
    api.advance(40);
    standIn.advance(40);
    made = await shop.create({}, order);
  }
  expect(made.status).toBe(201);
  const charge = [...standIn.charges.values()].at(-1);
  if (charge === undefined) throw new Error('no charge');
  charge.status = 'captured';
  await shop.deliver(subject.webhook(charge));
  for (let step = 0; step < 4; step++) await shop.pass(400).catch(() => {});
  expect(await shop.view(made.body)).toMatchObject({ status: 'confirmed' });

  const refund = () =>
    api.send('POST', `/api/v1/payments/${made.body.payment_number}/refunds/`, {
      key: merchant.key,
      json: {},
      headers: { 'idempotency-key': 'refund' },
    });
  await refund();
  for (let step = 0; step < 4; step++) await shop.pass(400).catch(() => {});
  await refund();
  for (let step = 0; step < 4; step++) await shop.pass(400).catch(() => {});

  const events = await db.selectFrom('events').select(['type']).execute();
  expect(events.filter(({ type }) => type === 'payment.confirmed')).toHaveLength(1);
  const list = await api.send<{ data: unknown[] }>('GET', '/api/v1/payments/', { key: merchant.key });
  expect(list.body.data).toHaveLength(1);
  expect(charge.refunds.reduce((total, { amount }) => total + amount, 0)).toBe(charge.amount);
  return faulty.writes() - before >= n;
}

describe.each(chargeSubjects.map((subject) => [subject.type, subject] as const))(
  'dying at any write, %s',
  (_, subject) => {
    test('a payment is made, confirmed and refunded once', { timeout: 180_000 }, async () => {
      let n = 1;
      while (await live(subject, n)) n++;
      expect(n).toBeGreaterThan(8);
    });
  },
);
