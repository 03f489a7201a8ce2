import { sql } from 'kysely';
import { noTransaction } from '../core/chain.ts';
import { measurementDays } from '../core/measurement.ts';
import { sessionIdleMs } from '../core/user.ts';
import { readChains } from './chains/chains.ts';
import { joinScansBefore } from './chains/scans.ts';
import { pruneNodeUsage } from './chains/usage.ts';
import { inTransaction, isPostgres } from './database.ts';
import { pruneSessions } from './operators/user-sessions.ts';
import { pruneLinks } from './operators/users.ts';
import { pruneIdempotencyKeys } from './payments/idempotency.ts';
import { pruneInboundEvents } from './providers/inbound.ts';
import { pruneIntents } from './providers/intents.ts';
import type { Db, Trx } from './schema.ts';
import { pruneEvents } from './webhooks/events.ts';

/*
 * What is forgotten, and when. Payments, deposits, addresses and what operators did are kept for ever: they are the
 * books. Deliveries are the notifier's own to forget.
 */

/** Rows in one transaction: nobody waits for more than them. */
const atOnce = 500;

const dayMs = 24 * 60 * 60 * 1000;

/** Nodes have forgotten what an address held, and no fork reaches back, long before this, ms. */
const markRetentionMs = 30 * dayMs;

/** Who read which block matters while it may be read again by somebody else, ms. */
const scanRetentionMs = 30 * dayMs;

/** Whoever watches addresses has taken in those that came back, ms. */
const returnRetentionMs = 30 * dayMs;

/** What nodes were asked is compared with their bills, ms. */
const usageRetentionMs = 62 * dayMs;

/** Nobody has the link of what a provider may have made then, ms. */
const intentRetentionMs = 30 * dayMs;

/** No provider sends a webhook again so late, ms: what is forgotten would be heard again. */
const inboundRetentionMs = 90 * dayMs;

/**
 * Forgets a batch of everything whose time is over, each in a transaction of its own.
 *
 * @returns whether there may be more.
 */
export async function forgetOnce(
  db: Db,
  { now, eventRetentionMs }: { now: number; eventRetentionMs: number },
): Promise<boolean> {
  const prunings = [
    (trx: Trx) => pruneIdempotencyKeys(trx, now, atOnce),
    (trx: Trx) => pruneEvents(trx, now - eventRetentionMs, atOnce),
    (trx: Trx) => pruneBalanceMarks(trx, now - markRetentionMs, atOnce),
    (trx: Trx) => pruneReturns(trx, now - returnRetentionMs, atOnce),
    (trx: Trx) => pruneIntents(trx, now - intentRetentionMs, atOnce),
    (trx: Trx) => pruneInboundEvents(trx, now - inboundRetentionMs, atOnce),
    (trx: Trx) => pruneNodeUsage(trx, Math.floor((now - usageRetentionMs) / dayMs)),
    ...measurements.map(
      (table) => (trx: Trx) => pruneMeasurements(trx, table, now - measurementDays * dayMs, atOnce),
    ),
    (trx: Trx) => pruneLinks(trx, now, atOnce),
    (trx: Trx) => pruneSessions(trx, now - sessionIdleMs, atOnce),
  ];
  let more = false;
  for (const prune of prunings) {
    const pruned = await inTransaction(db, prune);
    more ||= pruned === atOnce;
  }
  for (const { network } of await readChains(db)) {
    await inTransaction(db, (trx) => joinScansBefore(trx, network, now - scanRetentionMs));
  }
  return more;
}

/**
 * Deletes marks of payments that ended before `before` (Unix ms). Not where a surplus was found over one: a transfer
 * that is found later must be known as a part of it, or it would count twice.
 */
async function pruneBalanceMarks(trx: Trx, before: number, limit: number): Promise<number> {
  const ended = trx
    .selectFrom('balance_marks')
    .innerJoin('payments', 'payments.id', 'balance_marks.payment_id')
    .select('balance_marks.payment_id')
    // The first of them that is too young ends the search, without looking at those after it.
    .where('balance_marks.payment_id', '<=', (eb) =>
      eb
        .selectFrom('payments as old')
        .select('old.id')
        .where('old.created_at', '<', before)
        .orderBy('old.created_at', 'desc')
        .limit(1),
    )
    .where('payments.ended_at', '<', before)
    .where(({ not, exists, selectFrom }) =>
      not(
        exists(
          selectFrom('deposits')
            .select('deposits.id')
            .whereRef('deposits.network', '=', 'balance_marks.network')
            .where('deposits.tx_hash', '=', noTransaction)
            .where('deposits.token', '=', 'native')
            .whereRef('deposits.ordinal', '=', 'balance_marks.payment_id'),
        ),
      ),
    )
    .orderBy('balance_marks.payment_id')
    .limit(limit);
  const result = await trx.deleteFrom('balance_marks').where('payment_id', 'in', ended).executeTakeFirst();
  return Number(result.numDeletedRows);
}

/** Deletes notes of addresses that became active again before `before` (Unix ms). */
async function pruneReturns(trx: Trx, before: number, limit: number): Promise<number> {
  const old = trx
    .selectFrom('address_returns')
    .select('id')
    .where('at', '<', before)
    // The last one tells a watcher that begins where it stands.
    .where('id', '<', (eb) =>
      eb.selectFrom('address_returns as last').select(({ fn }) => fn.max('last.id').as('id')),
    )
    .orderBy('id')
    .limit(limit);
  const result = await trx.deleteFrom('address_returns').where('id', 'in', old).executeTakeFirst();
  return Number(result.numDeletedRows);
}

const measurements = ['node_measurements', 'pool_measurements', 'endpoint_measurements'] as const;

/** Deletes what was measured before `before` (Unix ms). */
async function pruneMeasurements(
  trx: Trx,
  table: (typeof measurements)[number],
  before: number,
  limit: number,
): Promise<number> {
  const old = sql`from ${sql.table(table)} where at < ${before} order by at limit ${limit}`;
  const pruning = isPostgres(trx)
    ? sql`delete from ${sql.table(table)} where ctid = any(array(select ctid ${old}))`
    : sql`delete from ${sql.table(table)} where rowid in (select rowid ${old})`;
  const result = await pruning.execute(trx);
  return Number(result.numAffectedRows ?? 0);
}
