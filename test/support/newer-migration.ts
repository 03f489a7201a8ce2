import { type Kysely, sql } from 'kysely';

/** With DEPOSITD_TEST_KILL_IN_MIGRATION its process dies between the two. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`alter table payments add column label text`.execute(db);
  if (process.env.DEPOSITD_TEST_KILL_IN_MIGRATION === '1') process.kill(process.pid, 'SIGKILL');
  await sql`create table labels (name text primary key)`.execute(db);
}
