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
  const migrator = new Migrator({
    db,
    provider: { getMigrations: async () => migrations },
    migrationTableName: 'depositd_migrations',
    migrationLockTableName: 'depositd_migrations_lock',
  });
  await refuseNewer(db);
  const { error } = await migrator.migrateToLatest();
  if (error !== undefined) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CommandError(`the database cannot be used: ${reason}`, { cause: error });
  }
}

async function refuseNewer(db: Db): Promise<void> {
  const tables = await db.introspection.getTables({ withInternalKyselyTables: true });
  const names = tables.map((table) => table.name);
  if (!names.includes('depositd_migrations')) {
    // Views are the database's own affair (extensions, monitoring); a table means that somebody lives here.
    if (tables.every((table) => table.isView)) return;
    throw new CommandError(
      'the database holds tables of another program; give depositd a database of its own',
    );
  }
  const applied = await (db as unknown as import('kysely').Kysely<{ depositd_migrations: { name: string } }>)
    .selectFrom('depositd_migrations')
    .select('name')
    .execute();
  const unknown = applied.filter((row) => !(row.name in migrations));
  if (unknown.length > 0) {
    throw new CommandError(
      `the database was written by a newer depositd (it has ${unknown.map((row) => row.name).join(', ')}); run that version or a later one`,
    );
  }
}
