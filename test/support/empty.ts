import { setTimeout } from 'node:timers/promises';
import { sql } from 'kysely';
import pg from 'pg';
import { isPostgres } from '../../src/storage/database.ts';
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
   * Makes the database what the template is, numbers beginning at 1 again. False when it cannot, because tables or statistics are
   * not the template's any more. Waits for whoever holds a lock: {@link endOthers}.
   */
  empty(session: pg.Client): Promise<boolean>;
};

/** Reads of a template with our tables how databases made from it are emptied. */
export async function prepareEmptying(templateUrl: string): Promise<Emptying> {
  const template = await connect(templateUrl);
  const names = async (text: string) => (await template.query<{ name: string }>(text)).rows;
  const tables = await names(ourTables);
  const sequences = await names(ourSequences);
  const original = await fingerprint(template);
  await template.end();
  const filled = { name: 'filled', text: filledOf(tables) };
  const restart = restartOf(sequences);

  return {
    empty: async (session) => {
      const { catalog, bytes } = await fingerprint(session);
      if (catalog !== original.catalog || bytes > original.bytes + mostGrowth) return false;
      const { rows } = await session.query<{ name: string }>(filled);
      await session.query(
        ['begin', withoutChecks, ...rows.map(({ name }) => `delete from ${name}`), restart, 'commit'].join(
          ';',
        ),
      );
      return true;
    },
  };
}

const ourTables = `select quote_ident(tablename) as name from pg_tables
  where schemaname = 'public' and tablename not like 'depositd\\_migrations%'`;

const ourSequences = 'select quote_ident(sequencename) as name from pg_sequences';

/** To look which tables have rows takes less than to delete from all. */
function filledOf(tables: readonly { name: string }[]): string {
  return tables
    .map(({ name }) => `select '${name}' as name where exists (select 1 from ${name})`)
    .join(' union all ');
}

/** Foreign keys and the triggers of what may only grow stand aside. */
const withoutChecks = 'set local session_replication_role = replica';

function restartOf(sequences: readonly { name: string }[]): string {
  return `select ${sequences.map(({ name }) => `setval('${name}', 1, false)`).join(', ')}`;
}

/** Below it are the numbers of PostgreSQL's own objects, of which there are thousands. */
const firstOfOurs = 16_384;

/** Each with its column of numbers. */
const catalogs = {
  pg_class: 'oid',
  pg_attribute: 'attrelid',
  pg_proc: 'oid',
  pg_depend: 'objid',
  pg_statistic: 'starelid',
};

/** What changes with every table, column, trigger, function, setting or statistic of a database, and its size. */
async function fingerprint(session: pg.Client): Promise<{ catalog: string; bytes: number }> {
  const { rows } = await session.query<{ catalog: string; bytes: string }>(
    `select concat_ws(' ',
        ${Object.entries(catalogs)
          .map(
            ([name, id]) =>
              `(select count(*) || '/' || max(xmin::text::bigint) from ${name} where ${id} >= ${firstOfOurs})`,
          )
          .join(', ')},
        (select count(*) from pg_db_role_setting, pg_database
          where setdatabase = pg_database.oid and datname = current_database())) as catalog,
      pg_database_size(current_database()) as bytes`,
  );
  const [row] = rows;
  if (row === undefined) throw new Error('PostgreSQL says nothing of its catalog');
  return { catalog: row.catalog, bytes: Number(row.bytes) };
}

/** Ends all other sessions of the database. */
export async function endOthers(session: pg.Client): Promise<void> {
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
 * Empties the tables of a database that one history after the other is lived through in: making another takes longer. Numbers
 * begin at 1 again. On SQLite the audit log, which can only grow, stays.
 */
export async function emptyDatabase(db: Db): Promise<void> {
  if (isPostgres(db)) await emptyPostgres(db);
  else await emptySqlite(db);
}

async function emptyPostgres(db: Db): Promise<void> {
  await db.transaction().execute(async (trx) => {
    const read = async (text: string) => (await sql.raw<{ name: string }>(text).execute(trx)).rows;
    const filled = await read(filledOf(await read(ourTables)));
    // To truncate takes each table, its indexes and what is beside them a new file.
    await sql.raw(withoutChecks).execute(trx);
    for (const { name } of filled) await sql.raw(`delete from ${name}`).execute(trx);
    await sql.raw(restartOf(await read(ourSequences))).execute(trx);
  });
}

async function emptySqlite(db: Db): Promise<void> {
  const run = async (text: string) => (await sql.raw<{ name: string }>(text).execute(db)).rows;
  const tables = await run(`select '"' || name || '"' as name from sqlite_schema where type = 'table'
    and name not like 'depositd\\_migrations%' escape '\\' and name not in ('audit_log', 'sqlite_sequence')`);
  // SQLite does not change it within a transaction.
  await run('pragma foreign_keys = off');
  await run('begin immediate');
  for (const { name } of await run(filledOf(tables))) await run(`delete from ${name}`);
  await run(`delete from sqlite_sequence where name <> 'audit_log'`);
  await run('commit');
  await run('pragma foreign_keys = on');
}
