import { setTimeout } from 'node:timers/promises';
import { sql } from 'kysely';
import pg from 'pg';
import type { Db } from '../../src/storage/schema.ts';

/*
 * Making a database takes PostgreSQL a hundred times as long as deleting the few rows of a test.
 */

/** A session that a server which is stopped ends without an error of ours. */
export async function connect(url: string): Promise<pg.Client> {
  const session = new pg.Client({ connectionString: url });
  session.on('error', () => {});
  await session.connect();
  return session;
}

/** Bytes that the deleted rows of former tests may take before the database is given up. */
const mostGrowth = 16 * 1024 ** 2;

export type Emptying = {
  /**
   * Ends all other sessions of the database and makes it what the template is, numbers beginning at 1 again. False when it
   * cannot, because tables or statistics are not the template's any more.
   */
  empty(session: pg.Client): Promise<boolean>;
};

/** Reads of a template with our tables how databases made from it are emptied. */
export async function prepareEmptying(templateUrl: string): Promise<Emptying> {
  const template = await connect(templateUrl);
  const names = async (text: string) => (await template.query<{ name: string }>(text)).rows;
  const tables = await names(
    `select quote_ident(tablename) as name from pg_tables
      where schemaname = 'public' and tablename not like 'depositd\\_migrations%'`,
  );
  const sequences = await names(`select quote_ident(sequencename) as name from pg_sequences`);
  const original = await fingerprint(template);
  await template.end();
  const statements = [
    // Foreign keys and the triggers of what may only grow stand aside.
    'set session_replication_role = replica',
    ...tables.map(({ name }) => `delete from ${name}`),
    `select ${sequences.map(({ name }) => `setval('${name}', 1, false)`).join(', ')}`,
    'set session_replication_role = default',
  ].join(';');

  return {
    empty: async (session) => {
      await endOthers(session);
      const { catalog, bytes } = await fingerprint(session);
      if (catalog !== original.catalog || bytes > original.bytes + mostGrowth) return false;
      await session.query(statements);
      return true;
    },
  };
}

/** What changes with every table, column, trigger, function, setting or statistic of a database, and its size. */
async function fingerprint(session: pg.Client): Promise<{ catalog: string; bytes: number }> {
  const { rows } = await session.query<{ catalog: string; bytes: string }>(
    `select concat_ws(' ',
        ${['pg_class', 'pg_attribute', 'pg_proc', 'pg_depend', 'pg_statistic']
          .map((name) => `(select count(*) || '/' || max(xmin::text::bigint) from ${name})`)
          .join(', ')},
        (select count(*) from pg_db_role_setting, pg_database
          where setdatabase = pg_database.oid and datname = current_database())) as catalog,
      pg_database_size(current_database()) as bytes`,
  );
  const [row] = rows;
  if (row === undefined) throw new Error('PostgreSQL says nothing of its catalog');
  return { catalog: row.catalog, bytes: Number(row.bytes) };
}

async function endOthers(session: pg.Client): Promise<void> {
  for (;;) {
    const { rowCount } = await session.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'`,
    );
    if (rowCount === 0) return;
    await setTimeout(2);
  }
}

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
