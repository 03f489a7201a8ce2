import { CompiledQuery, sql } from 'kysely';
import { expect, onTestFinished, test } from 'vitest';
import { inTransaction, isPostgres } from '../../src/storage/database.ts';
import type { Db, Trx } from '../../src/storage/schema.ts';
import { type Asked, listenToQueries } from '../support/asked-queries.ts';
import { describeDatabases, openTestSqlite } from '../support/databases.ts';
import { fillDatabase } from '../support/filled-database.ts';
import { type HotPaths, hotPaths } from '../support/hot-paths.ts';

/*
 * What every step and every request asks of a database that has been in use for long: no query reads a table that
 * grows from end to end, so that a step costs the same after years.
 */

const payments = Number(process.env.DEPOSITD_TEST_PAYMENTS ?? 30_000);
const now = Date.UTC(2026, 4, 24, 12, 0, 0);
/** Grow for ever, or up to a retention. */
const growing =
  'checkout_sessions payments onchain_payments deposits balance_marks events deliveries delivery_attempts idempotency_keys'.split(
    ' ',
  );

/** Partial indexes that hold only what is going on. */
const liveIndexes =
  /USING (COVERING )?INDEX (payments_pending|onchain_payments_lock|onchain_payments_open|deposits_seen|deposits_orphaned|deliveries_due|deliveries_due_endpoint|deliveries_leased)\b/;

/** A query may read so many pages of PostgreSQL, or compute so long on SQLite, ms: all payments are several times that. */
const mostPages = 400;
// The processor's time is told in steps of some milliseconds on some machines.
const mostMs = 20;

/** The first time prepares; the least of some is what it costs on a machine that is not busy. */
const rounds = { usual: 4, whereTooLong: 40 };

/** Faults of one operation. Nothing of it stays. */
async function judge(db: Db, name: string, work: HotPaths[string]): Promise<string[]> {
  const faults: string[] = [];
  await inTransaction(db, async (trx) => {
    const asked = new Map<string, Asked>();
    let leastMs = Number.POSITIVE_INFINITY;
    await listenToQueries(
      (query) => asked.set(query.text, query),
      async () => {
        for (let round = 0; round < (leastMs > mostMs ? rounds.whereTooLong : rounds.usual); round++) {
          const start = process.threadCpuUsage();
          await work(trx);
          const { user, system } = process.threadCpuUsage(start);
          leastMs = Math.min(leastMs, (user + system) / 1000);
        }
      },
    );
    if (!isPostgres(db) && leastMs > mostMs) faults.push(`${name}: ${leastMs.toFixed(1)} ms`);
    for (const query of asked.values()) {
      for (const fault of await explain(trx, query)) faults.push(`${name}: ${fault} in ${query.text}`);
    }
    throw new Undone();
  }).catch((error) => {
    if (!(error instanceof Undone)) throw error;
  });
  return faults;
}

class Undone extends Error {}

async function explain(trx: Trx, { text, parameters }: Asked): Promise<string[]> {
  if (!/^\s*(select|with|update|delete)/i.test(text)) return [];
  if (!isPostgres(trx)) {
    const plan = CompiledQuery.raw(`explain query plan ${text}`, [...parameters]);
    const { rows } = await trx.executeQuery<{ detail: string }>(plan);
    const details = rows.map(({ detail }) => detail);
    // A list may walk along an index, or the table, to its limit; how far it has to is seen from how long it takes.
    const walks = / limit /.test(text) && !details.some((detail) => detail.startsWith('USE TEMP B-TREE'));
    return walks ? [] : details.filter(scansGrowing);
  }
  const plan = CompiledQuery.raw(`explain (analyze, buffers, format json) ${text}`, [...parameters]);
  const { rows } = await trx.executeQuery<{ 'QUERY PLAN': [{ Plan: Record<string, number> }] }>(plan);
  const { Plan: top } = rows[0]?.['QUERY PLAN'][0] ?? { Plan: {} };
  const pages = Number(top['Shared Hit Blocks']) + Number(top['Shared Read Blocks']);
  return pages > mostPages ? [`${pages} pages read`] : [];
}

function scansGrowing(detail: string): boolean {
  const scanned = /^SCAN (\w+)/.exec(detail)?.[1] ?? '';
  return growing.includes(aliases[scanned] ?? scanned) && !liveIndexes.test(detail);
}

const aliases: Record<string, string> = {
  original: 'deliveries',
  repeat: 'deliveries',
  o: 'onchain_payments',
};

const analyze = (db: Db) => sql.raw('analyze').execute(db);

describeDatabases('a database that has been in use for long', (openTestDb, kind) => {
  test('is asked nothing by any step or request for which a table that grows is read from end to end', async () => {
    const db = await openTestDb();
    await fillDatabase(db, { payments, now });
    const faults: string[] = [];
    // The daemon lets SQLite have no statistics, which others may have taken by hand: it must choose well without and with them.
    for (const take of kind === 'SQLite' ? [null, analyze] : [analyze]) {
      await take?.(db);
      for (const [name, work] of Object.entries(hotPaths({ payments, now })))
        faults.push(...(await judge(db, name, work)));
    }
    expect(faults).toEqual([]);
  }, 240_000);
});

test('SQLite looks for what was confirmed in a span by its time, and for a status in a long one by the status', async () => {
  // Without statistics it chooses the same of an empty database.
  const db = await openTestSqlite();
  onTestFinished(() => db.destroy());
  const paths = hotPaths({ payments, now });
  const indexesOf = (name: string) =>
    inTransaction(db, async (trx) => {
      const asked: Asked[] = [];
      await listenToQueries(
        (query) => asked.push(query),
        async () => void (await paths[name]?.(trx)),
      );
      const plans = await Promise.all(
        asked.map(({ text, parameters }) =>
          trx.executeQuery<{ detail: string }>(
            CompiledQuery.raw(`explain query plan ${text}`, [...parameters]),
          ),
        ),
      );
      const used = plans.flatMap(({ rows }) =>
        rows.flatMap(({ detail }) => /INDEX (\w+)/.exec(detail)?.[1] ?? []),
      );
      return [...new Set(used)].filter((index) => /^(payments|checkout_sessions)_/.test(index)).toSorted();
    });
  expect(await indexesOf('operator: the last hour in numbers')).toEqual([
    'payments_confirmed',
    'payments_created',
  ]);
  expect(await indexesOf('operator: received in an hour, by day')).toEqual(['payments_confirmed']);
  expect(await indexesOf('list: status, created between')).toEqual(['payments_merchant_status']);
  expect(await indexesOf('sessions: status, created between')).toEqual(['checkout_sessions_merchant_status']);
});
