import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CompiledQuery, sql } from 'kysely';
import { createSecrets, generateSecret } from '../src/notify/secrets.ts';
import { inTransaction, isPostgres, openDatabase } from '../src/storage/database.ts';
import { migrationLimits, openPostgres } from '../src/storage/postgres.ts';
import { forgetOnce } from '../src/storage/retention.ts';
import type { Db, Trx } from '../src/storage/schema.ts';
import { pruneDeliveries } from '../src/storage/webhooks/upkeep.ts';
import { createWatchlist } from '../src/watchers/watchlist.ts';
import { type Asked, listenToQueries } from '../test/support/asked-queries.ts';
import { startCluster } from '../test/support/cluster.ts';
import { fillDatabase } from '../test/support/filled-database.ts';
import { type HotPaths, hotPaths } from '../test/support/hot-paths.ts';
import { writeResults } from './support/results.ts';
import { buildProgram, serve } from './support/serve.ts';

/*
 * A database after years: `npm run bench -- growth [SMALL LARGE ADDRESSES sqlite|postgres FOLDER]`, by default 10⁴ and 10⁷ payments with as
 * many deposits, and 10⁶ addresses, on both databases. What steps and requests ask is measured at both sizes in turn, so that
 * what else the machine does slows both, with its plans where it takes more than twice as long. 10⁷ take some 25 GB of
 * disk on SQLite, and more on PostgreSQL. With FOLDER the SQLite files stay there, and are filled only once.
 */

const now = Date.UTC(2026, 4, 24, 12, 0, 0);

/** Of these the median counts. */
const rounds = 11;

/** Below this, ms, a ratio says more about the machine than about the query. */
const leastMs = 0.5;
const mostRatio = 2;

/** Passes of retention that are timed, each of at most 500 rows of each table. */
const passes = 10;

type Measured = Map<string, { ms: number; plans: string[] }>;
type Size = { payments: number; addresses: number };
type Filled = Size & {
  fillSeconds: number | null;
  tidySeconds: number;
  bytes: number;
  openMs: number;
  watchMs: number;
};
type Started = { readyMs: number; residentMb: number };
type Place = {
  url: string;
  filled: boolean;
  bytes: (db: Db) => Promise<number>;
  /** What PostgreSQL does now and then; SQLite is left without statistics. */
  tidy: (db: Db) => Promise<unknown>;
};
type Side = {
  db: Db;
  filled: Filled;
  paths: HotPaths;
  measured: Measured;
  forgetMs: number[];
  started: Started;
};

export async function run(args: string[]): Promise<void> {
  const small = Number(args[0] ?? 10_000);
  const large = Number(args[1] ?? 10_000_000);
  const addresses = Number(args[2] ?? 1_000_000);
  const kinds = (['sqlite', 'postgres'] as const).filter((kind) => (args[3] ?? kind) === kind);
  // As large a pool for each payment at both sizes would leave none for the small one.
  const sizes = [
    { payments: small, addresses: Math.min(addresses, 1_000) },
    { payments: large, addresses },
  ];
  buildProgram();
  for (const kind of kinds) {
    const lines = await (kind === 'sqlite' ? onSqlite(sizes, args[4]) : onPostgres(sizes));
    console.log(lines.join('\n'));
    writeResults(`growth on ${kind === 'sqlite' ? 'SQLite' : 'PostgreSQL'}`, lines);
  }
}

async function onSqlite(sizes: readonly Size[], kept: string | undefined): Promise<string[]> {
  const folder = kept ?? mkdtempSync(join(tmpdir(), 'depositd-bench-'));
  const paths = sizes.map(({ payments }) => join(folder, `${payments}.db`));
  const places = paths.map((path) => ({
    url: `sqlite:${path}`,
    filled: existsSync(path),
    bytes: async () => statSync(path).size,
    tidy: async () => {},
  }));
  try {
    return await compare('SQLite', sizes, places);
  } finally {
    if (kept === undefined) rmSync(folder, { recursive: true, force: true });
  }
}

