import { type Selectable, sql } from 'kysely';
import type { AddressKey } from '../../core/address.ts';
import type { Currency } from '../../core/assets.ts';
import type { BlockHash, Transfer, TxHash } from '../../core/chain.ts';
import type { Network } from '../../core/networks.ts';
import type { Deposit, DepositRole, DepositStatus, UnmatchedReason } from '../../core/payment.ts';
import type { Db, Schema, Trx } from '../schema.ts';

export const depositColumns = [
  'id',
  'network',
  'tx_hash',
  'token',
  'currency',
  'decimals',
  'recipient',
  'ordinal',
  'amount',
  'height',
  'block_hash',
  'block_time',
  'log_index',
  'status',
  'role',
  'unmatched_reason',
  'merchant_id',
  'address_id',
  'payment_id',
  'seen_at',
  'reported_by',
] as const;

type Row = Selectable<Schema['deposits']>;

export async function insertDeposit(trx: Trx, deposit: Omit<Deposit, 'id'>): Promise<Deposit> {
  const row = await trx
    .insertInto('deposits')
    .values({
      network: deposit.network,
      tx_hash: deposit.txHash,
      token: deposit.token,
      currency: deposit.currency,
      decimals: deposit.decimals,
      recipient: deposit.recipient,
      ordinal: deposit.ordinal,
      amount: deposit.amount.toString(),
      height: deposit.height,
      block_hash: deposit.blockHash,
      block_time: deposit.blockTime,
      log_index: deposit.logIndex,
      status: deposit.status,
      role: deposit.role,
      unmatched_reason: deposit.unmatchedReason,
      merchant_id: deposit.merchantId,
      address_id: deposit.addressId,
      payment_id: deposit.paymentId,
      seen_at: deposit.seenAt,
      reported_by: deposit.reportedBy,
    })
    .returning('id')
    .executeTakeFirstOrThrow();
  return { ...deposit, id: row.id };
}

/** The deposit that a transfer is, by the transfer's identity. */
export async function findDeposit(
  db: Db,
  transfer: Pick<Transfer, 'network' | 'txHash' | 'token' | 'recipient' | 'ordinal'>,
): Promise<Deposit | null> {
  const row = await db
    .selectFrom('deposits')
    .select(depositColumns)
    .where('network', '=', transfer.network)
    .where('tx_hash', '=', transfer.txHash)
    .where('token', '=', transfer.token)
    .where('recipient', '=', transfer.recipient)
    .where('ordinal', '=', transfer.ordinal)
    .executeTakeFirst();
  return row === undefined ? null : toDeposit(row);
}

/** Puts a deposit into the block where its transaction stands now; it has to be confirmed there anew. */
export async function moveDeposit(
  trx: Trx,
  id: number,
  transfer: Transfer,
  reportedBy: string | null,
): Promise<void> {
  await trx
    .updateTable('deposits')
    .set({
      amount: transfer.amount.toString(),
      height: transfer.block.height,
      block_hash: transfer.block.hash,
      block_time: transfer.block.time,
      log_index: transfer.logIndex,
      status: 'seen',
      reported_by: reportedBy,
    })
    .where('id', '=', id)
    .execute();
}

export async function listDepositsOfPayments(db: Db, paymentIds: readonly number[]): Promise<Deposit[]> {
  const rows = await db
    .selectFrom('deposits')
    .select(depositColumns)
    .where('payment_id', 'in', paymentIds)
    .orderBy('id')
    .execute();
  return rows.map(toDeposit);
}

/** Deposits that await the fresh look: seen, in a block at or below `height`. */
export async function listDepositsToConfirm(
  db: Db,
  network: Network,
  height: number,
  limit: number,
): Promise<Deposit[]> {
  const rows = await db
    .selectFrom('deposits')
    .select(depositColumns)
    .where('network', '=', network)
    .where('status', '=', sql.lit('seen'))
    .where('height', '<=', height)
    .orderBy('height')
    .orderBy('id')
    .limit(limit)
    .execute();
  return rows.map(toDeposit);
}

/** Whether a payment's deposit is on its way to being confirmed. */
export async function hasSeenDeposit(db: Db, network: Network): Promise<boolean> {
  const row = await db
    .selectFrom('deposits')
    .select('id')
    .where('network', '=', network)
    .where('status', '=', sql.lit('seen'))
    .where('payment_id', 'is not', null)
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}

