import { PostgresAdapter, sql } from 'kysely';
import { type Migration, Migrator } from 'kysely/migration';
import * as initial from '../../migrations/0001_initial.ts';
import { CommandError } from '../errors.ts';
import type { Db } from './schema.ts';

/** Every migration ever released, in order. None is ever changed or removed. */
const migrations: Record<string, Migration> = {
  '0001_initial': initial,
};

/**
 * Brings the tables up to date; several processes may try at once.
 *
 * @throws CommandError when the database was made by a newer version, or a migration fails.
 */
export async function migrateToLatest(db: Db): Promise<void> {
  // Most starts: and no lock that others wait for.
  if (await isUpToDate(db)) return;
  if (!isOnPostgres(db)) return migrate(db);
  // Before anything is made: several processes may start for the first time.
  await db.transaction().execute(async (trx) => {
    await sql`select pg_advisory_xact_lock(${sql.lit(migrationLock)})`.execute(trx);
    await migrate(trx);
  });
}

async function migrate(db: Db): Promise<void> {
  const migrator = new Migrator({
    db,
    provider: { getMigrations: async () => migrations },
    migrationTableName: 'depositd_migrations',
    migrationLockTableName: 'depositd_migrations_lock',
  });
  const { error } = await migrator.migrateToLatest();
  if (error !== undefined) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CommandError(`the database cannot be used: ${reason}`, { cause: error });
  }
}

/** @throws CommandError when it is not ours, or newer than this program. */
async function isUpToDate(db: Db): Promise<boolean> {
  const tables = await db.introspection.getTables({ withInternalKyselyTables: true });
  const names = tables.map((table) => table.name);
  if (!names.includes('depositd_migrations')) {
    // Views are the database's own affair (extensions, monitoring); a table means that somebody lives here.
    if (tables.every((table) => table.isView)) return false;
    throw new CommandError(
      'the database holds tables of another program; give depositd a database of its own',
    );
  }
  const applied = await (db as unknown as import('kysely').Kysely<{ depositd_migrations: { name: string } }>)
    .selectFrom('depositd_migrations')
    .select('name')
    .execute();
  const newer = newerThanUs(applied.map(({ name }) => name));
  if (newer !== null) throw new CommandError(`the database ${newer}`);
  return Object.keys(migrations).every((name) => applied.some((one) => one.name === name));
}

/** Any number, the same in every version. */
const migrationLock = 7_300;

function isOnPostgres(db: Db): boolean {
  return db.getExecutor().adapter instanceof PostgresAdapter;
}

/** Why a database to which these migrations were applied is not for this program, as a phrase; null when it is. */
export function newerThanUs(applied: readonly string[]): string | null {
  const unknown = applied.filter((name) => !(name in migrations));
  if (unknown.length === 0) return null;
  return `was written by a newer depositd (it has ${unknown.join(', ')}); run that version or a later one`;
}
