import { sql } from 'kysely';
import type { AddressKey } from '../../core/address.ts';
import { type BlockHash, type BlockRef, noTransaction, type Transfer } from '../../core/chain.ts';
import type { Network } from '../../core/networks.ts';
import type { Deposit } from '../../core/payment.ts';
import { type DepositBlock, depositColumns, listDepositBlocks, toDeposit } from '../deposits/deposits.ts';
import type { Db, Trx } from '../schema.ts';

/*
 * What the addresses of payments in a native coin held when they were locked: at the payment's end it is compared.
 */

/** A payment whose address is to be looked at. */
export type Unmarked = { paymentId: number; recipient: AddressKey };

export type BalanceMark = Unmarked & {
  /** What the address held at the end of this block. */
  balance: bigint;
  height: number;
};

/** Looked at in one step; the others follow in the next. */
const mostAtOnce = 50;

/** After this long, ms, nodes have forgotten what an address held, and nobody is told what came of it. */
const comparedWithinMs = 60 * 60 * 1000;

/** Payments that were locked at or below `height`, and whose address was not looked at since. */
export async function listUnmarked(db: Db, network: Network, height: number): Promise<Unmarked[]> {
  const rows = await db
    .selectFrom('onchain_payments')
    .innerJoin('addresses', 'addresses.id', 'onchain_payments.address_id')
    .leftJoin('balance_marks', 'balance_marks.payment_id', 'onchain_payments.payment_id')
    .select(['onchain_payments.payment_id', 'addresses.address_key'])
    .where('onchain_payments.network', '=', network)
    .where('onchain_payments.token', '=', sql.lit('native'))
    .where('onchain_payments.released_at', 'is', null)
    .where('onchain_payments.lock_height', '<=', height)
    .where('balance_marks.payment_id', 'is', null)
    .limit(mostAtOnce)
    .execute();
  return rows.map((row) => ({ paymentId: row.payment_id, recipient: row.address_key as AddressKey }));
}

/**
 * Payments that ended unpaid a short while before `now` (Unix ms), whose balance was not compared since. Not those that end after
 * the block `cursor`, nor those whose mark is above it: after a fork they are read again first, and the mark may be of a block that
 * the chain no longer has.
 */
export async function listUncompared(
  db: Db,
  network: Network,
  { now, cursor }: { now: number; cursor: BlockRef },
): Promise<BalanceMark[]> {
  const upTo = cursor.time * 1000;
  const rows = await db
    .selectFrom('payments')
    .innerJoin('onchain_payments', 'onchain_payments.payment_id', 'payments.id')
    .innerJoin('addresses', 'addresses.id', 'onchain_payments.address_id')
    .innerJoin('balance_marks', 'balance_marks.payment_id', 'payments.id')
    .select(['payments.id', 'addresses.address_key', 'balance_marks.height', 'balance_marks.balance'])
    .where('payments.network', '=', network)
    .where('payments.currency', '=', sql.lit('native'))
    .where('payments.ended_at', '>', now - comparedWithinMs)
    .where('payments.status', 'in', ['expired', 'failed', 'cancelled'])
    .where((eb) => eb.or([eb('payments.expires_at', '<', upTo), eb('payments.ended_at', '<', upTo)]))
    .where('balance_marks.height', '<=', cursor.height)
    .where('balance_marks.compared_height', 'is', null)
    .limit(mostAtOnce)
    .execute();
  return rows.map((row) => ({
    paymentId: row.id,
    recipient: row.address_key as AddressKey,
    height: row.height,
    balance: BigInt(row.balance),
  }));
}

export async function insertBalanceMark(
  trx: Trx,
  network: Network,
  { paymentId, balance, block }: Omit<BalanceMark, 'recipient' | 'height'> & { block: BlockRef },
): Promise<void> {
  await trx
    .insertInto('balance_marks')
    .values({
      payment_id: paymentId,
      network,
      height: block.height,
      block_hash: block.hash,
      balance: balance.toString(),
      compared_height: null,
    })
    .onConflict((conflict) => conflict.column('payment_id').doNothing())
    .execute();
}

