import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CompiledQuery, sql } from 'kysely';
import { inTransaction, isPostgres, openDatabase } from '../src/storage/database.ts';
import type { Db, Trx } from '../src/storage/schema.ts';
import { createWatchlist } from '../src/watchers/watchlist.ts';
import { type Asked, listenToQueries } from '../test/support/asked-queries.ts';
import { startCluster } from '../test/support/cluster.ts';
import { fillDatabase } from '../test/support/filled-database.ts';
import { type HotPaths, hotPaths } from '../test/support/hot-paths.ts';
import { writeResults } from './support/results.ts';

/*
 * A database after years: `npm run bench -- growth [SMALL LARGE ADDRESSES sqlite|postgres]`, by default 10⁴ and 10⁷ payments with as
 * many deposits, and 10⁶ addresses, on both databases. What steps and requests ask is measured at both sizes side by side, with
 * its plans where it takes more than twice as long. 10⁷ take some 40 GB of disk for each database, and hours.
 */

const now = Date.UTC(2026, 4, 24, 12, 0, 0);

/** The first time prepares, and reads from the disk. */
const rounds = 5;

/** Below this, ms, a ratio says more about the machine than about the query. */
const leastMs = 0.5;
const mostRatio = 2;

type Measured = Map<string, { ms: number; plans: string[] }>;
type Size = { payments: number; addresses: number };
type Filled = Size & {
  bytes: number;
  fillSeconds: number;
  openMs: number;
  watchMs: number;
  vacuumSeconds: number;
};
type Side = { filled: Filled; measured: Measured };

export async function run(args: string[]): Promise<void> {
  const small = Number(args[0] ?? 10_000);
  const large = Number(args[1] ?? 10_000_000);
  const addresses = Number(args[2] ?? 1_000_000);
  const kinds = (['sqlite', 'postgres'] as const).filter((kind) => (args[3] ?? kind) === kind);
  const lines: string[] = [];
  for (const kind of kinds) {
    const sides: Side[] = [];
    for (const payments of [small, large]) {
      // As large a pool for each payment at both sizes would leave none for the small one.
      const size = { payments, addresses: payments === large ? addresses : Math.min(addresses, 1_000) };
      sides.push(await (kind === 'sqlite' ? onSqlite(size) : onPostgres(size)));
    }
    const [before, after] = sides as [Side, Side];
    lines.push(...describe(kind === 'sqlite' ? 'SQLite' : 'PostgreSQL', before, after), '');
  }
  console.log(lines.join('\n'));
  writeResults('growth', lines);
}