/** Whether the chain took back a transfer of its own coin that was first seen after `since`, Unix ms. */
export async function hasOrphanedNativeDeposit(db: Db, network: Network, since: number): Promise<boolean> {
  const row = await db
    .selectFrom('deposits')
    .select('id')
    .where('network', '=', network)
    .where('status', '=', sql.lit('orphaned'))
    .where('token', '=', 'native')
    .where('seen_at', '>', since)
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}

/** A block in which deposits lie, as it was recorded. */
export type DepositBlock = { height: number; hash: BlockHash };

/** The blocks above `above`, up to and including `upTo`, in which deposits lie. */
export async function listDepositBlocks(
  db: Db,
  network: Network,
  { above, upTo }: { above: number; upTo: number },
): Promise<DepositBlock[]> {
  const rows = await db
    .selectFrom('deposits')
    .select(['height', 'block_hash'])
    .distinct()
    .where('network', '=', network)
    .where('height', '>', above)
    .where('height', '<=', upTo)
    .where('status', '!=', 'orphaned')
    .orderBy('height')
    .execute();
  return rows.map((row) => ({ height: row.height, hash: row.block_hash as BlockHash }));
}

/** Confirms a deposit, if it still lies in the block that was looked at. */
export async function confirmDeposit(trx: Trx, id: number, blockHash: BlockHash): Promise<boolean> {
  const result = await trx
    .updateTable('deposits')
    .set({ status: 'confirmed' })
    .where('id', '=', id)
    .where('status', '=', 'seen')
    .where('block_hash', '=', blockHash)
    .executeTakeFirst();
  return result.numUpdatedRows === 1n;
}

/** Takes back what lay in a block that is no longer on the chain; returns what it was. */
export async function orphanDepositsOfBlock(
  trx: Trx,
  network: Network,
  block: DepositBlock,
): Promise<Deposit[]> {
  const rows = await trx
    .updateTable('deposits')
    .set({ status: 'orphaned' })
    .where('network', '=', network)
    .where('height', '=', block.height)
    .where('block_hash', '=', block.hash)
    .where('status', '!=', 'orphaned')
    .returning(depositColumns)
    .execute();
  return rows.map(toDeposit);
}

export async function setDepositRole(trx: Trx, id: number, role: DepositRole): Promise<void> {
  await trx.updateTable('deposits').set({ role }).where('id', '=', id).execute();
}

export type DepositFilter = { role?: DepositRole; limit: number; beforeId?: number };

/** Newest first, for the operator. */
export async function listDeposits(
  db: Db,
  filter: DepositFilter,
): Promise<{ deposits: Deposit[]; nextId: number | null }> {
  let query = db
    .selectFrom('deposits')
    .select(depositColumns)
    .orderBy('id', 'desc')
    .limit(filter.limit + 1);
  if (filter.role !== undefined) query = query.where('role', '=', filter.role);
  if (filter.beforeId !== undefined) query = query.where('id', '<', filter.beforeId);
  const rows = await query.execute();
  const deposits = rows.slice(0, filter.limit).map(toDeposit);
  return { deposits, nextId: rows.length > filter.limit ? (deposits.at(-1)?.id ?? null) : null };
}

export function toDeposit(row: Row): Deposit {
  return {
    id: row.id,
    network: row.network as Network,
    txHash: row.tx_hash as TxHash,
    token: row.token as AddressKey | 'native',
    currency: row.currency as Currency,
    decimals: row.decimals,
    recipient: row.recipient as AddressKey,
    ordinal: row.ordinal,
    amount: BigInt(row.amount),
    height: row.height,
    blockHash: row.block_hash as BlockHash,
    blockTime: row.block_time,
    logIndex: row.log_index,
    status: row.status as DepositStatus,
    role: row.role as DepositRole,
    unmatchedReason: row.unmatched_reason as UnmatchedReason | null,
    merchantId: row.merchant_id,
    addressId: row.address_id,
    paymentId: row.payment_id,
    seenAt: row.seen_at,
    reportedBy: row.reported_by,
  };
}
