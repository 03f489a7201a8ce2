import { type ExpressionBuilder, sql } from 'kysely';
import type { Network } from '../../core/networks.ts';
import { isOpen, type OnchainPayment, type PaymentStatus } from '../../core/payment.ts';
import { InvariantError } from '../../errors.ts';
import { isPostgres } from '../database.ts';
import { hasOrphanedNativeDeposit } from '../deposits/deposits.ts';
import type { Db, Schema, Trx } from '../schema.ts';
import { selectPayments, toPayment } from './onchain.ts';

/** @throws InvariantError when there is none: ids come from our own rows. */
export async function findPaymentById(db: Db, id: number): Promise<OnchainPayment> {
  const row = await selectPayments(db).where('payments.id', '=', id).executeTakeFirst();
  if (row === undefined) throw new InvariantError(`payment ${id} does not exist`);
  return toPayment(row);
}

/** Null where none has this token, or a provider is paid. */
export async function findPaymentByTokenHash(db: Db, tokenHash: string): Promise<OnchainPayment | null> {
  const row = await selectPayments(db).where('payments.token_hash', '=', tokenHash).executeTakeFirst();
  return row === undefined ? null : toPayment(row);
}

export async function listPaymentsById(db: Db, ids: readonly number[]): Promise<OnchainPayment[]> {
  if (ids.length === 0) return [];
  const rows = await selectPayments(db).where('payments.id', 'in', ids).execute();
  return rows.map(toPayment);
}

/**
 * Reads a payment and holds it until the transaction ends, so that nobody else decides about it meanwhile.
 * (SQLite has one writer: there the transaction itself holds it. PostgreSQL holds the rows of both tables: it reads
 * one that is not held as it was before the wait.)
 */
export async function lockPayment(trx: Trx, id: number): Promise<OnchainPayment> {
  let query = selectPayments(trx).where('payments.id', '=', id);
  if (isPostgres(trx)) query = query.forUpdate();
  const row = await query.executeTakeFirst();
  if (row === undefined) throw new InvariantError(`payment ${id} does not exist`);
  return toPayment(row);
}

/** Holds payments as by {@link lockPayment}, all of them before anything else is waited for. */
export async function lockPayments(trx: Trx, ids: readonly number[]): Promise<void> {
  if (!isPostgres(trx) || ids.length === 0) return;
  await trx.selectFrom('payments').select('id').where('id', 'in', ids).orderBy('id').forUpdate().execute();
}

/** Whether there is a payment of this kind of money: live, or of a sandbox. */
export async function hasPaymentOf(db: Db, { livemode }: { livemode: boolean }): Promise<boolean> {
  const row = await db
    .selectFrom('payments')
    .select('id')
    .where('livemode', '=', sql.lit(Number(livemode)))
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}

/** The newest payment that was given this address, held as by {@link lockPayment}. */
export async function lockLatestPaymentOfAddress(
  trx: Trx,
  addressId: number,
): Promise<OnchainPayment | null> {
  const latest = selectPayments(trx)
    .where('onchain_payments.address_id', '=', addressId)
    .orderBy('onchain_payments.payment_id', 'desc')
    .limit(1);
  if (!isPostgres(trx)) {
    const row = await latest.executeTakeFirst();
    return row === undefined ? null : toPayment(row);
  }
  for (;;) {
    const row = await latest.forUpdate().executeTakeFirst();
    if (row === undefined) return null;
    // While it was waited for, a fresh quote may have been given its address.
    const now = await trx
      .selectFrom('onchain_payments')
      .select('payment_id')
      .where('address_id', '=', addressId)
      .where('payment_id', '>', row.id)
      .limit(1)
      .executeTakeFirst();
    if (now === undefined) return toPayment(row);
  }
}

/** The payment with this number, held as by {@link lockPayment}. @throws InvariantError when there is none. */
export async function lockPaymentNumbered(trx: Trx, paymentNumber: string): Promise<OnchainPayment> {
  let query = selectPayments(trx).where('payments.payment_number', '=', paymentNumber);
  if (isPostgres(trx)) query = query.forUpdate();
  const row = await query.executeTakeFirst();
  if (row === undefined) throw new InvariantError(`payment ${paymentNumber} does not exist`);
  return toPayment(row);
}

