import { sql } from 'kysely';
import type { Db } from '../../src/storage/schema.ts';

/**
 * Empties the tables on PostgreSQL, where making another database takes long. Numbers begin at 1 again. The audit
 * log can only grow.
 */
export async function emptyPostgres(db: Db): Promise<void> {
  const { rows } = await sql<{ name: string }>`select quote_ident(tablename) as name from pg_tables
    where schemaname = 'public' and tablename not like 'kysely%' and tablename <> 'audit_log'`.execute(db);
  const names = rows.map(({ name }) => name).join(', ');
  await sql`truncate ${sql.raw(names)} restart identity cascade`.execute(db);
}
