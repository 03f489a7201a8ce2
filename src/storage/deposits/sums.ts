import { sql } from 'kysely';
import type { Deposit, OnchainPayment, PaymentDeposits } from '../../core/payment.ts';
import { isPostgres } from '../database.ts';
import type { Db } from '../schema.ts';
import { depositColumns, toDeposit } from './deposits.ts';

/*
 * Somebody may have sent a payment any number of transfers: they are added up and chosen from in the database.
 */

/** Deposits of a payment that are shown. */
export const mostShown = 50;

const none: PaymentDeposits = { largest: [], total: 0, received: 0n, counted: 0n, knownBy: null };

/** What the chains show for each of these payments; of what they took back nothing. */
export async function readPaymentDeposits(
  db: Db,
  paymentIds: readonly number[],
): Promise<ReadonlyMap<number, PaymentDeposits>> {
  const all = new Map<number, PaymentDeposits>(paymentIds.map((id) => [id, none]));
  if (paymentIds.length === 0) return all;
  const sums = await sumsOfPayments(db, paymentIds);
  for (const row of sums) all.set(row.payment_id, { ...none, ...toSums(row) });
  const shown = await listShown(
    db,
    sums.map((row) => row.payment_id),
  );
  for (const [id, rows] of Map.groupBy(shown, ({ deposit }) => deposit.paymentId ?? 0)) {
    const largest = rows.filter(({ bySize }) => bySize <= mostShown).map(({ deposit }) => deposit);
    const knownBy = rows.find(({ inOrder }) => inOrder === 1)?.deposit ?? null;
    all.set(id, { ...(all.get(id) ?? none), largest, knownBy });
  }
  return all;
}

/** What the chain shows of one payment. */
export async function sumsOfPayment(
  db: Db,
  { id }: Pick<OnchainPayment, 'id'>,
): Promise<Pick<PaymentDeposits, 'received' | 'counted' | 'total'>> {
  const [row] = await sumsOfPayments(db, [id]);
  return row === undefined ? none : toSums(row);
}

async function sumsOfPayments(db: Db, paymentIds: readonly number[]) {
  // Only amounts in what was asked for have one unit.
  const own = 'deposits.network = onchain_payments.network and deposits.token = onchain_payments.token';
  const counted = `${own} and deposits.role in ('counted', 'accepted')`;
  return db
    .selectFrom('deposits')
    .innerJoin('onchain_payments', 'onchain_payments.payment_id', 'deposits.payment_id')
    .select((eb) => [
      'onchain_payments.payment_id',
      eb.fn.countAll<number>().as('total'),
      sumAmounts(db, own).as('received'),
      sumAmounts(db, counted).as('counted'),
    ])
    .where('deposits.payment_id', 'in', paymentIds)
    .where('deposits.status', '!=', 'orphaned')
    .groupBy('onchain_payments.payment_id')
    .execute();
}

/** The exact sum of the amounts for which `condition` holds, as digits: SQLite by itself adds up 64 bits, or a float. */
function sumAmounts(db: Db, condition: string) {
  const amount = sql.raw(`case when ${condition} then deposits.amount else '0' end`);
  return isPostgres(db) ? sql<string>`sum((${amount})::numeric)::text` : sql<string>`sum_amounts(${amount})`;
}

function toSums(row: { total: number; received: string; counted: string }) {
  return {
    total: Number(row.total),
    received: BigInt(row.received),
    counted: BigInt(row.counted),
  };
}

/**
 * The largest of each payment, and the one it is known by: the first transfer seen, or the one that completed the amount.
 */
async function listShown(
  db: Db,
  paymentIds: readonly number[],
): Promise<{ deposit: Deposit; bySize: number; inOrder: number }[]> {
  if (paymentIds.length === 0) return [];
  const completing = 'case when deposits.tx_hash = onchain_payments.completed_by then 0 else 1 end';
  const place = (order: string) =>
    sql<number>`row_number() over (partition by deposits.payment_id order by ${sql.raw(order)})`;
  const rows = await db
    .selectFrom((eb) =>
      eb
        .selectFrom('deposits')
        .innerJoin('onchain_payments', 'onchain_payments.payment_id', 'deposits.payment_id')
        .select(depositColumns.map((column) => `deposits.${column}` as const))
        .select([
          // In whole coins. Amounts are digits without leading zeros: the longer is the larger.
          place('length(deposits.amount) - deposits.decimals desc, deposits.amount desc, deposits.id').as(
            'by_size',
          ),
          place(`${completing}, deposits.height, coalesce(deposits.log_index, -1), deposits.id`).as(
            'in_order',
          ),
        ])
        .where('deposits.payment_id', 'in', paymentIds)
        .where('deposits.status', '!=', 'orphaned')
        .as('ranked'),
    )
    .selectAll()
    .where((eb) => eb.or([eb('by_size', '<=', mostShown), eb('in_order', '=', 1)]))
    .orderBy('payment_id')
    .orderBy('by_size')
    .execute();
  return rows.map(({ by_size, in_order, ...row }) => ({
    deposit: toDeposit(row),
    bySize: Number(by_size),
    inOrder: Number(in_order),
  }));
}