/** Notes which payment is a fresh quote of this one, which is held and has none. */
export async function markReplaced(trx: Trx, id: number, paymentNumber: string): Promise<void> {
  const result = await trx
    .updateTable('payments')
    .set({ replaced_by: paymentNumber })
    .where('id', '=', id)
    .where('replaced_by', 'is', null)
    .executeTakeFirst();
  if (result.numUpdatedRows !== 1n) throw new InvariantError(`payment ${id} was replaced twice`);
}

/**
 * Pending payments of a chain whose time is over by our clock (`now`, Unix ms) and by the chain's (`blockTime`, Unix
 * seconds), oldest first. Not those with a transfer on its way: what becomes of that settles them, and they must not hold
 * up the others here. Dust holds up nothing.
 */
export async function listOverduePayments(
  trx: Trx,
  network: Network,
  { now, blockTime, limit }: { now: number; blockTime: number; limit: number },
): Promise<number[]> {
  const rows = await trx
    .selectFrom('payments')
    .select('id')
    .where('network', '=', network)
    .where('status', '=', sql.lit('pending'))
    // The limit is never before this: with it few rows are looked at.
    .where('expires_at', '<', Math.min(now, blockTime * 1000))
    .where(isLimitBefore(blockTime))
    .where((eb) =>
      eb.not(
        eb.exists(
          eb
            .selectFrom('deposits')
            .select('deposits.id')
            .whereRef('deposits.payment_id', '=', 'payments.id')
            .innerJoin('onchain_payments', 'onchain_payments.payment_id', 'deposits.payment_id')
            .where('deposits.status', '=', 'seen')
            .where('deposits.role', '!=', 'late')
            .where(isWorthSomething),
        ),
      ),
    )
    .orderBy('expires_at')
    .limit(limit)
    .execute();
  const reopened = await listOverdueReopened(trx, network, { blockTime, limit });
  return [...rows.map((row) => row.id), ...reopened];
}

/** Whether any payment, whatever is on its way to it, would be over by the chain's time (Unix seconds). */
export async function isAnyOverBy(db: Db, network: Network, blockTime: number): Promise<boolean> {
  const row = await db
    .selectFrom('payments')
    .select('id')
    .where('network', '=', network)
    .where('status', '=', sql.lit('pending'))
    .where('expires_at', '<', blockTime * 1000)
    .where(isLimitBefore(blockTime))
    .limit(1)
    .executeTakeFirst();
  return row !== undefined || (await listOverdueReopened(db, network, { blockTime, limit: 1 })).length > 0;
}

function isLimitBefore(blockTime: number) {
  return ({ exists, selectFrom }: ExpressionBuilder<Schema, 'payments'>) =>
    exists(
      selectFrom('onchain_payments')
        .select('onchain_payments.payment_id')
        .whereRef('onchain_payments.payment_id', '=', 'payments.id')
        .where('onchain_payments.block_time_limit', '<', blockTime),
    );
}

/** As {@link listOverduePayments}, of payments that were reverted and could be paid anew. */
async function listOverdueReopened(
  db: Db,
  network: Network,
  { blockTime, limit }: { blockTime: number; limit: number },
): Promise<number[]> {
  const rows = await db
    .selectFrom('onchain_payments')
    .select('payment_id')
    .where('network', '=', network)
    .where('reopened', '=', sql.lit(1))
    .where('block_time_limit', '<', blockTime)
    .orderBy('block_time_limit')
    .limit(limit)
    .execute();
  return rows.map((row) => row.payment_id);
}

/** More than dust has come. Amounts are digits without leading zeros: the longer is the larger. */
const isWorthSomething = sql<boolean>`
  (length(onchain_payments.counted_amount) > length(onchain_payments.dust_amount)
    or (length(onchain_payments.counted_amount) = length(onchain_payments.dust_amount)
      and onchain_payments.counted_amount >= onchain_payments.dust_amount))`;

/** A customer who pays late does so soon. Blocks are read whole for this long after a payment in the native coin ended, ms. */
const nativeLateMs = 60 * 60 * 1000;

/** A reorg this deep, blocks, may put a payment's money below the head that its address was locked under. */
const lockDepth = 32;

/** A transaction that a reorg threw out is waited for this long, ms. */
const minedAgainMs = 24 * 60 * 60 * 1000;

/**
 * The height above which a transfer of the chain's own coin may matter, in blocks from `now` (Unix ms) on: for a
 * pending payment, for one that ended a short while before or later, or because the chain took one back that may be
 * mined again. Null where none may.
 */
