import { sql } from 'kysely';
import type { BlockHash, TxHash } from '../../core/chain.ts';
import type { Network } from '../../core/networks.ts';
import type { Deposit } from '../../core/payment.ts';
import { isPostgres } from '../database.ts';
import type { Db } from '../schema.ts';
import { depositColumns, toDeposit } from './deposits.ts';
import { listSumsOf } from './sums.ts';

/*
 * Deposits that nodes have yet to agree on. Anybody can make thousands of them: each query reads a bounded number.
 */

/** How deep what is confirmed must lie. */
export type Depth = {
  /** The chain's head. */
  head: number;
  /** Up to here it was read: what lies above may have brought more than a tier allows. */
  read: number;
  /** The last final block; above all of them where depth decides. */
  final: number;
  /** Of what is no payment's; payments have a number of their own. */
  requiredConfirmations: number;
};

/** A deposit that lies deep enough, how many confirmations that takes, and whether by a tier depth alone decides. */
export type DueDeposit = Deposit & { requiredConfirmations: number; byDepth: boolean };

/** A seen deposit by the place where it lies. */
export type SeenPlace = { id: number; height: number; txHash: TxHash; blockHash: BlockHash };

/** The largest of a payment's deposits are looked at first: whoever pays with more than so many parts waits his turn. */
const mostOfPayment = 50;

/** Most deposits that complete payments, of all payments together. */
const mostCompleting = 2_000;

/**
 * Deposits that are deep enough, of payments that are complete with these: they are looked at first, the largest of each and
 * no more than it takes, so that dust, however much of it, holds up nobody who has paid. Here a tier lets fewer confirmations suffice:
 * for what came in time, in what was asked for, while no more than the tier's amount has come.
 */
export async function listCompleting(
  db: Db,
  network: Network,
  { head, read, final }: Pick<Depth, 'head' | 'read' | 'final'>,
): Promise<DueDeposit[]> {
  const byTier = sql<boolean>`(onchain_payments.tier_confirmations is not null
    and onchain_payments.exceeds_tier = 0 and deposits.role = 'counted'
    and deposits.token = onchain_payments.token)`;
  const needed = sql<number>`case when ${byTier} then onchain_payments.tier_confirmations
    else onchain_payments.required_confirmations end`;
  const rows = await db
    .selectFrom('onchain_payments')
    .crossJoin('deposits')
    .select(depositColumns.map((column) => `deposits.${column}` as const))
    .select([needed.as('needed'), sql<number>`case when ${byTier} then 1 else 0 end`.as('by_depth')])
    .select(['onchain_payments.payment_id as completes', 'onchain_payments.required_amount'])
    .select('onchain_payments.token as asked')
    .where('onchain_payments.network', '=', network)
    .where('onchain_payments.released_at', 'is', null)
    .where('onchain_payments.counted_amount', '!=', sql.lit('0'))
    .where(isAtLeast('onchain_payments.counted_amount', 'onchain_payments.required_amount'))
    .where(isAmongLargest(db))
    // One expression: of several, SQLite would look for an index that serves one of them alone.
    .where(
      sql<boolean>`case when deposits.network <> ${network} or deposits.role not in ('counted', 'accepted') then false
        when ${byTier} then ${isDeep(read, 'tier_confirmations')}
        else deposits.height <= ${final} and ${isDeep(head, 'required_confirmations')} end`,
    )
    .orderBy('deposits.height')
    .orderBy('deposits.id')
    .limit(mostCompleting)
    .execute();
  const enough = await fewestThatSuffice(db, network, rows);
  return rows.filter(({ id }) => enough.has(id)).map(toDue);
}

type Completing = {
  id: number;
  completes: number;
  token: string;
  asked: string;
  amount: string;
  required_amount: string;
};

/**
 * Of each payment's deposits the fewest that make it complete with what is confirmed, the largest first, and all that an
 * operator took in another asset; none where they do not suffice yet.
 */
async function fewestThatSuffice(
  db: Db,
  network: Network,
  rows: readonly Completing[],
): Promise<ReadonlySet<number>> {
  const chosen = new Set<number>();
  const byPayment = Map.groupBy(rows, ({ completes }) => completes);
  const confirmed = (await listSumsOf(db, [...byPayment.keys()])).filter(
    ({ status, role }) => status === 'confirmed' && (role === 'counted' || role === 'accepted'),
  );
  for (const [paymentId, deposits] of byPayment) {
    const [{ asked, required_amount }] = deposits as [Completing, ...Completing[]];
    const taken = deposits.filter(({ token }) => token !== asked);
    let left = BigInt(required_amount);
    for (const sum of confirmed) {
      if (sum.paymentId === paymentId && sum.network === network && sum.token === asked) left -= sum.amount;
    }
    const own = deposits
      .filter(({ token }) => token === asked)
      .toSorted((a, b) => (BigInt(a.amount) < BigInt(b.amount) ? 1 : -1));
    for (const deposit of own) {
      if (left <= 0n) break;
      left -= BigInt(deposit.amount);
      taken.push(deposit);
    }
    if (left <= 0n) for (const { id } of taken) chosen.add(id);
  }
  return chosen;
}

