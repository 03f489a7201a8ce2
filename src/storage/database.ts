import { PostgresAdapter, sql } from 'kysely';
import type { Clock } from '../clock.ts';
import { CommandError, reasonOf } from '../errors.ts';
import { codeOf, isPlanChanged, isPreparationFault } from './faults.ts';
import { createGroupCommit } from './group-commit.ts';
import { isUpToDate, migrateToLatest } from './migrate.ts';
import { migrationLimits, openPostgres, runningLimits } from './postgres.ts';
import { certificateFault } from './postgres-tls.ts';
import type { Db, Trx } from './schema.ts';
import { endStart, openSqlite } from './sqlite.ts';
import { createWriteHealth, type WriteHealth } from './write-health.ts';

/**
 * Opens `sqlite:<path>` (absolute by now) or `postgres://…` and brings its tables up to date.
 *
 * @throws CommandError when the database is not ours, is newer than this program, or cannot be reached.
 */
export async function openDatabase(url: string): Promise<Db> {
  try {
    if (url.startsWith('sqlite:')) {
      const db = await migrated(openSqlite(url.slice('sqlite:'.length)));
      await endStart(db);
      return db;
    }
    // Building an index may take longer than any statement of a running daemon.
    const unlimited = await migrated(openPostgres(url, migrationLimits));
    await unlimited.destroy();
    return openPostgres(url, runningLimits);
  } catch (error) {
    throw asCommandError(url, error);
  }
}

function asCommandError(url: string, error: unknown): CommandError {
  if (error instanceof CommandError) return error;
  const reason = certificateFault(error) ?? reasonOf(error);
  return new CommandError(`cannot use the database ${nameOf(url)}: ${reason}`, { cause: error });
}

/** Opens it as it is; null where its tables are not those of this program yet. @throws CommandError as {@link openDatabase}. */
export async function openUnchanged(url: string): Promise<Db | null> {
  const db = url.startsWith('sqlite:')
    ? openSqlite(url.slice('sqlite:'.length))
    : openPostgres(url, runningLimits);
  try {
    if (await isUpToDate(db)) return db;
  } catch (error) {
    await db.destroy();
    throw asCommandError(url, error);
  }
  await db.destroy();
  return null;
}

async function migrated(db: Db): Promise<Db> {
  try {
    await migrateToLatest(db);
    return db;
  } catch (error) {
    await db.destroy();
    throw error;
  }
}

/** The file, or host and database name: the URL itself may hold a password. */
function nameOf(url: string): string {
  if (url.startsWith('sqlite:')) return url.slice('sqlite:'.length);
  const { host, pathname } = new URL(url);
  return `${host}${pathname}`;
}

export function isPostgres(db: Db): boolean {
  return db.getExecutor().adapter instanceof PostgresAdapter;
}

export type DatabaseTime = (db: Db, clock: Clock) => Promise<number>;

/**
 * Unix ms by the database's clock on PostgreSQL, whose processes may run on machines with clocks of their own; by `clock`
 * on SQLite, where one process owns the database. For times that are stored to be compared with later ones.
 */
export const databaseTime: DatabaseTime = async (db, clock) => {
  if (!isPostgres(db)) return clock();
  const { rows } = await sql<{ ms: number }>`
    select (extract(epoch from clock_timestamp()) * 1000)::bigint as ms`.execute(db);
  return rows[0]?.ms ?? clock();
};

type Writing = { health: WriteHealth; together: ReturnType<typeof createGroupCommit> };
const writings = new WeakMap<Db, Writing>();

function writingOf(db: Db): Writing {
  const writing = writings.get(db) ?? { health: createWriteHealth(), together: createGroupCommit(db) };
  writings.set(db, writing);
  return writing;
}

const fences = new WeakMap<Db, (trx: Trx) => Promise<void>>();

/**
 * The same database for one who may write only for a time: each transaction first runs `fence`, and is rolled back when
 * that throws.
 */
export function fencedBy(db: Db, fence: (trx: Trx) => Promise<void>): Db {
  const fenced = db.withoutPlugins();
  writings.set(fenced, writingOf(db));
  fences.set(fenced, fence);
  return fenced;
}

/** Why nothing can be written to the database, as far as this process has seen; null when something can. */
export function writeTrouble(db: Db): string | null {
  return writingOf(db).health.trouble();
}

/**
 * Runs `work` as one unit: all of it is on the disk when this resolves, nothing when it rejects. On SQLite it
 * shares its commit with others that come at the same time. On PostgreSQL a deadlock or serialization failure
 * rolls it back and runs it again, so `work` must not act on anything but `trx`. Never await the network
 * inside: on SQLite every other query of the process waits meanwhile.
 */
export async function inTransaction<T>(db: Db, work: (trx: Trx) => Promise<T>): Promise<T> {
  const { health, together } = writingOf(db);
  const fence = fences.get(db);
  let added = false;
  const noted = async (trx: Trx) => {
    added = false;
    await fence?.(trx);
    return work(
      trx.withPlugin({
        transformQuery({ node }) {
          added ||= node.kind === 'InsertQueryNode';
          return node;
        },
        transformResult: async ({ result }) => result,
      }),
    );
  };
  try {
    const result = isPostgres(db) ? await retried(db, noted) : await together(noted);
    if (added) health.succeeded();
    return result;
  } catch (error) {
    health.failed(error);
    throw error;
  }
}

async function retried<T>(db: Db, work: (trx: Trx) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await db.transaction().execute(work);
    } catch (error) {
      if (attempt >= 5 || !isTransient(error)) throw error;
    }
  }
}

/** PostgreSQL's serialization_failure and deadlock_detected, and a connection that has lost what it had prepared. */
function isTransient(error: unknown): boolean {
  const code = codeOf(error);
  return code === '40001' || code === '40P01' || isPreparationFault(error) || isPlanChanged(error);
}

/**
 * Makes rows appear in the order of their generated keys: on PostgreSQL, where a lower key can be committed
 * after a higher one, writers of `table` wait for each other until they commit. SQLite has one writer anyway.
 */
export async function serializeInserts(trx: Trx, table: 'events' | 'addresses'): Promise<void> {
  if (isPostgres(trx)) {
    // Whoever locks the table, such as a hold, is waited for before anything that it waits for itself is locked.
    if (table === 'addresses') await sql`lock table addresses in row exclusive mode`.execute(trx);
    await sql`select pg_advisory_xact_lock(${table === 'events' ? 7_301 : 7_302})`.execute(trx);
  }
}

/** Makes transactions that give the same `name` run one after the other. SQLite runs all of them so. */
export async function serializeByName(trx: Trx, name: string): Promise<void> {
  if (isPostgres(trx)) await sql`select pg_advisory_xact_lock(hashtextextended(${name}, 0))`.execute(trx);
}
