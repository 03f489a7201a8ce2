import { type Selectable, sql } from 'kysely';
import type { AddressKey } from '../../core/address.ts';
import type { Currency } from '../../core/assets.ts';
import type { BlockHash, Transfer, TxHash } from '../../core/chain.ts';
import type { Network } from '../../core/networks.ts';
import type { Deposit, DepositRole, DepositStatus, UnmatchedReason } from '../../core/payment.ts';
import { InvariantError } from '../../errors.ts';
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

/** Whether operators ignore one is nothing to the watchers. */
type Row = Omit<Selectable<Schema['deposits']>, 'ignored_at'>;

export async function insertDeposit(trx: Trx, deposit: Omit<Deposit, 'id'>): Promise<Deposit> {
  const [inserted] = await insertDeposits(trx, [deposit]);
  if (inserted === undefined) throw new InvariantError('a deposit was not written');
  return inserted;
}

/** Answers them in the order given, with their ids. */
export async function insertDeposits(trx: Trx, deposits: readonly Omit<Deposit, 'id'>[]): Promise<Deposit[]> {
  if (deposits.length === 0) return [];
  const rows = await trx
    .insertInto('deposits')
    .values(deposits.map(toRow))
    .returning(['id', 'tx_hash', 'token', 'recipient', 'ordinal'])
    .execute();
  // Databases promise no order for what they return.
  const ids = new Map(rows.map((row) => [identityOf(row), row.id]));
  return deposits.map((deposit) => {
    const id = ids.get(identityOf(toRow(deposit)));
    if (id === undefined) throw new InvariantError('a deposit was written and not returned');
    return { ...deposit, id };
  });
}

function identityOf(row: Pick<Row, 'tx_hash' | 'token' | 'recipient' | 'ordinal'>): string {
  return `${row.tx_hash} ${row.token} ${row.recipient} ${row.ordinal}`;
}

function toRow(deposit: Omit<Deposit, 'id'>): Omit<Row, 'id'> {
  return {
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
  };
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

/** What is recorded of these transactions, wherever it lies. */
export async function listDepositsOfTransactions(
  db: Db,
  network: Network,
  txHashes: readonly TxHash[],
): Promise<Deposit[]> {
  if (txHashes.length === 0) return [];
  const rows = await db
    .selectFrom('deposits')
    .select(depositColumns)
    .where('network', '=', network)
    .where('tx_hash', 'in', txHashes)
    .execute();
  return rows.map(toDeposit);
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

/** Most ids in one statement. */
const mostIds = 500;

/** Confirms deposits that still lie in the blocks that were looked at; answers the ids of these. */
export async function confirmDeposits(trx: Trx, deposits: readonly Placed[]): Promise<Set<number>> {
  return changeInBlocks(deposits, async (blockHash, ids) => {
    const rows = await trx
      .updateTable('deposits')
      .set({ status: 'confirmed' })
      .where('id', 'in', ids)
      .where('status', '=', 'seen')
      .where('block_hash', '=', blockHash)
      .returning('id')
      .execute();
    return rows.map(({ id }) => id);
  });
}

/** Takes back deposits that are still as they were judged: in these blocks, in this state; answers the ids of those. */
export async function orphanDeposits(
  trx: Trx,
  deposits: readonly (Placed & Pick<Deposit, 'status'>)[],
): Promise<Set<number>> {
  const changed = new Set<number>();
  for (const [status, judged] of Map.groupBy(deposits, (deposit) => deposit.status)) {
    const ids = await changeInBlocks(judged, async (blockHash, some) => {
      const rows = await trx
        .updateTable('deposits')
        .set({ status: 'orphaned' })
        .where('id', 'in', some)
        .where('status', '=', status)
        .where('block_hash', '=', blockHash)
        .returning('id')
        .execute();
      return rows.map(({ id }) => id);
    });
    for (const id of ids) changed.add(id);
  }
  return changed;
}

/** Writes another time and amount than were recorded, and whose money the deposit is with that. */
export async function setDepositAgreed(
  trx: Trx,
  { id, blockTime, amount, role, unmatchedReason, paymentId }: Deposit,
): Promise<void> {
  await trx
    .updateTable('deposits')
    .set({
      block_time: blockTime,
      amount: amount.toString(),
      role,
      unmatched_reason: unmatchedReason,
      payment_id: paymentId,
    })
    .where('id', '=', id)
    .execute();
}

/** A deposit in the block where it was found. */
export type Placed = Pick<Deposit, 'id' | 'blockHash'>;

/** One statement for many deposits of one block: a transaction may have brought thousands. */
async function changeInBlocks(
  deposits: readonly Placed[],
  change: (blockHash: BlockHash, ids: number[]) => Promise<number[]>,
): Promise<Set<number>> {
  const changed = new Set<number>();
  for (const [blockHash, all] of Map.groupBy(deposits, (deposit) => deposit.blockHash)) {
    for (let start = 0; start < all.length; start += mostIds) {
      const ids = all.slice(start, start + mostIds).map(({ id }) => id);
      for (const id of await change(blockHash, ids)) changed.add(id);
    }
  }
  return changed;
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

export type DepositFilter = {
  /** `unmatched`: those that wait for an operator; `ignored`: the unmatched ones that do not. */
  role?: DepositRole | 'ignored';
  merchantId?: string;
  limit: number;
  beforeId?: number;
};

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
  if (filter.role === 'unmatched' || filter.role === 'ignored') {
    // The database finds an index for a part of the rows only where it reads the condition itself.
    query = query
      .where('role', '=', sql.lit('unmatched'))
      .where('ignored_at', filter.role === 'ignored' ? 'is not' : 'is', null);
  } else if (filter.role !== undefined) query = query.where('role', '=', filter.role);
  if (filter.merchantId !== undefined) query = query.where('merchant_id', '=', filter.merchantId);
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
