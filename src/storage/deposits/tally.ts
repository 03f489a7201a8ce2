import { setImmediate } from 'node:timers/promises';
import { sql } from 'kysely';
import type { TxHash } from '../../core/chain.ts';
import {
  counts,
  type Deposit,
  type DepositSum,
  isOwnAsset,
  type OnchainPayment,
  type Tally,
} from '../../core/payment.ts';
import type { Db } from '../schema.ts';
import { depositColumns, toDeposit } from './deposits.ts';
import { listSums, type StoredSum } from './sums.ts';

/** What is asked of a payment's deposits beyond their sums. */
export type TallyQuery = {
  /** What a reorg threw out of blocks above this height may be mined again. */
  forgotten: number;
  /** With which deposits the payment may be complete; null where it does not matter. */
  completes: 'counted' | 'all' | null;
};

/** Reads what a payment's deposits come to. What that costs does not grow with them, but once, where they suffice. */
export async function readTally(
  db: Db,
  payment: OnchainPayment,
  { forgotten, completes }: TallyQuery,
): Promise<Tally> {
  const sums = await listSums(db, payment.id);
  const threwOut = sums.some((sum) => sum.status === 'orphaned' && counts(sum));
  const counted = completes === null ? null : await findCompleting(db, payment, sums, false);
  const all = completes === 'all' ? (counted ?? (await findCompleting(db, payment, sums, true))) : null;
  return {
    sums,
    missing: threwOut ? await sumMissing(db, payment.id, forgotten) : [],
    countsLate: sums.some((sum) => mayBeLate(payment, sum)) && (await hasCountedLate(db, payment)),
    completedBy: { counted, all },
  };
}

function mayBeLate(payment: OnchainPayment, sum: StoredSum): boolean {
  if (sum.role !== 'counted' || sum.status === 'orphaned' || !isOwnAsset(payment, sum)) return false;
  return sum.latestBlockTime > payment.blockTimeLimit;
}

/** Only a reorg puts what counted past the end. */
async function hasCountedLate(db: Db, payment: OnchainPayment): Promise<boolean> {
  const row = await db
    .selectFrom('deposits')
    .select('id')
    .where('payment_id', '=', payment.id)
    .where('status', 'in', ['seen', 'confirmed'])
    .where('role', '=', 'counted')
    .where('network', '=', payment.network)
    .where('token', '=', payment.token)
    .where('block_time', '>', payment.blockTimeLimit)
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}

async function sumMissing(db: Db, paymentId: number, above: number): Promise<DepositSum[]> {
  const rows = await db
    .selectFrom('deposits')
    .select(depositColumns)
    .where('payment_id', '=', paymentId)
    .where('status', '=', 'orphaned')
    .where('height', '>', above)
    .where('role', 'in', ['counted', 'accepted'])
    .execute();
  return rows.map((row) => ({ ...toDeposit(row), total: 1 }));
}

/** Deposits read in one go: in between the program does what else there is to do. */
const pageSize = 2_000;

/**
 * The transaction with which the confirmed deposits suffice, in the order in which the chain shows them; null while they
 * do not. Where all that was asked for was replaced by another asset, the last of what replaced it.
 */
async function findCompleting(
  db: Db,
  payment: OnchainPayment,
  sums: readonly DepositSum[],
  takesLate: boolean,
): Promise<TxHash | null> {
  const confirmed = sums.filter(({ status }) => status === 'confirmed');
  const taken = confirmed.filter((sum) => isOwnAsset(payment, sum) && (takesLate || counts(sum)));
  const amount = taken.reduce((total, sum) => total + sum.amount, 0n);
  const replaced =
    payment.requiredAmount === 0n &&
    confirmed.some((sum) => sum.role === 'accepted' && !isOwnAsset(payment, sum));
  if (confirmed.length === 0 || amount < payment.requiredAmount) return null;
  let total = 0n;
  let last: Deposit | null = null;
  for await (const deposit of inChainOrder(db, payment.id)) {
    if (replaced && deposit.role === 'accepted' && !isOwnAsset(payment, deposit)) last = deposit;
    if (replaced || !isOwnAsset(payment, deposit) || !(takesLate || counts(deposit))) continue;
    total += deposit.amount;
    if (total >= payment.requiredAmount) return deposit.txHash;
  }
  return last?.txHash ?? null;
}

/** The confirmed deposits of a payment. */
async function* inChainOrder(db: Db, paymentId: number): AsyncGenerator<Deposit> {
  const order = sql`height, coalesce(log_index, -1), id`;
  let after: Deposit | null = null;
  for (;;) {
    let query = db
      .selectFrom('deposits')
      .select(depositColumns)
      .where('payment_id', '=', paymentId)
      .where('status', '=', 'confirmed')
      .orderBy('height')
      .orderBy(sql`coalesce(log_index, -1)`)
      .orderBy('id')
      .limit(pageSize);
    if (after !== null) {
      const { height, logIndex, id }: Deposit = after;
      query = query.where(sql<boolean>`(${order}) > (${height}, ${logIndex ?? -1}, ${id})`);
    }
    const rows = await query.execute();
    for (const row of rows) yield toDeposit(row);
    const last = rows.at(-1);
    if (rows.length < pageSize || last === undefined) return;
    after = toDeposit(last);
    await setImmediate();
  }
}
