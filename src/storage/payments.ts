import { type Selectable, sql } from 'kysely';
import type { Address, AddressKey } from '../core/address.ts';
import type { Coin, Currency } from '../core/assets.ts';
import type { TxHash } from '../core/chain.ts';
import type { Network } from '../core/networks.ts';
import type { Payment, PaymentReason, PaymentStatus, PaymentView } from '../core/payment.ts';
import { InvariantError } from '../errors.ts';
import { isPostgres } from './database.ts';
import { hasOrphanedNativeDeposit, listDepositsOfPayments } from './deposits.ts';
import type { Db, Schema, Trx } from './schema.ts';

const columns = [
  'id',
  'payment_number',
  'merchant_id',
  'status',
  'reason',
  'network',
  'currency',
  'coin',
  'token',
  'decimals',
  'amount_usd_cents',
  'expected_amount',
  'required_amount',
  'address_id',
  'address',
  'lock_height',
  'lock_time',
  'usd_per_coin',
  'completed_by',
  'external_order_id',
  'customer_email',
  'redirect_url',
  'metadata',
  'payment_token',
  'created_at',
  'expires_at',
  'confirmed_at',
  'ended_at',
  'accepted_at',
] as const;

type Row = Selectable<Schema['payments']>;

export async function insertPayment(trx: Trx, payment: Omit<Payment, 'id'>): Promise<Payment> {
  const row = await trx
    .insertInto('payments')
    .values({
      payment_number: payment.paymentNumber,
      merchant_id: payment.merchantId,
      status: payment.status,
      reason: payment.reason,
      network: payment.network,
      currency: payment.currency,
      coin: payment.coin,
      token: payment.token,
      decimals: payment.decimals,
      amount_usd_cents: payment.amountUsdCents,
      expected_amount: payment.expectedAmount.toString(),
      required_amount: payment.requiredAmount.toString(),
      address_id: payment.addressId,
      address: payment.address,
      lock_height: payment.lockHeight,
      lock_time: payment.lockTime,
      usd_per_coin: payment.usdPerCoin,
      completed_by: payment.completedBy,
      external_order_id: payment.externalOrderId,
      customer_email: payment.customerEmail,
      redirect_url: payment.redirectUrl,
      metadata: JSON.stringify(payment.metadata),
      payment_token: payment.paymentToken,
      created_at: payment.createdAt,
      expires_at: payment.expiresAt,
      confirmed_at: payment.confirmedAt,
      ended_at: payment.endedAt,
      accepted_at: payment.acceptedAt,
    })
    .returning('id')
    .executeTakeFirstOrThrow();
  return { ...payment, id: row.id };
}

/** A merchant's payment as it stands; null also when it is another merchant's. */
export async function findPayment(
  db: Db,
  merchantId: string,
  paymentNumber: string,
): Promise<PaymentView | null> {
  const row = await db
    .selectFrom('payments')
    .select(columns)
    .where('payment_number', '=', paymentNumber)
    .where('merchant_id', '=', merchantId)
    .executeTakeFirst();
  return row === undefined ? null : viewOf(db, toPayment(row));
}

/** @throws InvariantError when there is none: ids come from our own rows. */
export async function findPaymentById(db: Db, id: number): Promise<Payment> {
  const row = await db.selectFrom('payments').select(columns).where('id', '=', id).executeTakeFirst();
  if (row === undefined) throw new InvariantError(`payment ${id} does not exist`);
  return toPayment(row);
}

export async function viewOf(db: Db, payment: Payment): Promise<PaymentView> {
  const [view] = await viewsOf(db, [payment]);
  if (view === undefined) throw new InvariantError('a payment without a view');
  return view;
}

export type PaymentFilter = {
  /** Null: every merchant's, for the operator. */
  merchantId: string | null;
  status?: PaymentStatus;
  network?: Network;
  currency?: Currency;
  externalOrderId?: string;
  /** Unix ms, exclusive. */
  createdAfter?: number;
  createdBefore?: number;
  limit: number;
  /** Only payments older than the one with this id. */
  beforeId?: number;
};

/** Newest first. `nextId` continues where this page ended; null at the end. */
export async function listPayments(
  db: Db,
  filter: PaymentFilter,
): Promise<{ views: PaymentView[]; nextId: number | null }> {
  let query = db
    .selectFrom('payments')
    .select(columns)
    .orderBy('id', 'desc')
    .limit(filter.limit + 1);
  if (filter.merchantId !== null) query = query.where('merchant_id', '=', filter.merchantId);
  if (filter.status !== undefined) query = query.where('status', '=', filter.status);
  if (filter.network !== undefined) query = query.where('network', '=', filter.network);
  if (filter.currency !== undefined) query = query.where('currency', '=', filter.currency);
  if (filter.externalOrderId !== undefined) {
    query = query.where('external_order_id', '=', filter.externalOrderId);
  }
  if (filter.createdAfter !== undefined) query = query.where('created_at', '>', filter.createdAfter);
  if (filter.createdBefore !== undefined) query = query.where('created_at', '<', filter.createdBefore);
  if (filter.beforeId !== undefined) query = query.where('id', '<', filter.beforeId);
  const rows = await query.execute();
  const page = rows.slice(0, filter.limit).map(toPayment);
  const last = page.at(-1);
  return {
    views: await viewsOf(db, page),
    nextId: rows.length > filter.limit && last !== undefined ? last.id : null,
  };
}

