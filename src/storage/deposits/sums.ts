import type { AddressKey } from '../../core/address.ts';
import type { Network } from '../../core/networks.ts';
import type { DepositRole, DepositStatus, DepositSum } from '../../core/payment.ts';
import type { Db } from '../schema.ts';

/*
 * What the deposits of payments add up to. Triggers keep it with every change of a deposit (see the migration): whoever has
 * sent a hundred thousand grains makes nobody read them again.
 */

export type StoredSum = DepositSum & {
  paymentId: number;
  /** No block of these, now or before, is younger; Unix seconds. */
  latestBlockTime: number;
};

/** The sums of one payment, of what the chain took back too. */
export async function listSums(db: Db, paymentId: number): Promise<StoredSum[]> {
  return listSumsOf(db, [paymentId]);
}

/** The sums of these payments. */
export async function listSumsOf(db: Db, paymentIds: readonly number[]): Promise<StoredSum[]> {
  if (paymentIds.length === 0) return [];
  const rows = await db
    .selectFrom('deposit_sums')
    .select(['payment_id', 'network', 'token', 'status', 'role', 'total', 'amount', 'latest_block_time'])
    .where('payment_id', 'in', paymentIds)
    .where('total', '>', 0)
    .execute();
  return rows.map((row) => ({
    paymentId: row.payment_id,
    network: row.network as Network,
    token: row.token as AddressKey | 'native',
    status: row.status as DepositStatus,
    role: row.role as DepositRole,
    total: row.total,
    amount: BigInt(row.amount),
    latestBlockTime: row.latest_block_time,
  }));
}
