import { type Clock, systemClock } from '../clock.ts';
import { databaseTime, isPostgres } from './database.ts';
import type { Db } from './schema.ts';

/**
 * The time of all processes on one PostgreSQL database: the database's, so that what one of them writes means the same
 * to the others, whatever their own clocks say. A SQLite database belongs to one process, and has that one's time.
 */
export type DatabaseClock = {
  clock: Clock;
  /** Asks the database for its time; in between our own steady clock goes on from there. */
  sync(): Promise<void>;
};

/** An answer that took longer tells the time too badly, ms. */
const slowMs = 1_000;

export async function createDatabaseClock(db: Db): Promise<DatabaseClock> {
  if (!isPostgres(db)) return { clock: systemClock, sync: async () => {} };
  let aheadMs: number | null = null;

  async function sync(): Promise<void> {
    const askedAt = performance.now();
    const now = await databaseTime(db, systemClock);
    const answeredAt = performance.now();
    if (aheadMs !== null && answeredAt - askedAt > slowMs) return;
    aheadMs = now - (askedAt + answeredAt) / 2;
  }

  await sync();
  return { clock: () => Math.round(performance.now() + (aheadMs ?? 0)), sync };
}
