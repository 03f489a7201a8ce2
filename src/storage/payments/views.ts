import { sql } from 'kysely';
import type { Currency } from '../../core/assets.ts';
import type { Network } from '../../core/networks.ts';
import type {
  OnchainPayment,
  OnchainView,
  Payment,
  PaymentReason,
  PaymentStatus,
  PaymentView,
} from '../../core/payment.ts';
import { InvariantError } from '../../errors.ts';
import { readPaymentDeposits } from '../deposits/shown.ts';
import { listProviderPaymentsById } from '../providers/payments.ts';
import type { Db } from '../schema.ts';
import { longSpan } from '../spans.ts';
import { hashPaymentToken } from './numbers.ts';
import { findPaymentByTokenHash, listPaymentsById } from './payments.ts';

/** A merchant's payment as it stands; null also when it is another merchant's. */
export async function findPayment(
  db: Db,
  merchantId: string,
  paymentNumber: string,
): Promise<PaymentView | null> {
  const row = await db
    .selectFrom('payments')
    .select(['id', 'kind'])
    .where('payment_number', '=', paymentNumber)
    .where('merchant_id', '=', merchantId)
    .executeTakeFirst();
  if (row === undefined) return null;
  const [view] = await viewsOfRows(db, [row]);
  return view ?? null;
}

/** @throws InvariantError when there is none: ids come from our own rows. */
export async function viewById(db: Db, id: number): Promise<PaymentView> {
  const row = await db
    .selectFrom('payments')
    .select(['id', 'kind'])
    .where('id', '=', id)
    .executeTakeFirstOrThrow();
  const [view] = await viewsOfRows(db, [row]);
  if (view === undefined) throw new InvariantError(`payment ${id} does not exist`);
  return view;
}

/** Those of these payments that there are. */
export async function viewsById(db: Db, ids: readonly number[]): Promise<Map<number, PaymentView>> {
  if (ids.length === 0) return new Map();
  const rows = await db.selectFrom('payments').select(['id', 'kind']).where('id', 'in', ids).execute();
  return new Map((await viewsOfRows(db, rows)).map((view) => [view.payment.id, view]));
}

/** The payment that a checkout link leads to, whoever's it is; null when there is none. */
export async function findPaymentByToken(db: Db, paymentToken: string): Promise<PaymentView | null> {
  const tokenHash = hashPaymentToken(paymentToken);
  // Nearly all are of this kind: one query less for each page.
  const onchain = await findPaymentByTokenHash(db, tokenHash);
  if (onchain !== null) return viewOf(db, onchain);
  const row = await db
    .selectFrom('payments')
    .select(['id', 'kind'])
    .where('token_hash', '=', tokenHash)
    .executeTakeFirst();
  if (row === undefined) return null;
  const [view] = await viewsOfRows(db, [row]);
  return view ?? null;
}

/** The same by its number, for who is known to see it; null when there is none. */
export async function findPaymentByNumber(db: Db, paymentNumber: string): Promise<PaymentView | null> {
  const row = await db
    .selectFrom('payments')
    .select(['id', 'kind'])
    .where('payment_number', '=', paymentNumber)
    .executeTakeFirst();
  if (row === undefined) return null;
  const [view] = await viewsOfRows(db, [row]);
  return view ?? null;
}

export async function viewOf(db: Db, payment: OnchainPayment): Promise<OnchainView>;
export async function viewOf(db: Db, payment: Payment): Promise<PaymentView>;
export async function viewOf(db: Db, payment: Payment): Promise<PaymentView> {
  if (payment.kind === 'provider') return { kind: 'provider', payment };
  const [view] = await viewsOf(db, [payment]);
  if (view === undefined) throw new InvariantError('a payment without a view');
  return view;
}

export type PaymentFilter = {
  /** Null: every merchant's, for the operator. */
  merchantId: string | null;
  status?: PaymentStatus;
  reason?: PaymentReason;
  network?: Network;
  currency?: Currency;
  externalOrderId?: string;
  /** Unix ms, exclusive. */
  createdAfter?: number;
  createdBefore?: number;
  limit: number;
  /** Only payments that come after the one with this id: the last of the page before. */
  beforeId?: number;
};

/** Newest first. `nextId` continues where this page ended; null at the end. */
export async function listPayments(
  db: Db,
  filter: PaymentFilter,
): Promise<{ views: PaymentView[]; nextId: number | null }> {
  let query = db
    .selectFrom('payments')
    .select(['payments.id', 'payments.kind'])
    .orderBy('payments.created_at', 'desc')
    .orderBy('payments.id', 'desc')
    .limit(filter.limit + 1);
  if (filter.merchantId !== null) query = query.where('payments.merchant_id', '=', filter.merchantId);
  if (filter.status !== undefined) query = query.where('payments.status', '=', filter.status);
  if (filter.reason !== undefined) query = query.where('payments.reason', '=', filter.reason);
  if (filter.network !== undefined) query = query.where('payments.network', '=', filter.network);
  if (filter.currency !== undefined) query = query.where('payments.currency', '=', filter.currency);
  if (filter.externalOrderId !== undefined) {
    query = query.where('payments.external_order_id', '=', filter.externalOrderId);
  }
  if (filter.createdAfter !== undefined)
    query = query.where(longSpan(db, 'payments.created_at', '>', filter.createdAfter));
  if (filter.createdBefore !== undefined)
    query = query.where(longSpan(db, 'payments.created_at', '<', filter.createdBefore));
  if (filter.beforeId !== undefined) {
    const last = db
      .selectFrom('payments as last')
      .select('last.created_at')
      .where('last.id', '=', filter.beforeId);
    query = query.where(sql<boolean>`(payments.created_at, payments.id) < (${last}, ${filter.beforeId})`);
  }
  const rows = await query.execute();
  const page = rows.slice(0, filter.limit);
  const last = page.at(-1);
  return {
    views: await viewsOfRows(db, page),
    nextId: rows.length > filter.limit && last !== undefined ? last.id : null,
  };
}

/** In the order of `rows`, each kind read from its own table. */
async function viewsOfRows(db: Db, rows: readonly { id: number; kind: string }[]): Promise<PaymentView[]> {
  const idsOf = (kind: Payment['kind']) => rows.filter((row) => row.kind === kind).map(({ id }) => id);
  const onchain = await listPaymentsById(db, idsOf('onchain'));
  const views = new Map<number, PaymentView>();
  for (const view of await viewsOf(db, onchain)) views.set(view.payment.id, view);
  for (const payment of await listProviderPaymentsById(db, idsOf('provider'))) {
    views.set(payment.id, { kind: 'provider', payment });
  }
  return rows.map(({ id, kind }) => {
    const view = views.get(id);
    if (view === undefined) throw new InvariantError(`payment ${id} is of the unknown kind ${kind}`);
    return view;
  });
}

async function viewsOf(db: Db, payments: readonly OnchainPayment[]): Promise<OnchainView[]> {
  if (payments.length === 0) return [];
  const deposits = await readPaymentDeposits(db, payments);
  const cursors = await db.selectFrom('chain_cursors').select(['network', 'head_height']).execute();
  const heads = Object.fromEntries(cursors.map((cursor) => [cursor.network, cursor.head_height]));
  return payments.map((payment) => {
    const own = deposits.get(payment.id);
    if (own === undefined) throw new InvariantError('a payment without its deposits');
    return { kind: 'onchain', payment, deposits: own, heads };
  });
}
