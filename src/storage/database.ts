import { closeSync, existsSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import Sqlite from 'better-sqlite3';
import {
  CompiledQuery,
  type DatabaseConnection,
  Kysely,
  PostgresAdapter,
  PostgresDialect,
  SqliteAdapter,
  type SqliteDatabase,
  SqliteDialect,
  SqliteDriver,
  type SqliteStatement,
  sql,
} from 'kysely';
import pg from 'pg';
import { CommandError } from '../errors.ts';
import { createGroupCommit } from './group-commit.ts';
import { migrateToLatest } from './migrate.ts';
import type { Db, Schema, Trx } from './schema.ts';

/** Marks a SQLite file as ours ("depo" in ASCII). */
const applicationId = 0x6465706f;

/** How long another process of ours may hold the file before a statement gives up, ms. */
const busyTimeoutMs = 10_000;

/** How long a PostgreSQL server may take to accept a connection, ms. */
const connectTimeoutMs = 10_000;

/**
 * Opens `sqlite:<path>` (absolute by now) or `postgres://…` and brings its tables up to date.
 *
 * @throws CommandError when the database is not ours, is newer than this program, or cannot be reached.
 */
export async function openDatabase(url: string): Promise<Db> {
  const db = url.startsWith('sqlite:') ? openSqlite(url.slice('sqlite:'.length)) : openPostgres(url);
  try {
    await migrateToLatest(db);
    return db;
  } catch (error) {
    await db.destroy();
    if (error instanceof CommandError) throw error;
    throw new CommandError(`cannot use the database ${nameOf(url)}: ${reasonOf(error)}`, { cause: error });
  }
}

/** The file, or host and database name: the URL itself may hold a password. */
function nameOf(url: string): string {
  if (url.startsWith('sqlite:')) return url.slice('sqlite:'.length);
  const { host, pathname } = new URL(url);
  return `${host}${pathname}`;
}

function reasonOf(error: unknown): string {
  // A host with several addresses fails with one error for each and no message of its own.
  if (error instanceof AggregateError) return error.errors.map(reasonOf).join(', ');
  return error instanceof Error ? error.message : String(error);
}

export function isPostgres(db: Db): boolean {
  return db.getExecutor().adapter instanceof PostgresAdapter;
}

const groupCommits = new WeakMap<Db, ReturnType<typeof createGroupCommit>>();

/**
 * Runs `work` as one unit: all of it is on the disk when this resolves, nothing when it rejects. On SQLite it
 * shares its commit with others that come at the same time. On PostgreSQL a deadlock or serialization failure
 * rolls it back and runs it again, so `work` must not act on anything but `trx`. Never await the network
 * inside: on SQLite every other query of the process waits meanwhile.
 */
export async function inTransaction<T>(db: Db, work: (trx: Trx) => Promise<T>): Promise<T> {
  if (!isPostgres(db)) {
    const together = groupCommits.get(db) ?? createGroupCommit(db);
    groupCommits.set(db, together);
    return together(work);
  }
  for (let attempt = 1; ; attempt++) {
    try {
      return await db.transaction().execute(work);
    } catch (error) {
      if (attempt >= 5 || !isTransient(error)) throw error;
    }
  }
}

/** PostgreSQL's serialization_failure and deadlock_detected. */
function isTransient(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code;
  return code === '40001' || code === '40P01';
}

/**
 * Makes rows appear in the order of their generated keys: on PostgreSQL, where a lower key can be committed
 * after a higher one, writers of `table` wait for each other until they commit. SQLite has one writer anyway.
 */
export async function serializeInserts(trx: Trx, table: 'events' | 'addresses'): Promise<void> {
  if (isPostgres(trx)) {
    await sql`select pg_advisory_xact_lock(${table === 'events' ? 7_301 : 7_302})`.execute(trx);
  }
}

/** Makes transactions that give the same `name` run one after the other. SQLite runs all of them so. */
export async function serializeByName(trx: Trx, name: string): Promise<void> {
  if (isPostgres(trx)) await sql`select pg_advisory_xact_lock(hashtextextended(${name}, 0))`.execute(trx);
}

function openSqlite(path: string): Db {
  return new Kysely<Schema>({
    dialect: new ImmediateSqliteDialect({ database: cachingStatements(openFile(path)) }),
  });
}

function openFile(path: string): Sqlite.Database {
  if (path !== ':memory:') {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    // Created by us first, so that neither the file nor its -wal and -shm are ever readable by others.
    if (!existsSync(path)) closeSync(openSync(path, 'a', 0o600));
  }
  let file: Sqlite.Database | undefined;
  try {
    file = new Sqlite(path, { timeout: busyTimeoutMs });
    claimFile(file);
    file.pragma('journal_mode = WAL');
    file.pragma('synchronous = FULL');
    file.pragma('foreign_keys = ON');
    return file;
  } catch (error) {
    file?.close();
    if (error instanceof CommandError) throw error;
    throw new CommandError(`cannot open the database ${path}: ${reasonOf(error)}`, { cause: error });
  }
}

/** Refuses a file that another program made, and signs a new one. */
function claimFile(file: Sqlite.Database): void {
  const signature = file.pragma('application_id', { simple: true });
  if (signature === applicationId) return;
  const tables = file.prepare('select count(*) as n from sqlite_schema').get() as { n: number };
  if (signature !== 0 || tables.n > 0) {
    throw new CommandError(`${file.name} is a database of another program; choose another file for depositd`);
  }
  file.pragma(`application_id = ${applicationId}`);
}

class ImmediateSqliteDialect extends SqliteDialect {
  readonly #database: SqliteDatabase;

  constructor(config: { database: SqliteDatabase }) {
    super(config);
    this.#database = config.database;
  }

  override createDriver(): SqliteDriver {
    return new ImmediateSqliteDriver({ database: this.#database });
  }

  override createAdapter(): SqliteAdapter {
    return new TransactionalSqliteAdapter();
  }
}

/** Takes the write lock at the start: a read that later writes would fail beside another process's write. */
class ImmediateSqliteDriver extends SqliteDriver {
  override async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('begin immediate'));
  }

  override async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    try {
      await super.rollbackTransaction(connection);
    } catch (error) {
      // After some faults, a full disk for one, SQLite has rolled back already; what happened first counts.
      if (!String(error).includes('no transaction is active')) throw error;
    }
  }
}

