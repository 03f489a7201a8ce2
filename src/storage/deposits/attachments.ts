import { sql } from 'kysely';
import type { Deposit, DepositRole, OnchainPayment } from '../../core/payment.ts';
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
 * Gives a confirmed deposit that is nobody's, or counts for nobody, to a payment: as an unmatched one from then on, that the operator
 * has decided about.
 *
 * @returns false when it counts for somebody by now, or is no longer confirmed; then nothing was changed.
 */
export async function attachToPayment(
  trx: Trx,
  id: number,
  to: { paymentId: number; role: Extract<DepositRole, 'late' | 'accepted'> },
): Promise<boolean> {
  const result = await trx
    .updateTable('deposits')
    .set({
      payment_id: to.paymentId,
      role: to.role,
      ignored_at: null,
      unmatched_reason: sql`coalesce(unmatched_reason, 'no_payment')`,
    })
    .where('id', '=', id)
    .where('role', 'in', ['unmatched', 'late'])
    .where('status', '=', 'confirmed')
    .executeTakeFirst();
  return result.numUpdatedRows === 1n;
}

/**
 * Lets go of what was taken instead of the asset that a payment asks for and is no longer there: with it the payment would
 * never be whole, whatever an operator says now.
 */
export async function detachLost(trx: Trx, { id, network, token }: OnchainPayment): Promise<void> {
  await trx
    .updateTable('deposits')
    .set({ payment_id: null, role: 'unmatched' })
    .where('payment_id', '=', id)
    .where('role', '=', 'accepted')
    .where('status', '=', 'orphaned')
    .where((eb) => eb.or([eb('network', '!=', network), eb('token', '!=', token)]))
    .execute();
}

/** Takes a deposit that is nobody's out of what waits for operators, or (null) puts it back. */
export async function setIgnored(trx: Trx, id: number, at: number | null): Promise<void> {
  await trx.updateTable('deposits').set({ ignored_at: at }).where('id', '=', id).execute();
}

/** Those of these deposits that operators ignore. */
export async function findIgnored(db: Db, ids: readonly number[]): Promise<Set<number>> {
  if (ids.length === 0) return new Set();
  const rows = await db
    .selectFrom('deposits')
    .select('id')
    .where('id', 'in', ids)
    .where('role', '=', 'unmatched')
    .where('ignored_at', 'is not', null)
    .execute();
  return new Set(rows.map(({ id }) => id));
}
