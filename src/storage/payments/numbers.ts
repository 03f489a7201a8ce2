import { createHash } from 'node:crypto';
import type { Payment } from '../../core/payment.ts';
import type { Db } from '../schema.ts';

/** For the operator, who sees every merchant's payments: the payment with this number. */
export async function findNumbered(
  db: Db,
  paymentNumber: string,
): Promise<{ id: number; kind: Payment['kind'] } | null> {
  const row = await db
    .selectFrom('payments')
    .select(['id', 'kind'])
    .where('payment_number', '=', paymentNumber)
    .executeTakeFirst();
  return row === undefined ? null : { id: row.id, kind: row.kind as Payment['kind'] };
}

export async function findPaymentId(db: Db, paymentNumber: string): Promise<number | null> {
  return (await findNumbered(db, paymentNumber))?.id ?? null;
}

/** The numbers by which people know the payments with these ids. */
export async function findPaymentNumbers(db: Db, ids: readonly number[]): Promise<Map<number, string>> {
  if (ids.length === 0) return new Map();
  const rows = await db
    .selectFrom('payments')
    .select(['id', 'payment_number'])
    .where('id', 'in', ids)
    .execute();
  return new Map(rows.map((row) => [row.id, row.payment_number]));
}

/** What is looked up of the token that opens a payment's page: how long that takes tells nothing of the token. */
export function hashPaymentToken(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}
