import type { RefundStatus } from '../../core/charge.ts';
import { isPostgres } from '../database.ts';
import type { Db, Trx } from '../schema.ts';

export type StoredRefund = {
  id: string;
  paymentId: number;
  provider: string;
  amount: bigint;
  reason: string;
  status: RefundStatus;
  providerRefundId: string | null;
  idempotencyKey: string | null;
  providerKey: string;
  refundedBefore: bigint | null;
  createdAt: number;
  updatedAt: number;
};

export async function insertRefund(trx: Trx, refund: StoredRefund): Promise<void> {
  await trx
    .insertInto('refunds')
    .values({
      id: refund.id,
      payment_id: refund.paymentId,
      provider: refund.provider,
      amount: refund.amount.toString(),
      reason: refund.reason,
      status: refund.status,
      provider_refund_id: refund.providerRefundId,
      idempotency_key: refund.idempotencyKey,
      provider_key: refund.providerKey,
      refunded_before: refund.refundedBefore?.toString() ?? null,
      created_at: refund.createdAt,
      updated_at: refund.updatedAt,
    })
    .execute();
}

/**
 * One that failed lets go of the app's key: failures are not remembered. That nothing is known of it is written only over
 * the same: whoever knows more has the last word.
 */
export async function updateRefund(
  trx: Trx,
  id: string,
  change: { status: RefundStatus; providerRefundId: string | null; at: number },
): Promise<void> {
  let update = trx
    .updateTable('refunds')
    .set({
      status: change.status,
      provider_refund_id: change.providerRefundId,
      updated_at: change.at,
      ...(change.status === 'failed' ? { idempotency_key: null } : {}),
    })
    .where('id', '=', id);
  if (change.status === 'unknown') update = update.where('status', 'in', ['sending', 'unknown']);
  await update.execute();
}

/** Null when there is none of that id. */
export async function lockRefund(trx: Trx, id: string): Promise<StoredRefund | null> {
  let query = selectRefunds(trx).where('id', '=', id);
  if (isPostgres(trx)) query = query.forUpdate();
  const row = await query.executeTakeFirst();
  return row === undefined ? null : toRefund(row);
}

export async function listRefundsOfPayment(db: Db, paymentId: number): Promise<StoredRefund[]> {
  const rows = await selectRefunds(db).where('payment_id', '=', paymentId).orderBy('created_at').execute();
  return rows.map(toRefund);
}

/** Those of a provider of which nobody knows what became of them, untouched since `before`. */
export async function listOpenRefunds(db: Db, provider: string, before: number): Promise<StoredRefund[]> {
  const rows = await selectRefunds(db)
    .where('provider', '=', provider)
    .where('status', 'in', ['sending', 'unknown'])
    .where('updated_at', '<=', before)
    .orderBy('updated_at')
    .limit(10)
    .execute();
  return rows.map(toRefund);
}

/** Whether another refund at this provider is under way: for those that tell only sums of the whole account. */
export async function hasOpenRefund(db: Db, provider: string): Promise<boolean> {
  const row = await db
    .selectFrom('refunds')
    .select('id')
    .where('provider', '=', provider)
    .where('status', 'in', ['sending', 'unknown'])
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}

function selectRefunds(db: Db) {
  return db
    .selectFrom('refunds')
    .select([
      'id',
      'payment_id',
      'provider',
      'amount',
      'reason',
      'status',
      'provider_refund_id',
      'idempotency_key',
      'provider_key',
      'refunded_before',
      'created_at',
      'updated_at',
    ]);
}

type Row = Awaited<ReturnType<ReturnType<typeof selectRefunds>['executeTakeFirstOrThrow']>>;

function toRefund(row: Row): StoredRefund {
  return {
    id: row.id,
    paymentId: row.payment_id,
    provider: row.provider,
    amount: BigInt(row.amount),
    reason: row.reason,
    status: row.status as RefundStatus,
    providerRefundId: row.provider_refund_id,
    idempotencyKey: row.idempotency_key,
    providerKey: row.provider_key,
    refundedBefore: row.refunded_before === null ? null : BigInt(row.refunded_before),
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}
