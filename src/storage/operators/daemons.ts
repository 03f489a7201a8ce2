import type { Clock } from '../../clock.ts';
import type { Role } from '../../core/roles.ts';
import { type DatabaseTime, databaseTime } from '../database.ts';
import type { Db, Trx } from '../schema.ts';

/** A price as a daemon had it. */
export type NotedPrice = {
  coin: string;
  usd: string | null;
  sources: readonly string[];
  reason: string | null;
};

/** A process that serves this database, or did. Times are Unix ms, as `databaseTime` tells them. */
export type NotedDaemon = {
  id: string;
  version: string;
  startedAt: number;
  /** When it last said that it lives. */
  seenAt: number;
  /** When it was stopped in an orderly way; null: it was not. */
  stoppedAt: number | null;
  prices: readonly NotedPrice[];
  /** The name of its machine. */
  host: string;
  pid: number;
  roles: readonly Role[];
  /** A hash for each section of its configuration that all must have in common. */
  configuration: Readonly<Record<string, string>>;
};

/** What it tells of itself. */
export type Beat = Omit<NotedDaemon, 'startedAt' | 'seenAt' | 'stoppedAt'>;

/** How often a daemon says that it lives, ms. */
export const heartbeatMs = 10_000;

/** One that has not said so for this long is dead, or its database was away, ms. */
const patienceMs = 3.5 * heartbeatMs;

/** Those that ended are remembered for so long, ms. */
const memoryMs = 7 * 24 * 60 * 60 * 1000;

/** What tells the time of a beat. */
type Timing = {
  clock: Clock;
  /** For tests, whose time is their own. */
  timeOf?: DatabaseTime;
};

/** Says that a daemon lives, and forgets those that ended long ago. */
export async function noteDaemon(
  trx: Trx,
  daemon: Beat,
  { clock, timeOf = databaseTime }: Timing,
): Promise<void> {
  const { id, version, host, pid } = daemon;
  const seenAt = await timeOf(trx, clock);
  const prices = JSON.stringify(daemon.prices);
  await trx
    .insertInto('daemons')
    .values({
      id,
      version,
      started_at: seenAt,
      seen_at: seenAt,
      stopped_at: null,
      prices,
      host,
      pid,
      roles: daemon.roles.join(' '),
      configuration: JSON.stringify(daemon.configuration),
    })
    .onConflict((conflict) => conflict.column('id').doUpdateSet({ seen_at: seenAt, prices }))
    .execute();
  await trx
    .deleteFrom('daemons')
    .where('seen_at', '<', seenAt - memoryMs)
    .execute();
}

export async function noteDaemonStopped(
  trx: Trx,
  id: string,
  { clock, timeOf = databaseTime }: Timing,
): Promise<void> {
  const at = await timeOf(trx, clock);
  await trx.updateTable('daemons').set({ stopped_at: at, seen_at: at }).where('id', '=', id).execute();
}

/** The last seen first. */
export async function listDaemons(db: Db): Promise<NotedDaemon[]> {
  const rows = await db
    .selectFrom('daemons')
    .select([
      'id',
      'version',
      'started_at',
      'seen_at',
      'stopped_at',
      'prices',
      'host',
      'pid',
      'roles',
      'configuration',
    ])
    .orderBy('seen_at', 'desc')
    .execute();
  return rows.map((row) => ({
    id: row.id,
    version: row.version,
    startedAt: row.started_at,
    seenAt: row.seen_at,
    stoppedAt: row.stopped_at,
    prices: JSON.parse(row.prices) as NotedPrice[],
    host: row.host,
    pid: row.pid,
    roles: row.roles.split(' ') as Role[],
    configuration: JSON.parse(row.configuration) as NotedDaemon['configuration'],
  }));
}

export function isAlive({ seenAt, stoppedAt }: NotedDaemon, now: number): boolean {
  return stoppedAt === null && now - seenAt <= patienceMs;
}

/**
 * By how many ms at least the clock was set back since a daemon last said that it lives: 0 where it was not. What was said
 * later than `now` was said by now, so that it is noticed once.
 */
export async function noteSetBack(trx: Trx, now: number): Promise<number> {
  const { last } = await trx
    .selectFrom('daemons')
    .select((eb) => eb.fn.max('seen_at').as('last'))
    .executeTakeFirstOrThrow();
  if (last === null || last <= now) return 0;
  await trx.updateTable('daemons').set({ seen_at: now }).where('seen_at', '>', now).execute();
  return last - now;
}
