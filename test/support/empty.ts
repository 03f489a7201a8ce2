import { sql } from 'kysely';
import type { Db } from '../../src/storage/schema.ts';

/** Empties every table of ours on PostgreSQL, where making another database takes long. Numbers begin at 1 again. */
export async function emptyPostgres(db: Db): Promise<void> {
  const { rows } = await sql<{ name: string }>`select quote_ident(tablename) as name from pg_tables
    where schemaname = 'public' and tablename not like 'kysely%'`.execute(db);
  const names = rows.map(({ name }) => name).join(', ');
  await sql`truncate ${sql.raw(names)} restart identity cascade`.execute(db);
}
