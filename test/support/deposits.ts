import type { Deposit } from '../../src/core/payment.ts';
import { depositColumns, toDeposit } from '../../src/storage/deposits/deposits.ts';
import type { Db } from '../../src/storage/schema.ts';

/** All deposits of a payment in the order in which they were recorded, those that the chain took back too. */
export async function listDepositsOfPayment(db: Db, paymentId: number): Promise<Deposit[]> {
  const rows = await db
    .selectFrom('deposits')
    .select(depositColumns)
    .where('payment_id', '=', paymentId)
    .orderBy('id')
    .execute();
  return rows.map(toDeposit);
}
