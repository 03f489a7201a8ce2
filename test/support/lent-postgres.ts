import type { PostgresPool } from 'kysely';
import { databaseOn, openPool, type Pool, runningLimits } from '../../src/storage/postgres.ts';
import type { Db } from '../../src/storage/schema.ts';
import { createPostgresDatabase } from './postgres-desk.ts';

/*
 * Databases of PostgreSQL whose connections stay from test to test: to begin one, and what the server reads of the tables at its first
 * statements, takes longer than most tests do.
 */

export type LentDatabase = { db: Db; close(): Promise<void> };

type Kept = Pool & Pick<Awaited<ReturnType<typeof createPostgresDatabase>>, 'empty' | 'remove'>;

/** Empty ones that no test of this process has. */
const free: Kept[] = [];

/** A migrated database without rows. Closing it waits for what still runs on it. */
export async function lendPostgres(): Promise<LentDatabase> {
  const kept = free.pop() ?? (await open());
  const pool = lend(kept.pool);
  const db = databaseOn({ ...kept, pool });
  const close = async () => {
    await db.destroy();
    // Without a query the database has not ended it.
    await pool.end();
    if (await kept.empty()) {
      free.push(kept);
      return;
    }
    await kept.pool.end();
    await kept.remove();
  };
  return { db, close };
}

async function open(): Promise<Kept> {
  const { url, ...more } = await createPostgresDatabase(true);
  return { ...openPool(url, runningLimits), ...more };
}

/** As a pool of its own: after its end it gives no connection, and that lasts until all are returned. */
function lend(whole: PostgresPool): PostgresPool {
  let [ended, lent] = [false, 0];
  const back = Promise.withResolvers<void>();
  const giveBack = () => {
    lent -= 1;
    if (ended && lent === 0) back.resolve();
  };
  return {
    options: whole.options,
    connect: async () => {
      if (ended) throw new Error('Cannot use a pool after calling end on the pool');
      lent += 1;
      try {
        const client = await whole.connect();
        return {
          query: client.query,
          release: (destroy) => {
            client.release(destroy);
            giveBack();
          },
        };
      } catch (error) {
        giveBack();
        throw error;
      }
    },
    end: async () => {
      ended = true;
      if (lent > 0) await back.promise;
    },
  };
}
