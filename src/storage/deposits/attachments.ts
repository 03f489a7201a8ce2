import type { Deposit, DepositRole } from '../../core/payment.ts';
import { isPostgres } from '../database.ts';
import type { Db, Trx } from '../schema.ts';
import { depositColumns, toDeposit } from './deposits.ts';

/** Reads a deposit and holds it until the transaction ends; null when there is none. */
export async function lockDeposit(trx: Trx, id: number): Promise<Deposit | null> {
  let query = trx.selectFrom('deposits').select(depositColumns).where('id', '=', id);
  if (isPostgres(trx)) query = query.forUpdate();
  const row = await query.executeTakeFirst();
  return row === undefined ? null : toDeposit(row);
}

/** Lets confirmed late deposits count, once their payment was confirmed with them. */
export async function acceptLateDeposits(trx: Trx, paymentId: number): Promise<void> {
  await trx
    .updateTable('deposits')
    .set({ role: 'accepted' })
    .where('payment_id', '=', paymentId)
    .where('role', '=', 'late')
    .where('status', '=', 'confirmed')
    .execute();
}

/**
 * Gives a confirmed deposit that is nobody's to a payment.
 *
 * @returns false when it is somebody's by now, or no longer confirmed; then nothing was changed.
 */
export async function attachToPayment(
  trx: Trx,
  id: number,
  to: { paymentId: number; role: Extract<DepositRole, 'late' | 'accepted'> },
): Promise<boolean> {
  const result = await trx
    .updateTable('deposits')
    .set({ payment_id: to.paymentId, role: to.role })
    .where('id', '=', id)
    .where('role', '=', 'unmatched')
    .where('payment_id', 'is', null)
    .where('status', '=', 'confirmed')
    .executeTakeFirst();
  return result.numUpdatedRows === 1n;
}

/** Makes deposits that the chain took back nobody's again. */
export async function detachOrphaned(trx: Trx, ids: readonly number[]): Promise<void> {
  if (ids.length === 0) return;
  await trx
    .updateTable('deposits')
    .set({ payment_id: null, role: 'unmatched' })
    .where('id', 'in', ids)
    .where('status', '=', 'orphaned')
    .execute();
}

/** How many unmatched deposits wait for the operator. */
export async function countUnmatchedDeposits(db: Db): Promise<number> {
  const row = await db
    .selectFrom('deposits')
    .select((eb) => eb.fn.countAll<number>().as('n'))
    .where('role', '=', 'unmatched')
    .executeTakeFirstOrThrow();
  return Number(row.n);
}
