import { sql } from 'kysely';
import type { Network } from '../../core/networks.ts';
import {
  counts,
  type Deposit,
  isOwnAsset,
  noDeposits,
  type OnchainPayment,
  type PaymentDeposits,
} from '../../core/payment.ts';
import type { Db } from '../schema.ts';
import { depositColumns, toDeposit } from './deposits.ts';
import { listSumsOf } from './sums.ts';

/*
 * What is shown of payments' deposits. Somebody may have sent one of them any number.
 */

/** Deposits of a payment that are shown. */
export const mostShown = 50;

/** Payments with more are looked at one by one, where an index gives what is shown of them. */
const mostTogether = 200;

type Shown = Pick<PaymentDeposits, 'largest' | 'knownBy'>;

/** What the chains show for each of these payments; of what they took back nothing. */
export async function readPaymentDeposits(
  db: Db,
  payments: readonly OnchainPayment[],
): Promise<ReadonlyMap<number, PaymentDeposits>> {
  const sums = await listSumsOf(
    db,
    payments.map(({ id }) => id),
  );
  const byPayment = Map.groupBy(
    sums.filter(({ status }) => status !== 'orphaned'),
    ({ paymentId }) => paymentId,
  );
  const all = new Map<number, PaymentDeposits>();
  for (const payment of payments) {
    const live = byPayment.get(payment.id) ?? [];
    const own = live.filter((one) => isOwnAsset(payment, one));
    const total = live.reduce((n, one) => n + one.total, 0);
    all.set(payment.id, { ...noDeposits, total, received: sum(own), counted: sum(own.filter(counts)) });
  }
  const totalOf = ({ id }: OnchainPayment) => all.get(id)?.total ?? 0;
  const few = payments.filter((payment) => totalOf(payment) > 0 && totalOf(payment) <= mostTogether);
  for (const [id, shown] of await listTogether(db, few))
    all.set(id, { ...(all.get(id) ?? noDeposits), ...shown });
  for (const payment of payments.filter((one) => totalOf(one) > mostTogether)) {
    const networks = [...new Set(byPayment.get(payment.id)?.map(({ network }) => network))];
    all.set(payment.id, {
      ...(all.get(payment.id) ?? noDeposits),
      ...(await listOfMany(db, payment, networks)),
    });
  }
  return all;
}

function sum(amounts: readonly { amount: bigint }[]): bigint {
  return amounts.reduce((total, { amount }) => total + amount, 0n);
}

/** All of them, the largest first. In whole coins: an operator may have attached another asset. */
async function listTogether(db: Db, payments: readonly OnchainPayment[]): Promise<Map<number, Shown>> {
  if (payments.length === 0) return new Map();
  const rows = await db
    .selectFrom('deposits')
    .select(depositColumns)
    .where(
      'payment_id',
      'in',
      payments.map(({ id }) => id),
    )
    .where('status', 'in', ['seen', 'confirmed'])
    .orderBy('payment_id')
    .orderBy(bySize, 'desc')
    .orderBy('amount', 'desc')
    .orderBy('id')
    .execute();
  const deposits = Map.groupBy(rows.map(toDeposit), ({ paymentId }) => paymentId ?? 0);
  return new Map(
    payments.map((payment) => {
      const own = deposits.get(payment.id) ?? [];
      return [payment.id, { largest: own.slice(0, mostShown), knownBy: knownBy(payment, own) }];
    }),
  );
}

/** Amounts are digits without leading zeros: the longer is the larger. */
const bySize = sql<number>`length(amount) - decimals`;

/** The transfer that completed the amount, or else the first one. */
function knownBy({ completedBy }: OnchainPayment, deposits: readonly Deposit[]): Deposit | null {
  const completing = deposits.filter(({ txHash }) => txHash === completedBy);
  const candidates = completing.length > 0 ? completing : deposits;
  return candidates.toSorted(inChainOrder)[0] ?? null;
}

/** The order in which a chain shows them. */
function inChainOrder(a: Deposit, b: Deposit): number {
  return a.height - b.height || (a.logIndex ?? -1) - (b.logIndex ?? -1) || a.id - b.id;
}

async function listOfMany(db: Db, payment: OnchainPayment, networks: readonly Network[]): Promise<Shown> {
  const largest = (await listBothStatuses((status) => ofSize(db, payment, status))).toSorted(bySizeDown);
  const completing = payment.completedBy === null ? [] : await ofCompleting(db, payment, networks);
  const first = completing.length > 0 ? [] : await listBothStatuses((status) => firstOf(db, payment, status));
  return { largest: largest.slice(0, mostShown), knownBy: knownBy(payment, [...completing, ...first]) };
}

/** As {@link bySize} and the amounts after it. */
function bySizeDown(a: Deposit, b: Deposit): number {
  const [digits, others] = [a.amount.toString(), b.amount.toString()];
  const difference = others.length - b.decimals - (digits.length - a.decimals);
  return difference || (digits === others ? a.id - b.id : digits < others ? 1 : -1);
}

type Live = 'seen' | 'confirmed';

async function listBothStatuses(list: (status: Live) => Promise<Deposit[]>): Promise<Deposit[]> {
  return [...(await list('seen')), ...(await list('confirmed'))];
}

async function ofSize(db: Db, { id }: OnchainPayment, status: Live): Promise<Deposit[]> {
  const rows = await db
    .selectFrom('deposits')
    .select(depositColumns)
    .where('payment_id', '=', id)
    .where('status', '=', status)
    .orderBy(bySize, 'desc')
    .orderBy('amount', 'desc')
    .orderBy('id')
    .limit(mostShown)
    .execute();
  return rows.map(toDeposit);
}

async function firstOf(db: Db, { id }: OnchainPayment, status: Live): Promise<Deposit[]> {
  const rows = await db
    .selectFrom('deposits')
    .select(depositColumns)
    .where('payment_id', '=', id)
    .where('status', '=', status)
    .orderBy('height')
    .orderBy(sql`coalesce(log_index, -1)`)
    .orderBy('id')
    .limit(1)
    .execute();
  return rows.map(toDeposit);
}

/** The first of what the transaction brought that completed the amount, if a chain still shows it. */
async function ofCompleting(
  db: Db,
  { id, completedBy }: OnchainPayment,
  networks: readonly Network[],
): Promise<Deposit[]> {
  const rows = await db
    .selectFrom('deposits')
    .select(depositColumns)
    .where('network', 'in', networks)
    .where('tx_hash', '=', completedBy)
    .where('payment_id', '=', id)
    .where('status', 'in', ['seen', 'confirmed'])
    .orderBy('height')
    .orderBy(sql`coalesce(log_index, -1)`)
    .orderBy('id')
    .limit(1)
    .execute();
  return rows.map(toDeposit);
}