/** Whether it has as many confirmations, its own block included, by a chain that ends at `height`. */
function isDeep(height: number, needed: 'tier_confirmations' | 'required_confirmations') {
  return sql<boolean>`deposits.height <= ${height + 1} - ${sql.ref(`onchain_payments.${needed}`)}`;
}

/** Of the deposits of a payment that are seen and not confirmed. */
function isAmongLargest(db: Db) {
  const largest = sql`select seen.id from deposits seen
    where seen.payment_id = onchain_payments.payment_id and seen.status = 'seen'
    order by length(seen.amount) - seen.decimals desc, seen.amount desc, seen.id limit ${sql.lit(mostOfPayment)}`;
  // Each database looks the ids up in an index only if it is asked in this way.
  return isPostgres(db)
    ? sql<boolean>`deposits.id = any (array(${largest}))`
    : sql<boolean>`deposits.id in (${largest})`;
}

/** Amounts are digits without leading zeros: the longer is the larger. */
function isAtLeast(amount: string, least: string) {
  const [a, b] = [sql.ref(amount), sql.ref(least)];
  return sql<boolean>`(length(${a}) > length(${b}) or (length(${a}) = length(${b}) and ${a} >= ${b}))`;
}

/** Seen deposits in blocks at or below `upTo` in the order of these, from the one after `after` on. */
export async function listSeen(
  db: Db,
  network: Network,
  { upTo, after, limit }: { upTo: number; after: Pick<SeenPlace, 'height' | 'id'>; limit: number },
): Promise<SeenPlace[]> {
  const rows = await db
    .selectFrom('deposits')
    .select(['id', 'height', 'tx_hash', 'block_hash'])
    .where('network', '=', network)
    .where('status', '=', sql.lit('seen'))
    .where('height', '<=', upTo)
    .where(sql<boolean>`(height, id) > (${after.height}, ${after.id})`)
    .orderBy('height')
    .orderBy('id')
    .limit(limit)
    .execute();
  return rows.map((row) => ({
    id: row.id,
    height: row.height,
    txHash: row.tx_hash as TxHash,
    blockHash: row.block_hash as BlockHash,
  }));
}

/** Deposits of transactions that are read at once: one transaction may have brought tens of thousands. */
const mostDue = 1_000;

/** Of the seen deposits of these transactions those that are deep enough, the first of them where they are very many. */
export async function listDueOfTransactions(
  db: Db,
  network: Network,
  transactions: readonly Pick<SeenPlace, 'txHash' | 'blockHash'>[],
  { head, final, requiredConfirmations }: Depth,
): Promise<DueDeposit[]> {
  if (transactions.length === 0) return [];
  const needed = sql<number>`coalesce(onchain_payments.required_confirmations, ${requiredConfirmations})`;
  const rows = await db
    .selectFrom('deposits')
    .leftJoin('onchain_payments', (join) =>
      join
        .onRef('onchain_payments.payment_id', '=', 'deposits.payment_id')
        .onRef('onchain_payments.network', '=', 'deposits.network'),
    )
    .select(depositColumns.map((column) => `deposits.${column}` as const))
    .select([needed.as('needed'), sql<number>`0`.as('by_depth')])
    .where('deposits.network', '=', network)
    .where('deposits.status', '=', sql.lit('seen'))
    .where('deposits.tx_hash', 'in', [...new Set(transactions.map(({ txHash }) => txHash))])
    .where('deposits.block_hash', 'in', [...new Set(transactions.map(({ blockHash }) => blockHash))])
    .where('deposits.height', '<=', sql<number>`${head} + 1 - ${needed}`)
    .where('deposits.height', '<=', final)
    .orderBy('deposits.height')
    .orderBy('deposits.id')
    .limit(mostDue)
    .execute();
  return rows.map(toDue);
}

type DueRow = Parameters<typeof toDeposit>[0] & { needed: number; by_depth: number };

function toDue({ needed, by_depth, ...row }: DueRow): DueDeposit {
  return { ...toDeposit(row), requiredConfirmations: Number(needed), byDepth: Number(by_depth) === 1 };
}

/** The height of the last seen deposit above `above`, at or below `upTo`; null when there is none. */
export async function findHighestSeen(
  db: Db,
  network: Network,
  { above, upTo }: { above: number; upTo: number },
): Promise<number | null> {
  const row = await db
    .selectFrom('deposits')
    .select('height')
    .where('network', '=', network)
    .where('status', '=', sql.lit('seen'))
    .where('height', '>', above)
    .where('height', '<=', upTo)
    .orderBy('height', 'desc')
    .limit(1)
    .executeTakeFirst();
  return row?.height ?? null;
}

/** Whether a payment's deposit is on its way to being confirmed; one in a block at or below `upTo`, where that is given. */
export async function hasSeenDeposit(
  db: Db,
  network: Network,
  upTo = Number.MAX_SAFE_INTEGER,
): Promise<boolean> {
  const row = await db
    .selectFrom('deposits')
    .select('id')
    .where('network', '=', network)
    .where('status', '=', sql.lit('seen'))
    .where('payment_id', 'is not', null)
    .where('height', '<=', upTo)
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}
