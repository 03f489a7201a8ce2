import { sql } from 'kysely';
import { codeOf } from './faults.ts';
import type { Db } from './schema.ts';

/*
 * PostgreSQL numbers its histories: one that begins where a standby is promoted, or a recovery to a point in time ends, is
 * another timeline. What was committed on the one before and had not got there is lost.
 */

/** As the first column of a statement; null on a standby. */
export const askTimeline =
  'select case when pg_is_in_recovery() then null else substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) end as timeline';

/** What the connections of one pool have shown. */
export type Timelines = {
  /** Whether the server can be asked. */
  asked: boolean;
  note(timeline: unknown): void;
  /** How often another one was shown than before. */
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

/** Asks on any connection: behind a pooler a new server has no new connection of ours. */
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

/** Whether this server, of whatever make, does not tell: no such function, not allowed, not supported. */
export function isUnaskable(error: unknown): boolean {
  return /^(42|0A)...$|^55000$/.test(codeOf(error) ?? '');
}
