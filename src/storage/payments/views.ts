import { sql } from 'kysely';
import type { Currency } from '../../core/assets.ts';
import type { Network } from '../../core/networks.ts';
import type { Payment, PaymentStatus, PaymentView } from '../../core/payment.ts';
import { InvariantError } from '../../errors.ts';
import { readPaymentDeposits } from '../deposits/sums.ts';
import type { Db } from '../schema.ts';
import { selectPayments, toPayment } from './payments.ts';

/** A merchant's payment as it stands; null also when it is another merchant's. */
export async function findPayment(
  db: Db,
  merchantId: string,
  paymentNumber: string,
): Promise<PaymentView | null> {
  const row = await selectPayments(db)
    .where('payments.payment_number', '=', paymentNumber)
    .where('payments.merchant_id', '=', merchantId)
    .executeTakeFirst();
  return row === undefined ? null : viewOf(db, toPayment(row));
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
  /** Only payments that come after the one with this id: the last of the page before. */
  beforeId?: number;
};

/** Newest first. `nextId` continues where this page ended; null at the end. */
export async function listPayments(
  db: Db,
  filter: PaymentFilter,
): Promise<{ views: PaymentView[]; nextId: number | null }> {
  let query = selectPayments(db)
    .orderBy('payments.created_at', 'desc')
    .orderBy('payments.id', 'desc')
    .limit(filter.limit + 1);
  if (filter.merchantId !== null) query = query.where('payments.merchant_id', '=', filter.merchantId);
  if (filter.status !== undefined) query = query.where('payments.status', '=', filter.status);
  if (filter.network !== undefined) query = query.where('payments.network', '=', filter.network);
  if (filter.currency !== undefined) query = query.where('payments.currency', '=', filter.currency);
  if (filter.externalOrderId !== undefined) {
    query = query.where('payments.external_order_id', '=', filter.externalOrderId);
  }
  if (filter.createdAfter !== undefined) query = query.where('payments.created_at', '>', filter.createdAfter);
  if (filter.createdBefore !== undefined)
    query = query.where('payments.created_at', '<', filter.createdBefore);
  if (filter.beforeId !== undefined) {
    const last = db
      .selectFrom('payments as last')
      .select('last.created_at')
      .where('last.id', '=', filter.beforeId);
    query = query.where(sql<boolean>`(payments.created_at, payments.id) < (${last}, ${filter.beforeId})`);
  }
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
  const deposits = await readPaymentDeposits(
    db,
    payments.map((payment) => payment.id),
  );
  const cursors = await db.selectFrom('chain_cursors').select(['network', 'head_height']).execute();
  const heads = Object.fromEntries(cursors.map((cursor) => [cursor.network, cursor.head_height]));
  return payments.map((payment) => {
    const own = deposits.get(payment.id);
    if (own === undefined) throw new InvariantError('a payment without its deposits');
    return { payment, deposits: own, heads };
  });
}