/** Lets the migrator use a transaction: else a crash within a migration would leave half of it behind. */
class TransactionalSqliteAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true;
  }
}

/** Kysely prepares each query anew; compiling is most of a small statement's cost, so the result is kept. */
function cachingStatements(file: Sqlite.Database): SqliteDatabase {
  const statements = new Map<string, SqliteStatement>();
  return {
    close: () => file.close(),
    prepare: (text) => {
      let statement = statements.get(text);
      if (statement === undefined) {
        statement = file.prepare(text) as unknown as SqliteStatement;
        // Lists of parameters of many lengths must not fill the memory.
        if (statements.size >= 500) statements.clear();
        statements.set(text, statement);
      }
      return statement;
    },
  };
}

function openPostgres(url: string): Db {
  if (!URL.canParse(url))
    throw new CommandError('the database is not a valid URL; expected postgres://user:password@host/name');
  // 64-bit integers arrive as text; ours are ids, heights and milliseconds, all far below 2^53.
  const types = {
    getTypeParser: ((oid: number, format?: 'text') =>
      oid === 20 ? Number : pg.types.getTypeParser(oid, format)) as typeof pg.types.getTypeParser,
  };
  const pool = new pg.Pool({
    connectionString: url,
    max: 10,
    connectionTimeoutMillis: connectTimeoutMs,
    types,
  });
  // An idle connection that breaks is replaced by the pool at the next query, which reports what matters.
  pool.on('error', () => {});
  return new Kysely<Schema>({ dialect: new PostgresDialect({ pool }) });
}
