import { setTimeout } from 'node:timers/promises';
import { type Kysely, PostgresAdapter, sql } from 'kysely';
import { type Migration, Migrator } from 'kysely/migration';
import * as initial from '../../migrations/0001_initial.ts';
import { counted } from '../core/plural.ts';
import { CommandError } from '../errors.ts';
import { codeOf } from './faults.ts';
import { liftLimits } from './postgres.ts';
import type { Db } from './schema.ts';

type Migrations = Readonly<Record<string, Migration>>;

/**
 * Every migration ever released, in order. None is ever changed or removed.
 *
 * A name like `0003_labels_from_0002` says that programs which know 0002 go on working beside it: it only adds what they do not
 * use, or removes what they have stopped using (expand and contract). Without that ending every older program is refused.
 */
const migrations: Migrations = {
  '0001_initial': initial,
};

/**
 * Brings the tables up to date; several processes may try at once, beside older ones that go on working.
 *
 * @throws CommandError when the database was made by a newer version, or a migration fails.
 */
export async function migrateToLatest(db: Db, all = migrations): Promise<void> {
  // Most starts: and no lock that others wait for.
  if (await isUpToDate(db, all)) return;
  if (!isOnPostgres(db)) return migrate(db, all);
  for (let tries = 1; ; tries++) {
    try {
      return await migrateAlone(db, all);
    } catch (error) {
      if (tries >= mostTries || !wasInTheWay(error)) throw error;
    }
    // Those have their turn that queued up behind us.
    await setTimeout(tableWaitMs / 3);
  }
}

/**
 * How long a migration waits for a table, ms, and how often. Whoever wants that table queues up behind it: running daemons, which
 * give up a lock after seven seconds.
 */
const tableWaitMs = 3_000;
const mostTries = 20;

/** How long other processes' migrations are waited for: they may be building an index, ms. */
const otherMigrationMs = 600_000;

/** In one transaction, so that a process that is killed leaves all of it or nothing. */
async function migrateAlone(db: Db, all: Migrations): Promise<void> {
  await db.transaction().execute(async (trx) => {
    await liftLimits(trx, otherMigrationMs);
    // Before anything is made: several processes may start for the first time.
    await sql`select pg_advisory_xact_lock(${sql.lit(migrationLock)})`.execute(trx);
    await liftLimits(trx, tableWaitMs);
    await migrate(trx, all);
  });
}

/** A lock that did not come in time, or a deadlock with those who have it. */
function wasInTheWay(error: unknown): boolean {
  const code = codeOf((error as Error).cause ?? error);
  return code === '55P03' || code === '40P01';
}

async function migrate(db: Db, all: Migrations): Promise<void> {
  await refuseUnderOlder(db, all);
  const migrator = new Migrator({
    db,
    provider: { getMigrations: async () => ({ ...all }) },
    migrationTableName: 'depositd_migrations',
    migrationLockTableName: 'depositd_migrations_lock',
  });
  const { error } = await migrator.migrateToLatest();
  if (error !== undefined) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CommandError(`the database cannot be used: ${reason}`, { cause: error });
  }
}

/** A daemon that has not said so for longer does not live (operators/daemons.ts), ms. */
const aliveMs = 35_000;

/**
 * What running daemons use is not changed under them: a command of a new version is easily run too early.
 *
 * @throws CommandError naming one of them.
 */
async function refuseUnderOlder(db: Db, all: Migrations): Promise<void> {
  const tables = await db.introspection.getTables({ withInternalKyselyTables: true });
  if (!tables.some(({ name }) => name === 'depositd_migrations')) return;
  const applied = await listMigrations(db);
  const known = applied.toSorted().at(-1)?.slice(0, 4) ?? '9999';
  const breaking = Object.keys(all).filter(
    (name) => !applied.includes(name) && (oldestBeside(name) ?? '9999') > known,
  );
  if (breaking.length === 0) return;
  const now = isOnPostgres(db) ? sql`extract(epoch from clock_timestamp()) * 1000` : sql`${Date.now()}`;
  const { rows } = await sql<{ host: string; pid: number }>`
    select host, pid from daemons where stopped_at is null and seen_at > ${now} - ${sql.lit(aliveMs)}`.execute(
    db,
  );
  const [running] = rows;
  if (running === undefined) return;
  throw new CommandError(
    `this version changes what an older depositd uses that is running (on ${running.host}, process ${running.pid}); stop it first, or wait ${counted(aliveMs / 1000, 'second')} if it was killed`,
  );
}

/**
 * Whether the database has everything that this program needs.
 *
 * @throws CommandError when it is not ours, or newer than this program.
 */
export async function isUpToDate(db: Db, all = migrations): Promise<boolean> {
  const tables = await db.introspection.getTables({ withInternalKyselyTables: true });
  const names = tables.map((table) => table.name);
  if (!names.includes('depositd_migrations')) {
    // Views are the database's own affair (extensions, monitoring); a table means that somebody lives here.
    if (tables.every((table) => table.isView)) return false;
    throw new CommandError(
      'the database holds tables of another program; give depositd a database of its own',
    );
  }
  const applied = await listMigrations(db);
  const newer = newerThanUs(applied, all);
  if (newer !== null) throw new CommandError(`the database ${newer}`);
  return Object.keys(all).every((name) => applied.includes(name));
}

/** Any number, the same in every version. */
const migrationLock = 7_300;

function isOnPostgres(db: Db): boolean {
  return db.getExecutor().adapter instanceof PostgresAdapter;
}

/** The names of those that were applied to it. */
export async function listMigrations(db: Db): Promise<string[]> {
  const rows = await (db as unknown as Kysely<{ depositd_migrations: { name: string } }>)
    .selectFrom('depositd_migrations')
    .select('name')
    .orderBy('name')
    .execute();
  return rows.map(({ name }) => name);
}

/** Those of a newer version. */
export function unknownMigrations(applied: readonly string[], all = migrations): string[] {
  return applied.filter((name) => !(name in all));
}

/** Why a database to which these migrations were applied is not for this program, as a phrase; null when it is. */
export function newerThanUs(applied: readonly string[], all = migrations): string | null {
  const last = Object.keys(all).toSorted().at(-1)?.slice(0, 4) ?? '';
  const refusing = unknownMigrations(applied, all).filter((name) => (oldestBeside(name) ?? '9999') > last);
  if (refusing.length === 0) return null;
  return `was written by a newer depositd (it has ${refusing.join(', ')}); run that version or a later one`;
}

/** The number of the migration that a program must know to work beside this one; null: of this one itself. */
function oldestBeside(name: string): string | null {
  return /_from_(\d{4})$/.exec(name)?.[1] ?? null;
}