async function onSqlite(size: Size): Promise<Side> {
  const folder = mkdtempSync(join(tmpdir(), 'depositd-bench-'));
  try {
    const path = join(folder, 'depositd.db');
    return await measureAt(`sqlite:${path}`, size, async () => statSync(path).size);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function onPostgres(size: Size): Promise<Side> {
  const cluster = await startCluster({ durable: true });
  try {
    const url = await cluster.lendDatabase(false);
    return await measureAt(url, size, async (db) => {
      const { rows } = await sql<{
        bytes: number;
      }>`select pg_database_size(current_database()) as bytes`.execute(db);
      return Number(rows[0]?.bytes);
    });
  } finally {
    await cluster.stop();
  }
}

async function measureAt(url: string, size: Size, bytesOf: (db: Db) => Promise<number>): Promise<Side> {
  const db = await openDatabase(url);
  try {
    console.log(`filling ${size.payments.toLocaleString('en')} payments…`);
    const fillSeconds = await secondsOf(() => fill(db, size));
    const vacuumSeconds = await secondsOf(() => tidy(db));
    const bytes = await bytesOf(db);
    const openMs = 1000 * (await secondsOf(async () => (await openDatabase(url)).destroy()));
    const watch = createWatchlist('evm', { afterMs: 0, clock: () => now });
    const watchMs = 1000 * (await secondsOf(() => watch.refresh(db)));
    const paths = hotPaths({ payments: size.payments, now });
    // The first pass compiles what all of them use.
    await measure(db, paths);
    const measured = await measure(db, paths);
    return { filled: { ...size, bytes, fillSeconds, openMs, watchMs, vacuumSeconds }, measured };
  } finally {
    await db.destroy();
  }
}

/** One transaction of millions of rows: nothing is lost when it fails. */
async function fill(db: Db, size: Size): Promise<void> {
  if (!isPostgres(db)) await sql.raw('pragma journal_mode = off').execute(db);
  await fillDatabase(db, { ...size, now });
  if (!isPostgres(db)) await sql.raw('pragma journal_mode = wal').execute(db);
}

/** What the daemon does once a day, and PostgreSQL by itself. */
async function tidy(db: Db): Promise<void> {
  if (!isPostgres(db)) {
    await sql.raw('pragma optimize = 0x10002').execute(db);
    return;
  }
  await sql.raw('set statement_timeout = 0').execute(db);
  await db.connection().execute(async (connection) => {
    await sql.raw('set statement_timeout = 0').execute(connection);
    await sql.raw('vacuum analyze').execute(connection);
  });
}

async function secondsOf(work: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await work();
  return (performance.now() - begun) / 1000;
}

async function measure(db: Db, paths: HotPaths): Promise<Measured> {
  const measured: Measured = new Map();
  for (const [name, work] of Object.entries(paths)) {
    const asked = new Map<string, Asked>();
    let ms = Number.POSITIVE_INFINITY;
    let plans: string[] = [];
    await undone(db, async (trx) => {
      await listenToQueries(
        (query) => asked.set(query.text, query),
        async () => {
          await work(trx);
        },
      );
      for (let round = 0; round < rounds; round++)
        ms = Math.min(ms, 1000 * (await secondsOf(() => work(trx))));
      plans = (await Promise.all([...asked.values()].map((query) => planOf(trx, query)))).flat();
    });
    measured.set(name, { ms, plans });
  }
  return measured;
}

class Undone extends Error {}

/** Nothing of it stays. */
async function undone(db: Db, work: (trx: Trx) => Promise<void>): Promise<void> {
  try {
    await inTransaction(db, async (trx) => {
      await work(trx);
      throw new Undone();
    });
  } catch (error) {
    if (!(error instanceof Undone)) throw error;
  }
}

async function planOf(trx: Trx, { text, parameters }: Asked): Promise<string[]> {
  if (!/^\s*(select|with|update|delete)/i.test(text)) return [];
  const query = (prefix: string) => CompiledQuery.raw(`${prefix} ${text}`, [...parameters]);
  if (!isPostgres(trx)) {
    const { rows } = await trx.executeQuery<{ detail: string }>(query('explain query plan'));
    return rows.map(({ detail }) => detail);
  }
  const { rows } = await trx.executeQuery<{ 'QUERY PLAN': string }>(query('explain'));
  return rows
    .map((row) => row['QUERY PLAN'])
    .filter((line) => /Scan|Join|Loop|Sort/.test(line))
    .map((line) => line.replace(/\s+\(cost.*$/, '').replace(/^[\s>-]+/, ''));
}

function describe(name: string, before: Side, after: Side): string[] {
  const compared = [...after.measured].map(([path, { ms, plans }]) => {
    const then = before.measured.get(path) ?? { ms: Number.NaN, plans: [] };
    return { path, then, now: { ms, plans }, ratio: Math.max(ms, leastMs) / Math.max(then.ms, leastMs) };
  });
  const slower = compared.filter(({ ratio }) => ratio > mostRatio).toSorted((a, b) => b.ratio - a.ratio);
  const grown = after.filled.payments - before.filled.payments;
  const perThousand = ((after.filled.bytes - before.filled.bytes) / grown) * 1000;
  const count = (value: number) => value.toLocaleString('en');
  const both = (of: (filled: Filled) => string) => `${of(before.filled)} | ${of(after.filled)}`;
  return [
    `**${name}.** ${(perThousand / 1024 ** 2).toFixed(1)} MiB for each 1,000 payments, with all that belongs to them. Of ${compared.length} operations ${slower.length} take more than ${mostRatio} times as long at the larger size (below ${leastMs} ms counts as that).`,
    '',
    '| | smaller | larger |',
    '|---|---|---|',
    `| payments, deposits | ${both(({ payments }) => count(payments))} |`,
    `| addresses | ${both(({ addresses }) => count(addresses))} |`,
    `| size | ${both(({ bytes }) => `${(bytes / 1024 ** 2).toFixed(0)} MiB`)} |`,
    `| filled in | ${both(({ fillSeconds }) => `${fillSeconds.toFixed(0)} s`)} |`,
    `| opened in | ${both(({ openMs }) => `${openMs.toFixed(0)} ms`)} |`,
    `| watched addresses read in | ${both(({ watchMs }) => `${watchMs.toFixed(0)} ms`)} |`,
    `| ${name === 'SQLite' ? 'statistics' : 'vacuum analyze'} | ${both(({ vacuumSeconds }) => `${vacuumSeconds.toFixed(1)} s`)} |`,
    '',
    '| operation | ms | ms, larger | × |',
    '|---|---|---|---|',
    // The others are faster than that at both sizes.
    ...compared
      .filter(({ then, now }) => Math.max(then.ms, now.ms) >= leastMs)
      .toSorted((a, b) => b.ratio - a.ratio || b.now.ms - a.now.ms)
      .map(({ path, then, now, ratio }) => {
        return `| ${path} | ${then.ms.toFixed(2)} | ${now.ms.toFixed(2)} | ${ratio.toFixed(1)} |`;
      }),
    ...slower.flatMap(({ path, then, now }) => [
      '',
      `\`${path}\`: ${then.plans.join('; ')}`,
      ...(then.plans.join() === now.plans.join()
        ? ['The same at the larger size.']
        : [`larger: ${now.plans.join('; ')}`]),
    ]),
  ];
}
