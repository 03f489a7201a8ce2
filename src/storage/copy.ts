import Sqlite from 'better-sqlite3';
import { sql } from 'kysely';
import { systemClock } from '../clock.ts';
import { counted } from '../core/plural.ts';
import { CommandError, InvariantError, reasonOf } from '../errors.ts';
import type { RowCounts } from './backup.ts';
import { databaseTime } from './database.ts';
import { unknownMigrations } from './migrate.ts';
import { isAlive, listDaemons } from './operators/daemons.ts';
import { liftLimits } from './postgres.ts';
import type { Db, Schema, Trx } from './schema.ts';

type Table = keyof Schema;

/** Every table, after those that it refers to, with its columns of amounts. */
const tables: Readonly<Record<Table, readonly string[]>> = {
  merchants: [],
  brands: [],
  api_keys: [],
  users: [],
  recovery_codes: [],
  user_links: [],
  passkeys: [],
  user_sessions: [],
  derived_pools: [],
  addresses: [],
  pool_levels: [],
  address_returns: [],
  address_holds: [],
  checkout_sessions: ['price_amount', 'amount_usd_cents'],
  payments: ['expected_amount', 'price_amount', 'amount_usd_cents'],
  onchain_payments: ['required_amount', 'dust_amount', 'tier_amount', 'counted_amount', 'told_amount'],
  provider_intents: ['amount'],
  provider_payments: ['fee', 'net', 'refunded'],
  refunds: ['amount', 'refunded_before'],
  refund_records: ['amount', 'usd_cents'],
  inbound_events: [],
  providers: [],
  provider_unmatched: [],
  deposits: ['amount'],
  deposit_sums: ['amount'],
  received_sums: ['usd_cents'],
  balance_marks: ['balance'],
  chain_cursors: [],
  chain_anchors: [],
  chain_scans: [],
  chain_rechecks: [],
  rescans: [],
  chain_nodes: [],
  node_usage: [],
  node_measurements: [],
  pool_measurements: [],
  endpoint_measurements: [],
  slowed_chains: [],
  daemons: [],
  alerts: [],
  leases: [],
  events: [],
  pruned_events: [],
  webhook_endpoints: [],
  deliveries: [],
  delivery_attempts: [],
  idempotency_keys: [],
  audit_log: [],
};

/** What triggers write with the rows of another table is compared, and not written twice. */
const keptByTriggers: readonly Table[] = ['deposit_sums', 'received_sums'];

/** A table without rows that stand for nothing: they depend on what became of others, and when. */
function rowsOf(table: Table): string {
  return keptByTriggers.includes(table) ? `"${table}" where total > 0` : `"${table}"`;
}

/** Somebody may be looking into the new database, ms. */
const lockWaitMs = 60_000;

/** Rows in one statement: PostgreSQL takes 65,535 parameters in one. */
const atOnce = 1_000;

/** What a newer version added would be left behind. */
function refuseNewer(source: Sqlite.Database): void {
  const applied = source.prepare('select name from depositd_migrations').pluck().all() as string[];
  const newer = unknownMigrations(applied);
  if (newer.length > 0)
    throw new CommandError(
      `a newer depositd has worked on it (it has ${newer.join(', ')}); copy with that version`,
    );
}

/** Rows read, and the sum of each column of amounts in digits. */
type Tally = { rows: number; sums: Record<string, string> };

type Copying = {
  /** Writes more into the copy, with everything else or not at all. */
  note: (trx: Trx, counts: RowCounts) => Promise<void>;
  /** Told how many rows are copied, and of how many. */
  progress: (done: number, total: number) => void;
};

/**
 * Copies every row of a SQLite database, whose tables are up to date, into the empty tables of a PostgreSQL database, and
 * compares both. One transaction on each side: the source takes no writes meanwhile, and the target has everything when
 * this resolves, and nothing when it rejects or the process ends.
 *
 * @throws CommandError when the target is in use, or a row cannot be written.
 */
export async function copyToPostgres(
  sqlitePath: string,
  target: Db,
  { note, progress }: Copying,
): Promise<RowCounts> {
  const source = new Sqlite(sqlitePath, { fileMustExist: true });
  try {
    // What another command wrote from now on would be missing in the copy.
    source.exec('begin immediate');
    refuseNewer(source);
    return await target.transaction().execute(async (trx) => {
      await liftLimits(trx, lockWaitMs);
      // What triggers write is compared before the end.
      await sql`set constraints all immediate`.execute(trx);
      await refuseUsed(trx);
      const total = names.reduce((sum, table) => sum + countRows(source, table), 0);
      const counts: RowCounts = {};
      let done = 0;
      for (const table of names) {
        const read = await copyTable(source, trx, table, (rows) => {
          done += rows;
          progress(done, total);
        });
        await setSequence(source, trx, table);
        await compare(trx, table, read, countRows(source, table));
        counts[table] = read.rows;
      }
      await note(trx, counts);
      return counts;
    });
  } finally {
    source.close();
  }
}