/** @returns false when it was compared already. */
export async function setCompared(trx: Trx, paymentId: number, height: number): Promise<boolean> {
  const result = await trx
    .updateTable('balance_marks')
    .set({ compared_height: height })
    .where('payment_id', '=', paymentId)
    .where('compared_height', 'is', null)
    .executeTakeFirst();
  return result.numUpdatedRows === 1n;
}

/** Forgets what was looked at in a block that the chain no longer has: it is looked at anew. */
export async function deleteMarksOfBlock(trx: Trx, network: Network, block: DepositBlock): Promise<void> {
  await trx
    .deleteFrom('balance_marks')
    .where('network', '=', network)
    .where('height', '=', block.height)
    .where('block_hash', '=', block.hash)
    .execute();
}

/** Lets be compared anew what was compared above a block. */
export async function rewindCompared(trx: Trx, network: Network, above: number): Promise<void> {
  await trx
    .updateTable('balance_marks')
    .set({ compared_height: null })
    .where('network', '=', network)
    .where('compared_height', '>', above)
    .execute();
}

/** The blocks above `above`, up to and including `upTo`, in which deposits lie or balances were looked at. */
export async function listHeldBlocks(
  db: Db,
  network: Network,
  range: { above: number; upTo: number },
): Promise<DepositBlock[]> {
  const deposits = await listDepositBlocks(db, network, range);
  const rows = await db
    .selectFrom('balance_marks')
    .select(['height', 'block_hash'])
    .distinct()
    .where('network', '=', network)
    .where('height', '>', range.above)
    .where('height', '<=', range.upTo)
    .execute();
  const marks = rows.map((row) => ({ height: row.height, hash: row.block_hash as BlockHash }));
  return [...new Map([...deposits, ...marks].map((block) => [block.hash, block])).values()];
}

/** What is recorded of the native coin at an address in `(above, upTo]` and was not taken back. */
export async function listNativeDeposits(
  db: Db,
  network: Network,
  { recipient, above, upTo }: { recipient: AddressKey; above: number; upTo: number },
): Promise<Deposit[]> {
  const rows = await db
    .selectFrom('deposits')
    .select(depositColumns)
    .where('network', '=', network)
    .where('height', '>', above)
    .where('height', '<=', upTo)
    .where('recipient', '=', recipient)
    .where('token', '=', 'native')
    .where('status', '!=', 'orphaned')
    .execute();
  return rows.map(toDeposit);
}

/** The surplus that this transfer is a part of, if one was found over its block; null when there is none. */
export async function findSurplusOver(
  trx: Trx,
  { network, recipient, block }: Transfer,
): Promise<Deposit | null> {
  const row = await trx
    .selectFrom('deposits')
    .innerJoin('balance_marks', 'balance_marks.payment_id', 'deposits.ordinal')
    .select(depositColumns.map((column) => `deposits.${column}` as const))
    .where('deposits.network', '=', network)
    .where('deposits.tx_hash', '=', noTransaction)
    .where('deposits.token', '=', 'native')
    .where('deposits.recipient', '=', recipient)
    .where('deposits.status', '!=', 'orphaned')
    .where('deposits.height', '>=', block.height)
    .where('balance_marks.height', '<', block.height)
    .orderBy('deposits.height')
    .limit(1)
    .executeTakeFirst();
  return row === undefined ? null : toDeposit(row);
}

/** Leaves this much of a surplus; nothing takes it back. */
export async function reduceSurplus(trx: Trx, id: number, amount: bigint): Promise<void> {
  const change = amount > 0n ? { amount: amount.toString() } : ({ status: 'orphaned' } as const);
  await trx.updateTable('deposits').set(change).where('id', '=', id).execute();
}

/** Makes a deposit what a surplus was. */
export async function takePlaceOf(
  trx: Trx,
  id: number,
  surplus: Pick<Deposit, 'status' | 'role' | 'unmatchedReason' | 'paymentId'>,
): Promise<void> {
  await trx
    .updateTable('deposits')
    .set({
      status: surplus.status,
      role: surplus.role,
      unmatched_reason: surplus.unmatchedReason,
      payment_id: surplus.paymentId,
    })
    .where('id', '=', id)
    .execute();
}