export async function nativeMattersAbove(db: Db, network: Network, now: number): Promise<number | null> {
  if (await hasOrphanedNativeDeposit(db, network, now - minedAgainMs)) return 0;
  const held = await db
    .selectFrom('onchain_payments')
    .select((eb) => eb.fn.min('lock_height').as('lowest'))
    .where('network', '=', network)
    .where('token', '=', sql.lit('native'))
    .where('released_at', 'is', null)
    .executeTakeFirst();
  const ended = await db
    .selectFrom('payments')
    .select((eb) =>
      eb.fn
        .min(
          eb
            .selectFrom('onchain_payments')
            .select('lock_height')
            .whereRef('onchain_payments.payment_id', '=', 'payments.id'),
        )
        .as('lowest'),
    )
    .where('network', '=', network)
    .where('currency', '=', sql.lit('native'))
    .where('ended_at', '>', now - nativeLateMs)
    .executeTakeFirst();
  const heights = [held?.lowest, ended?.lowest].filter((height) => height != null);
  return heights.length === 0 ? null : Math.max(0, Math.min(...heights) - lockDepth);
}

/** Whether anybody may pay now: a payment is pending, or was reverted and can be paid anew. */
export async function hasOpenPayment(db: Db, network: Network): Promise<boolean> {
  return (await hasPendingPayment(db, network)) || (await hasReopenedPayment(db, network));
}

async function hasReopenedPayment(db: Db, network: Network): Promise<boolean> {
  const row = await db
    .selectFrom('onchain_payments')
    .select('payment_id')
    .where('network', '=', network)
    .where('reopened', '=', sql.lit(1))
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}

async function hasPendingPayment(db: Db, network: Network): Promise<boolean> {
  const row = await db
    .selectFrom('payments')
    .select('id')
    .where('network', '=', network)
    .where('status', '=', sql.lit('pending'))
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}

/** Of the payments that were given one of these addresses: one that holds it still, else the newest. */
export async function findLatestPaymentAt(
  db: Db,
  addressIds: readonly number[],
): Promise<OnchainPayment | null> {
  if (addressIds.length === 0) return null;
  const rows = await selectPayments(db)
    .where((eb) =>
      eb.or(
        addressIds.map((id) =>
          eb(
            'payments.id',
            '=',
            eb
              .selectFrom('onchain_payments as o')
              .select((o) => o.fn.max('o.payment_id').as('id'))
              .where('o.address_id', '=', id),
          ),
        ),
      ),
    )
    .orderBy('payments.id', 'desc')
    .execute();
  const latest = rows.map(toPayment);
  return latest.find(isOpen) ?? latest[0] ?? null;
}

/** Everything that may change in a payment. */
export type PaymentChange = Pick<
  OnchainPayment,
  'status' | 'reason' | 'requiredAmount' | 'completedBy' | 'confirmedAt' | 'endedAt' | 'acceptedAt'
>;

/**
 * The guarded update: it changes the payment only while it is still in `from`.
 *
 * @returns false when somebody else was faster; then nothing was changed.
 */
export async function updatePaymentStatus(
  trx: Trx,
  id: number,
  from: PaymentStatus,
  change: PaymentChange,
): Promise<boolean> {
  const result = await trx
    .updateTable('payments')
    .set({
      status: change.status,
      reason: change.reason,
      confirmed_at: change.confirmedAt,
      ended_at: change.endedAt,
      accepted_at: change.acceptedAt,
    })
    .where('id', '=', id)
    .where('status', '=', from)
    .executeTakeFirst();
  if (result.numUpdatedRows !== 1n) return false;
  await trx
    .updateTable('onchain_payments')
    .set({ required_amount: change.requiredAmount.toString(), completed_by: change.completedBy })
    .where('payment_id', '=', id)
    .execute();
  return true;
}

/** What counts of a payment's deposits as of now, and what of it the merchant was told. */
export async function updateCounted(
  trx: Trx,
  id: number,
  { countedAmount, toldAmount }: Pick<OnchainPayment, 'countedAmount' | 'toldAmount'>,
): Promise<void> {
  await trx
    .updateTable('onchain_payments')
    .set({ counted_amount: countedAmount.toString(), told_amount: toldAmount.toString() })
    .where('payment_id', '=', id)
    .execute();
}

/** Whether more has come than what fewer confirmations are enough for. */
export async function setExceedsTier(trx: Trx, id: number, exceedsTier: boolean): Promise<void> {
  await trx
    .updateTable('onchain_payments')
    .set({ exceeds_tier: Number(exceedsTier) })
    .where('payment_id', '=', id)
    .execute();
}