async function onPostgres(sizes: readonly Size[]): Promise<string[]> {
  const cluster = await startCluster({ durable: true });
  try {
    const places: Place[] = [];
    for (const _ of sizes)
      places.push({
        url: await cluster.lendDatabase(false),
        filled: false,
        bytes: sizeOnPostgres,
        tidy: (db) => sql.raw('vacuum analyze').execute(db),
      });
    return await compare('PostgreSQL', sizes, places);
  } finally {
    await cluster.stop();
  }
}

async function sizeOnPostgres(db: Db): Promise<number> {
  const { rows } = await sql<{
    bytes: number;
  }>`select pg_database_size(current_database()) as bytes`.execute(db);
  return Number(rows[0]?.bytes);
}

async function compare(name: string, sizes: readonly Size[], places: readonly Place[]): Promise<string[]> {
  const sides: Side[] = [];
  try {
    for (const [n, size] of sizes.entries()) sides.push(await prepare(places[n] as Place, size));
    // The first pass compiles and reads from the disk what all of them use.
    await measure(sides);
    await measure(sides);
    await forget(sides);
    // Last: by its clock everything is over, and it acts on that.
    for (const [n, side] of sides.entries()) side.started = await start((places[n] as Place).url);
    const [before, after] = sides as [Side, Side];
    return describe(name, before, after);
  } finally {
    for (const { db } of sides) await db.destroy();
  }
}

async function prepare({ url, filled: isFilled, bytes, tidy }: Place, size: Size): Promise<Side> {
  console.log(`${new Date().toISOString()}: filling ${size.payments.toLocaleString('en')} payments…`);
  const fillSeconds = isFilled ? null : await secondsOf(() => fill(url, size));
  const openMs = 1000 * (await secondsOf(async () => (await openDatabase(url)).destroy()));
  const db = await openUnlimited(url);
  console.log(`${new Date().toISOString()}: vacuum…`);
  const tidySeconds = await secondsOf(() => tidy(db));
  const watch = createWatchlist('evm', { afterMs: 0, clock: () => now });
  const watchMs = 1000 * (await secondsOf(() => watch.refresh(db)));
  const filled = {
    ...size,
    fillSeconds,
    tidySeconds,
    bytes: await bytes(db),
    openMs,
    watchMs,
  };
  console.log(filled);
  return {
    db,
    filled,
    paths: hotPaths({ payments: size.payments, now }),
    measured: new Map(),
    forgetMs: [],
    started: { readyMs: 0, residentMb: 0 },
  };
}

/** Without the limits of a running daemon: statements here take minutes. */
async function openUnlimited(url: string): Promise<Db> {
  const db = await openDatabase(url);
  if (!isPostgres(db)) return db;
  await db.destroy();
  return openPostgres(url, { ...migrationLimits, statement: 0 });
}

/** One transaction of millions of rows: nothing is lost when it fails. */
async function fill(url: string, size: Size): Promise<void> {
  const db = await openUnlimited(url);
  try {
    const before = isPostgres(db)
      ? ['alter system set full_page_writes = off', 'select pg_reload_conf()']
      : ['journal_mode = memory', 'synchronous = off', 'cache_size = -4000000', 'foreign_keys = off'].map(
          (pragma) => `pragma ${pragma}`,
        );
    for (const setting of before) await sql.raw(setting).execute(db);
    await fillDatabase(db, { ...size, now });
    const after = isPostgres(db)
      ? ['alter system reset full_page_writes', 'select pg_reload_conf()']
      : ['pragma journal_mode = wal'];
    for (const setting of after) await sql.raw(setting).execute(db);
  } finally {
    await db.destroy();
  }
}

