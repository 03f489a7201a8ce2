import type { Selectable } from 'kysely';
import type { Address, AddressKey } from '../../core/address.ts';
import type { TxHash } from '../../core/chain.ts';
import type { Network } from '../../core/networks.ts';
import type { RefundRecord, RefundRecordStatus } from '../../core/refund-record.ts';
import { isPostgres } from '../database.ts';
import type { Db, Schema, Trx } from '../schema.ts';

const columns = [
  'id',
  'payment_id',
  'network',
  'token',
  'recipient',
  'address',
  'tx_hash',
  'amount',
  'usd_cents',
  'reason',
  'actor',
  'created_at',
  'status',
  'detail',
  'checks',
  'checked_at',
  'next_check_at',
  'block_height',
  'block_time',
] as const;

/** Null when that transfer is recorded already. */
export async function insertRefundRecord(
  trx: Trx,
  record: Omit<RefundRecord, 'id'>,
): Promise<RefundRecord | null> {
  const row = await trx
    .insertInto('refund_records')
    .values({
      payment_id: record.paymentId,
      network: record.network,
      token: record.token,
      recipient: record.recipient,
      address: record.address,
      tx_hash: record.txHash,
      amount: record.amount.toString(),
      usd_cents: record.usdCents,
      reason: record.reason,
      actor: record.actor,
      created_at: record.createdAt,
      status: record.status,
      detail: record.detail,
      checks: record.checks,
      checked_at: record.checkedAt,
      next_check_at: record.nextCheckAt,
      block_height: record.block?.height ?? null,
      block_time: record.block?.time ?? null,
    })
    .onConflict((conflict) => conflict.columns(['network', 'tx_hash', 'token', 'recipient']).doNothing())
    .returning('id')
    .executeTakeFirst();
  return row === undefined ? null : { ...record, id: row.id };
}

/** The refund that a transfer is recorded as. */
export async function findRefundOfTransfer(
  db: Db,
  { network, txHash, token, recipient }: Pick<RefundRecord, 'network' | 'txHash' | 'token' | 'recipient'>,
): Promise<RefundRecord | null> {
  const row = await db
    .selectFrom('refund_records')
    .select(columns)
    .where('network', '=', network)
    .where('tx_hash', '=', txHash)
    .where('token', '=', token)
    .where('recipient', '=', recipient)
    .executeTakeFirst();
  return row === undefined ? null : toRecord(row);
}

/** Oldest first. */
export async function listRefundRecords(db: Db, paymentId: number, limit: number): Promise<RefundRecord[]> {
  const rows = await db
    .selectFrom('refund_records')
    .select(columns)
    .where('payment_id', '=', paymentId)
    .orderBy('id')
    .limit(limit)
    .execute();
  return rows.map(toRecord);
}

/** Those that the chain is to be asked about, the longest due first. */
export async function listDueRefundRecords(db: Db, now: number, limit: number): Promise<RefundRecord[]> {
  const rows = await db
    .selectFrom('refund_records')
    .select(columns)
    .where('next_check_at', '<=', now)
    .orderBy('next_check_at')
    .limit(limit)
    .execute();
  return rows.map(toRecord);
}

/** Held until the transaction ends; null when the payment has none of that id. */
export async function lockRefundRecord(
  trx: Trx,
  { id, paymentId }: Pick<RefundRecord, 'id' | 'paymentId'>,
): Promise<RefundRecord | null> {
  let query = trx
    .selectFrom('refund_records')
    .select(columns)
    .where('id', '=', id)
    .where('payment_id', '=', paymentId);
  if (isPostgres(trx)) query = query.forUpdate();
  const row = await query.executeTakeFirst();
  return row === undefined ? null : toRecord(row);
}

export async function deleteRefundRecord(trx: Trx, id: number): Promise<void> {
  await trx.deleteFrom('refund_records').where('id', '=', id).execute();
}

/** Writes what a check has found, unless another has been made since `record` was read. */
export async function noteRefundCheck(
  trx: Trx,
  record: Pick<RefundRecord, 'id' | 'checks'>,
  found: Pick<RefundRecord, 'status' | 'detail' | 'checkedAt' | 'nextCheckAt' | 'block'>,
): Promise<void> {
  await trx
    .updateTable('refund_records')
    .set({
      status: found.status,
      detail: found.detail,
      checks: record.checks + 1,
      checked_at: found.checkedAt,
      next_check_at: found.nextCheckAt,
      block_height: found.block?.height ?? null,
      block_time: found.block?.time ?? null,
    })
    .where('id', '=', record.id)
    .where('checks', '=', record.checks)
    .execute();
}

function toRecord(row: Selectable<Schema['refund_records']>): RefundRecord {
  const { block_height: height, block_time: time } = row;
  return {
    id: row.id,
    paymentId: row.payment_id,
    network: row.network as Network,
    token: row.token as AddressKey | 'native',
    recipient: row.recipient as AddressKey,
    address: row.address as Address,
    txHash: row.tx_hash as TxHash,
    amount: BigInt(row.amount),
    usdCents: row.usd_cents,
    reason: row.reason,
    actor: row.actor,
    createdAt: row.created_at,
    status: row.status as RefundRecordStatus,
    detail: row.detail,
    checks: row.checks,
    checkedAt: row.checked_at,
    nextCheckAt: row.next_check_at,
    block: height === null || time === null ? null : { height, time },
  };
}
