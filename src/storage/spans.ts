import { type RawBuilder, sql } from 'kysely';
import { isPostgres } from './database.ts';
import type { Db } from './schema.ts';

/*
 * SQLite has no statistics of our tables (see openSqlite), and takes any one value of a column to be rare and any span of time to be
 * short. Where that is wrong it is told so here: otherwise it reads all payments of a status for those of an hour, or all of a
 * month for those of a status.
 */

/** Of payments of a span of `confirmed_at`: most are confirmed, so that it is not what they are looked for by. */
export const mostlyConfirmed = sql<boolean>`payments.status || '' = 'confirmed'`;

/** A bound of a span in which many rows may be, beside a column by which they are looked for. */
export function longSpan(db: Db, column: string, operator: '>' | '<', at: number): RawBuilder<boolean> {
  const bound = sql<boolean>`${sql.ref(column)} ${sql.raw(operator)} ${at}`;
  return isPostgres(db) ? bound : sql<boolean>`likelihood(${bound}, 0.95)`;
}