async function viewsOf(db: Db, payments: Payment[]): Promise<PaymentView[]> {
  if (payments.length === 0) return [];
  const deposits = await listDepositsOfPayments(
    db,
    payments.map((payment) => payment.id),
  );
  const cursors = await db.selectFrom('chain_cursors').select(['network', 'head_height']).execute();
  const heads = Object.fromEntries(cursors.map((cursor) => [cursor.network, cursor.head_height]));
  return payments.map((payment) => ({
    payment,
    deposits: deposits.filter((deposit) => deposit.paymentId === payment.id),
    heads,
  }));
}

/**
 * Reads a payment and holds it until the transaction ends, so that nobody else decides about it meanwhile.
 * (SQLite has one writer: there the transaction itself holds it.)
 */
export async function lockPayment(trx: Trx, id: number): Promise<Payment> {
  let query = trx.selectFrom('payments').select(columns).where('id', '=', id);
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

/** The newest payment that was given this address, held as by {@link lockPayment}. */
export async function lockLatestPaymentOfAddress(trx: Trx, addressId: number): Promise<Payment | null> {
  let query = trx
    .selectFrom('payments')
    .select(columns)
    .where('address_id', '=', addressId)
    .orderBy('id', 'desc')
    .limit(1);
  if (isPostgres(trx)) query = query.forUpdate();
  const row = await query.executeTakeFirst();
  return row === undefined ? null : toPayment(row);
}

/**
 * Pending payments of a chain whose time is over at `before` (Unix ms), oldest first. Not those with a transfer
 * on its way: what becomes of that settles them, and they must not hold up the others here.
 */
export async function listOverduePayments(
  trx: Trx,
  network: Network,
  before: number,
  limit: number,
): Promise<number[]> {
  const rows = await trx
    .selectFrom('payments')
    .select('id')
    .where('network', '=', network)
    .where('status', '=', sql.lit('pending'))
    .where('expires_at', '<', before)
    .where((eb) =>
      eb.not(
        eb.exists(
          eb
            .selectFrom('deposits')
            .select('deposits.id')
            .whereRef('deposits.payment_id', '=', 'payments.id')
            .where('deposits.status', '=', 'seen')
            .where('deposits.role', '!=', 'late'),
        ),
      ),
    )
    .orderBy('expires_at')
    .limit(limit)
    .execute();
  return rows.map((row) => row.id);
}

/** A customer who pays late does so soon. Blocks are read whole for this long after a payment in the native coin ended, ms. */
const nativeLateMs = 60 * 60 * 1000;

/** A transaction that a reorg threw out is waited for this long, ms. */
const minedAgainMs = 24 * 60 * 60 * 1000;

/**
 * Whether a transfer of the chain's own coin may matter: for a pending payment, for one that ended a short while
 * ago, or because the chain took one back that may be mined again.
 */
export async function nativeMayMatter(db: Db, network: Network, now: number): Promise<boolean> {
  const pending = await db
    .selectFrom('payments')
    .select('id')
    .where('network', '=', network)
    .where('currency', '=', 'native')
    .where('status', '=', sql.lit('pending'))
    .limit(1)
    .executeTakeFirst();
  if (pending !== undefined) return true;
  const ended = await db
    .selectFrom('payments')
    .select('id')
    .where('network', '=', network)
    .where('currency', '=', sql.lit('native'))
    .where('ended_at', '>', now - nativeLateMs)
    .limit(1)
    .executeTakeFirst();
  return ended !== undefined || hasOrphanedNativeDeposit(db, network, now - minedAgainMs);
}

export async function hasPendingPayment(db: Db, network: Network): Promise<boolean> {
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
export async function findLatestPaymentAt(db: Db, addressIds: readonly number[]): Promise<Payment | null> {
  if (addressIds.length === 0) return null;
  const rows = await db
    .selectFrom('payments')
    .select(columns)
    .where((eb) =>
      eb.or(
        addressIds.map((id) =>
          eb(
            'id',
            '=',
            eb
              .selectFrom('payments as p')
              .select((p) => p.fn.max('p.id').as('id'))
              .where('p.address_id', '=', id),
          ),
        ),
      ),
    )
    .orderBy('id', 'desc')
    .execute();
  const latest = rows.map(toPayment);
  return latest.find((payment) => payment.status === 'pending') ?? latest[0] ?? null;
}

/** Everything that may change in a payment. */
export type PaymentChange = Pick<
  Payment,
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
      required_amount: change.requiredAmount.toString(),
      completed_by: change.completedBy,
      confirmed_at: change.confirmedAt,
      ended_at: change.endedAt,
      accepted_at: change.acceptedAt,
    })
    .where('id', '=', id)
    .where('status', '=', from)
    .executeTakeFirst();
  return result.numUpdatedRows === 1n;
}

function toPayment(row: Row): Payment {
  return {
    id: row.id,
    paymentNumber: row.payment_number,
    merchantId: row.merchant_id,
    status: row.status as PaymentStatus,
    reason: row.reason as PaymentReason | null,
    network: row.network as Network,
    currency: row.currency as Currency,
    coin: row.coin as Coin,
    token: row.token as AddressKey | 'native',
    decimals: row.decimals,
    amountUsdCents: row.amount_usd_cents,
    expectedAmount: BigInt(row.expected_amount),
    requiredAmount: BigInt(row.required_amount),
    addressId: row.address_id,
    address: row.address as Address,
    lockHeight: row.lock_height,
    lockTime: row.lock_time,
    usdPerCoin: row.usd_per_coin,
    completedBy: row.completed_by as TxHash | null,
    externalOrderId: row.external_order_id,
    customerEmail: row.customer_email,
    redirectUrl: row.redirect_url,
    metadata: JSON.parse(row.metadata) as Record<string, unknown>,
    paymentToken: row.payment_token,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    confirmedAt: row.confirmed_at,
    endedAt: row.ended_at,
    acceptedAt: row.accepted_at,
  };
}