const names = Object.keys(tables) as Table[];

function countRows(source: Sqlite.Database, table: Table): number {
  return source
    .prepare(`select count(*) from ${rowsOf(table)}`)
    .pluck()
    .get() as number;
}

/** Nobody writes there from now on. */
async function refuseUsed(trx: Trx): Promise<void> {
  const list = sql.join(names.map((table) => sql.table(table)));
  await sql`lock table ${list} in exclusive mode`.execute(trx);
  const now = await databaseTime(trx, systemClock);
  if ((await listDaemons(trx)).some((daemon) => isAlive(daemon, now))) {
    throw new CommandError('a daemon serves the target already; stop it, and copy into a new database');
  }
  const used: string[] = [];
  for (const table of names) {
    const row = await trx.selectFrom(table).select(sql.lit(1).as('one')).limit(1).executeTakeFirst();
    if (row !== undefined) used.push(table);
  }
  if (used.length === 0) return;
  throw new CommandError(
    `the target holds rows already (${used.slice(0, 3).join(', ')}${used.length > 3 ? ', …' : ''}); copy into a new database. A copy that was interrupted leaves none behind`,
  );
}

async function copyTable(
  source: Sqlite.Database,
  trx: Trx,
  table: Table,
  copied: (rows: number) => void,
): Promise<Tally> {
  const sums = new Map(tables[table].map((column) => [column, 0n]));
  let rows = 0;
  let batch: Record<string, unknown>[] = [];

  async function write(): Promise<void> {
    if (batch.length === 0) return;
    try {
      if (!keptByTriggers.includes(table))
        await trx
          .insertInto(table)
          .values(batch as never)
          .execute();
    } catch (error) {
      throw new CommandError(`rows of ${table} cannot be written: ${reasonOf(error)}`, { cause: error });
    }
    rows += batch.length;
    copied(batch.length);
    batch = [];
  }

  // 64-bit integers as such: none is rounded on its way.
  const all = source.prepare(`select * from ${rowsOf(table)} order by rowid`).safeIntegers();
  for (const row of all.iterate() as IterableIterator<Record<string, unknown>>) {
    // What is not there is no amount: a provider's fee that is not known yet.
    for (const [column, sum] of sums) {
      sums.set(column, sum + BigInt((row[column] ?? 0) as bigint | string | number));
    }
    batch.push(row);
    if (batch.length === atOnce) await write();
  }
  await write();
  return { rows, sums: Object.fromEntries([...sums].map(([column, sum]) => [column, sum.toString()])) };
}

/** Keys go on after the last one that was ever given, also where its row is deleted by now. */
async function setSequence(source: Sqlite.Database, trx: Trx, table: Table): Promise<void> {
  const last = source.prepare('select seq from sqlite_sequence where name = ?').pluck().get(table);
  if (last === undefined || last === 0) return;
  const key = source.prepare('select name from pragma_table_info(?) where pk = 1').pluck().get(table);
  const { rows } = await sql<{ last: number | null }>`
    select setval(pg_get_serial_sequence(${table}, ${key}), ${last}) as last`.execute(trx);
  if (rows[0]?.last !== last) throw new InvariantError(`the keys of ${table} do not go on after ${last}`);
}

async function compare(trx: Trx, table: Table, read: Tally, rowsInSource: number): Promise<void> {
  const written: Tally = { rows: 0, sums: {} };
  const rows = sql.raw(rowsOf(table));
  const answer = await sql<{ rows: number }>`select count(*) as rows from ${rows}`.execute(trx);
  written.rows = answer.rows[0]?.rows ?? 0;
  for (const column of tables[table]) {
    const added = await sql<{ sum: string }>`
      select coalesce(sum(${sql.ref(column)}::numeric), 0)::text as sum from ${rows}`.execute(trx);
    written.sums[column] = added.rows[0]?.sum ?? '';
  }
  if (read.rows === rowsInSource && JSON.stringify(written) === JSON.stringify(read)) return;
  throw new InvariantError(
    `${table} differs: ${counted(rowsInSource, 'row')}, read ${JSON.stringify(read)}, written ${JSON.stringify(written)}`,
  );
}