/** A whole daemon on it, whose node is never to be reached; as it is after a start. */
async function start(url: string): Promise<Started> {
  const folder = mkdtempSync(join(tmpdir(), 'depositd-bench-'));
  const configPath = join(folder, 'config.json');
  const secretKey = randomBytes(32);
  const db = await openDatabase(url);
  const sealed = createSecrets(secretKey, 'the benchmark').seal(generateSecret(), 'we_1');
  await sql`update webhook_endpoints set secret = ${sealed}`.execute(db);
  await db.destroy();
  writeFileSync(
    configPath,
    JSON.stringify({
      publicUrl: 'https://pay.example.com',
      listen: { host: '127.0.0.1', port: 0 },
      database: url,
      adminToken: 'not-used-by-the-benchmark-0123456789',
      rates: { sources: ['fixed'], fixed: { usdt: '1', usdc: '1', busd: '1', bnb: '600' } },
      chains: { bsc: { rpc: ['http://127.0.0.1:1/'] } },
      webhooks: { secretKey: secretKey.toString('base64') },
    }),
  );
  try {
    const served = await serve(configPath);
    const status = readFileSync(`/proc/${served.child.pid}/status`, 'utf8');
    await served.stop();
    return { readyMs: served.readyMs, residentMb: Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024 };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function secondsOf(work: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await work();
  return (performance.now() - begun) / 1000;
}

/** Each operation at one size and then at the other, in turn. */
async function measure(sides: readonly Side[]): Promise<void> {
  for (const name of Object.keys(sides[0]?.paths ?? {})) {
    const times = sides.map((): number[] => []);
    for (let round = 0; round < rounds; round++) {
      for (const [n, { db, paths }] of sides.entries())
        await undone(db, async (trx) => {
          times[n]?.push(1000 * (await secondsOf(async () => paths[name]?.(trx))));
        });
    }
    for (const [n, side] of sides.entries())
      side.measured.set(name, { ms: medianOf(times[n] ?? []), plans: await plansOf(side, name) });
  }
}

function medianOf(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

async function plansOf({ db, paths }: Side, name: string): Promise<string[]> {
  const asked = new Map<string, Asked>();
  let plans: string[] = [];
  await undone(db, async (trx) => {
    await listenToQueries(
      (query) => asked.set(query.text, query),
      async () => paths[name]?.(trx),
    );
    plans = (await Promise.all([...asked.values()].map((query) => planOf(trx, query)))).flat();
  });
  return plans;
}

/** Half of what is there is old enough. Deliveries first, as in the daemon: their events are kept as long. */
async function forget(sides: readonly Side[]): Promise<void> {
  for (let pass = 0; pass < passes; pass++)
    for (const { db, filled, forgetMs } of sides) {
      const eventRetentionMs = (filled.payments / 2) * 60_000;
      const seconds = await secondsOf(async () => {
        await inTransaction(db, (trx) => pruneDeliveries(trx, now - eventRetentionMs, 500));
        await forgetOnce(db, { now, eventRetentionMs });
      });
      forgetMs.push(1000 * seconds);
    }
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
  const started = (of: (started: Started) => string) => `${of(before.started)} | ${of(after.started)}`;
  return [
    `${(perThousand / 1024 ** 2).toFixed(1)} MiB for each 1,000 payments, with all that belongs to them. Of ${compared.length} operations ${slower.length} take more than ${mostRatio} times as long at the larger size (below ${leastMs} ms counts as that).`,
    '',
    '| | smaller | larger |',
    '|---|---|---|',
    `| payments, deposits | ${both(({ payments }) => count(payments))} |`,
    `| addresses | ${both(({ addresses }) => count(addresses))} |`,
    `| size | ${both(({ bytes }) => `${(bytes / 1024 ** 2).toFixed(0)} MiB`)} |`,
    `| daemon ready after | ${started(({ readyMs }) => `${readyMs.toFixed(0)} ms`)} |`,
    `| memory of it then | ${started(({ residentMb }) => `${residentMb.toFixed(0)} MB`)} |`,
    `| filled in | ${both(({ fillSeconds }) => (fillSeconds === null ? 'before' : `${fillSeconds.toFixed(0)} s`))} |`,
    `| opened in | ${both(({ openMs }) => `${openMs.toFixed(0)} ms`)} |`,
    `| watched addresses read in | ${both(({ watchMs }) => `${watchMs.toFixed(0)} ms`)} |`,
    ...(name === 'SQLite'
      ? []
      : [`| vacuum analyze | ${both(({ tidySeconds }) => `${tidySeconds.toFixed(2)} s`)} |`]),
    `| a pass of retention, median (longest) of ${passes} | ${[before, after].map(({ forgetMs }) => `${medianOf(forgetMs).toFixed(0)} (${Math.max(...forgetMs).toFixed(0)}) ms`).join(' | ')} |`,
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
