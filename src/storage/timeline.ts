import { sql } from 'kysely';
import { codeOf } from './faults.ts';
import type { Db } from './schema.ts';

/*
 * PostgreSQL begins a new timeline when a standby is promoted, or when a recovery to a point in time ends. What was committed on
 * the timeline before and had not reached that server is lost. So is what came after a dump that takes the place of the database: its
 * tables are others, by their ids.
 */

/** Selects on which timeline the server is, and which tables these are, as the column `timeline`; null on a standby and without tables. */
export const askTimeline = `select case when pg_is_in_recovery() then null else
  substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)
  || ' ' || (select oid from pg_database where datname = current_database())
  || ' ' || to_regclass('payments')::oid end as timeline`;

/** Which timelines the connections of one pool have shown. */
export type Timelines = {
  /** Whether the server answers the question; false once it has refused. */
  asked: boolean;
  note(timeline: unknown): void;
  /** How often the timeline was another one than the time before. */
  changes(): number;
};

export function createTimelines(): Timelines {
  let last: string | null = null;
  let changes = 0;
  return {
    asked: true,
    note(timeline) {
      if (typeof timeline !== 'string') return;
      if (last !== null && last !== timeline) changes += 1;
      last = timeline;
    },
    changes: () => changes,
  };
}

const timelinesOf = new WeakMap<Db, Timelines>();

export function rememberTimelines(db: Db, timelines: Timelines): Db {
  timelinesOf.set(db, timelines);
  return db;
}

/** How often the database has shown itself on another timeline; always 0 on SQLite. */
export function timelineChanges(db: Db): number {
  return timelinesOf.get(db)?.changes() ?? 0;
}

/** Asks the server again, on any connection: behind a pooler a failover opens no new connection of ours. */
export async function lookAtTimeline(db: Db): Promise<void> {
  const timelines = timelinesOf.get(db);
  if (timelines === undefined || !timelines.asked) return;
  try {
    const { rows } = await sql<{ timeline: string | null }>`${sql.raw(askTimeline)}`.execute(db);
    timelines.note(rows[0]?.timeline);
  } catch (error) {
    if (!isUnaskable(error)) throw error;
    timelines.asked = false;
  }
}

/** Whether the server cannot tell its timeline, because it lacks the functions or does not allow them. */
export function isUnaskable(error: unknown): boolean {
  return /^(42|0A)...$|^55000$/.test(codeOf(error) ?? '');
}
