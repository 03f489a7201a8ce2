import { expect } from 'vitest';
import type { Db } from '../../src/storage/schema.ts';
import type { PaymentBody } from './api.ts';
import { expectedAmount, type Scenario } from './scenario.ts';
import { waitFor } from './wait.ts';

const patience = { timeoutMs: 60_000 };

export async function untilConfirmed(db: Db, made: readonly PaymentBody[]): Promise<void> {
  let open: string[] = [];
  await waitFor(
    'all to be confirmed',
    async () => {
      const numbers = made.map((payment) => payment.payment_number);
      const rows = await db
        .selectFrom('payments')
        .select(['payment_number', 'status'])
        .where('payment_number', 'in', numbers)
        .execute();
      open = rows.filter(({ status }) => status !== 'confirmed').map((row) => row.payment_number);
      return open.length === 0;
    },
    { ...patience, describe: () => open },
  );
}

/**
 * `payments` are all that were made. Each was confirmed once, by its own transfer alone, and each of its events reached the
 * receiver unchanged.
 */
export async function expectPaidOnce(
  shop: Scenario,
  db: Db,
  payments: readonly PaymentBody[],
): Promise<void> {
  const deposits = await db
    .selectFrom('deposits')
    .select(['payment_id', 'amount', 'status'])
    .where('status', '!=', 'orphaned')
    .execute();
  expect(deposits.every(({ status }) => status === 'confirmed')).toBe(true);
  const sum = (amounts: readonly bigint[]) => amounts.reduce((total, amount) => total + amount, 0n);
  expect(deposits).toHaveLength(payments.length);
  expect(sum(deposits.map(({ amount }) => BigInt(amount)))).toBe(
    sum(payments.map((one) => expectedAmount(one))),
  );
  expect(new Set(deposits.map((deposit) => deposit.payment_id)).size).toBe(payments.length);
  const events = await shop.api.allEvents();
  for (const { payment_number: number } of payments) {
    const own = events.filter(({ body }) => body.payment_id === number);
    expect(own.map(({ body }) => body.event)).toEqual(['payment.detected', 'payment.confirmed']);
    for (const { id, body } of own) {
      const requests = await waitFor(
        `${body.event} of ${number}`,
        () => {
          const received = shop.receiver.received(body.event, number);
          return received.length > 0 && received;
        },
        patience,
      );
      expect(requests.every(({ verified }) => verified)).toBe(true);
      expect(new Set(requests.map(({ headers }) => headers['webhook-id']))).toEqual(new Set([id]));
      expect(new Set(requests.map(({ body: bytes }) => bytes.toString())).size).toBe(1);
    }
  }
}
