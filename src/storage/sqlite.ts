import { accessSync, constants, existsSync, lstatSync, readlinkSync, realpathSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import Sqlite from 'better-sqlite3';
import {
  CompiledQuery,
  type DatabaseConnection,
  Kysely,
  SqliteAdapter,
  type SqliteDatabase,
  SqliteDialect,
  SqliteDriver,
  SqliteQueryCompiler,
  type SqliteStatement,
  sql,
} from 'kysely';
import { CommandError, reasonOf } from '../errors.ts';
import { ensureFile, ensureFolder } from '../files.ts';
import type { Db, Schema } from './schema.ts';

/** Marks a SQLite file as ours ("depo" in ASCII). */
export const applicationId = 0x6465706f;

/** How long another process may bring the tables up to date before our start gives up, ms. */
const startTimeoutMs = 10_000;

/** SQLite waits for a lock with the whole process: never for longer than this, ms. `inTransaction` tries again. */
const busyTimeoutMs = 20;

/**
 * It is left without statistics (ANALYZE, PRAGMA optimize): to take them reads every index from end to end while nothing else
 * is done, minutes at 10⁷ payments, and those of a table's first ten rows made SQLite read it from end to end when it had
 * millions. Without any it takes tables to be large and indexes to be good, which test/storage/plans.test.ts holds us to.
 */
export function openSqlite(path: string): Db {
  const database = cachingStatements(openFile(path));
  return new Kysely<Schema>({ dialect: new ImmediateSqliteDialect({ database, isInPlace: placeOf(path) }) });
}

/** From now on the process answers others: no statement makes all of it wait. */
export async function endStart(db: Db): Promise<void> {
  await sql.raw(`pragma busy_timeout = ${busyTimeoutMs}`).execute(db);
}

/** The file itself, where links lead, whether it is there or not. */
export function fileOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    const isLink = lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() ?? false;
    return isLink ? resolve(dirname(path), readlinkSync(path)) : path;
  }
}

/** Is there while a restore replaces the database, and after one that was interrupted. */
export function restoreMark(path: string): string {
  return `${fileOf(path)}.restoring`;
}

/** @throws CommandError where the database may be half of one: neither what it was, nor what it will be. */
export function refuseHalfRestored(path: string): void {
  if (!existsSync(restoreMark(path))) return;
  throw new CommandError(
    `a restore of the database ${path} is going on, or was interrupted: "depositd serve" puts it back as it was before, "depositd restore FILE" does and begins again`,
  );
}

function openFile(path: string): Sqlite.Database {
  let file: Sqlite.Database | undefined;
  try {
    if (path !== ':memory:') {
      refuseHalfRestored(path);
      ensureFolder(dirname(path));
      // Created by us first, so that neither the file nor its -wal and -shm are ever readable by others.
      if (!existsSync(path)) ensureFile(fileOf(path));
    }
    file = new Sqlite(path, { timeout: startTimeoutMs });
    claimFile(file);
    file.pragma('journal_mode = WAL');
    file.pragma('synchronous = FULL');
    file.pragma('foreign_keys = ON');
    // What numeric is on PostgreSQL: the triggers of deposit_sums use it.
    file.function('add_amounts', { deterministic: true }, (amount, other) =>
      (BigInt(amount as string) + BigInt(other as string)).toString(),
    );
    return file;
  } catch (error) {
    file?.close();
    if (error instanceof CommandError) throw error;
    const reason = whyNotOpened(path, constants.R_OK | constants.W_OK, error);
    throw new CommandError(`cannot open the database ${path}: ${reason}`, { cause: error });
  }
}

/** SQLite says no more than that it could not open a file; what stands against it, the operating system knows. */
export function whyNotOpened(path: string, access: number, error: unknown): string {
  try {
    if (statSync(path).isDirectory()) return 'it is a folder';
    accessSync(path, access);
    // Its log is written beside it.
    if ((access & constants.W_OK) !== 0) accessSync(dirname(path), access);
  } catch (refusal) {
    return reasonOf(refusal);
  }
  return reasonOf(error);
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

/** What tells whether the file that was opened just now is still the one of its name. */
function placeOf(path: string): () => boolean {
  if (path === ':memory:') return () => true;
  const numberOf = () => statSync(path, { bigint: true, throwIfNoEntry: false })?.ino;
  const opened = numberOf();
  return () => numberOf() === opened;
}

type DialectConfig = { database: SqliteDatabase; isInPlace: () => boolean };

class ImmediateSqliteDialect extends SqliteDialect {
  readonly #config: DialectConfig;

  constructor(config: DialectConfig) {
    super(config);
    this.#config = config;
  }

  override createDriver(): SqliteDriver {
    return new ImmediateSqliteDriver(this.#config);
  }

  override createAdapter(): SqliteAdapter {
    return new TransactionalSqliteAdapter();
  }

  override createQueryCompiler(): SqliteQueryCompiler {
    return new StableSqliteQueryCompiler();
  }
}

/**
 * Writes `+?` where a value comes, which is the same to SQLite but for the plan. Ours is built with STAT4: it looks at the values
 * of bare parameters when it plans, and so compiles many a statement anew each time it is given some, which takes several
 * times as long as running it (https://sqlite.org/queryplanner-ng.html#qpsg). An index over `status = 'seen'` needs that
 * text in the statement then: `sql.lit`.
 */
class StableSqliteQueryCompiler extends SqliteQueryCompiler {
  protected override getCurrentParameterPlaceholder(): string {
    return '+?';
  }
}

/**
 * Takes the write lock at the start: a read that later writes would fail beside another process's write. Writes nothing into a file
 * that another has replaced, or that is gone: with the next start it would be lost.
 */
class ImmediateSqliteDriver extends SqliteDriver {
  readonly #isInPlace: () => boolean;

  constructor({ isInPlace, ...config }: DialectConfig) {
    super(config);
    this.#isInPlace = isInPlace;
  }

  override async beginTransaction(connection: DatabaseConnection): Promise<void> {
    if (!this.#isInPlace()) {
      // As SQLite itself calls it, where it looks: not with a write-ahead log.
      const code = 'SQLITE_READONLY_DBMOVED';
      throw Object.assign(new Error('the database file was moved or replaced while it was open'), { code });
    }
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
