import {
  Kysely,
  PostgresAdapter,
  PostgresDialect,
  PostgresDriver,
  type PostgresPool,
  type PostgresPoolClient,
  sql,
} from 'kysely';
import pg from 'pg';
import { parsePostgresUrl } from '../core/postgres-url.ts';
import { CommandError } from '../errors.ts';
import { isConnectionFault, isPlanChanged, isPreparationFault } from './faults.ts';
import { tlsOptions } from './postgres-tls.ts';
import { askBackend, isDirect, statementName } from './prepared.ts';
import type { Db, Schema } from './schema.ts';
import { askTimeline, createTimelines, isUnaskable, rememberTimelines, type Timelines } from './timeline.ts';

/** How long anything may take, ms; `answer` 0: as long as it likes. */
export type Limits = {
  /** Until a transaction whose process says nothing is rolled back: it may hold what all others wait for. */
  idleInTransaction: number;
  /** Until a statement that waits for a lock is given up. */
  lock: number;
  /** Until the server gives a statement up. */
  statement: number;
  /** Until we give up a connection on which nothing comes. */
  answer: number;
  /** Until a connection is free, or made. */
  connect: number;
};

/**
 * Each outlasts the one before: a process that hangs is cut off before those who wait for it give up, and the server
 * ends a statement, and says so, before we close the connection.
 */
export const runningLimits: Limits = {
  idleInTransaction: 5_000,
  lock: 7_000,
  statement: 10_000,
  answer: 12_000,
  connect: 8_000,
};

/** For migrations and the like, whose transactions lift those of the server ({@link liftLimits}). */
export const migrationLimits: Limits = { ...runningLimits, answer: 0, connect: 10_000 };

/** A server that hears nothing of us for a minute ends the session: a machine that is gone holds no connection. */
const keepAlive = { idleSeconds: 30, everySeconds: 10, count: 3 };

/**
 * Opens a pool of connections. A connection that broke, or on which an answer did not come in time, is closed and
 * never used again.
 *
 * @throws CommandError when the URL, or a certificate that it names, cannot be read.
 */
export function openPostgres(url: string, limits: Limits): Db {
  return databaseOn(openPool(url, limits));
}

export type Pool = { pool: PostgresPool; timelines: Timelines };

export function databaseOn({ pool, timelines }: Pool): Db {
  return rememberTimelines(new Kysely<Schema>({ dialect: new FaultTolerantDialect({ pool }) }), timelines);
}

/** For {@link openPostgres}, and for tests, which open one for many databases. */
export function openPool(url: string, limits: Limits): Pool {
  // 64-bit integers arrive as text; ours are ids, heights and milliseconds, all far below 2^53.
  const types = {
    getTypeParser: ((oid: number, format?: 'text') =>
      oid === 20 ? Number : pg.types.getTypeParser(oid, format)) as typeof pg.types.getTypeParser,
  };
  const direct = new WeakSet<pg.ClientBase>();
  // As statements: a pooler between us and the server refuses parameters of the session that it does not know.
  const begin = async (client: pg.ClientBase) => {
    const results = await setUp(client);
    const [{ pid, timeline } = {}] = (results as unknown as pg.QueryResult<Told>[]).at(-1)?.rows ?? [];
    if (isDirect(client, pid)) direct.add(client);
    timelines.note(timeline);
  };
  const timelines = createTimelines();
  const setUp = async (client: pg.ClientBase) => {
    const settings = sessionSettings(limits);
    if (timelines.asked) {
      try {
        return await client.query(`${settings};${askBackend}, (${askTimeline})`);
      } catch (error) {
        if (!isUnaskable(error)) throw error;
        timelines.asked = false;
      }
    }
    return client.query(`${settings};${askBackend}`);
  };
  const pool = new pg.Pool({
    ...connectionOptions(url, limits),
    max: 10,
    types,
    onConnect: (client) => begin(client) as unknown as undefined,
  });
  // An idle connection that breaks is replaced by the pool at the next query, which reports what matters.
  pool.on('error', () => {});
  return { pool: withoutBroken(pool, direct), timelines };
}

/** What a connection is told by its server when it begins. */
type Told = { pid?: unknown; timeline?: unknown };

function connectionOptions(url: string, limits: Pick<Limits, 'connect' | 'answer'>): pg.ClientConfig {
  const parsed = parsePostgresUrl(url);
  if ('error' in parsed) throw new CommandError(`the database's URL cannot be used: ${parsed.error}`);
  const { bare, tls } = parsed;
  return {
    connectionString: bare,
    ssl: tls === null ? false : tlsOptions(tls),
    sslnegotiation: tls?.direct ? 'direct' : 'postgres',
    connectionTimeoutMillis: limits.connect,
    query_timeout: limits.answer,
    keepAlive: true,
    keepAliveInitialDelayMillis: keepAlive.idleSeconds * 1000,
  };
}

/**
 * Listens to a channel of the server on a connection of its own. Whether anything ever arrives is for the caller to see: a
 * pooler takes the statement too.
 */
export async function listenOn(
  url: string,
  channel: string,
  heard: { on: (payload: string) => void; ended: () => void },
): Promise<{ close(): Promise<void> }> {
  const client = new pg.Client(connectionOptions(url, runningLimits));
  // Both come when a connection breaks, and an error that nobody hears ends the process.
  client.on('error', heard.ended);
  client.on('end', heard.ended);
  client.on('notification', ({ payload = '' }) => heard.on(payload));
  const close = () => client.end().catch(() => {});
  try {
    await client.connect();
    await client.query(`listen ${channel}`);
    return { close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Tells whoever listens. Never within a transaction that does more: those that notify commit one after the other. */
export async function notifyAll(db: Db, channel: string, payload: string): Promise<void> {
  await sql`select pg_notify(${channel}, ${payload})`.execute(db);
}

/**
 * Lets the statements of this transaction take as long as they like, and wait `lockMs` for a lock. For it alone: behind a pooler a
 * setting of the session would stay with whoever gets the session next.
 */
export async function liftLimits(trx: Db, lockMs: number): Promise<void> {
  await sql`set local statement_timeout = 0`.execute(trx);
  await sql`set local idle_in_transaction_session_timeout = 60000`.execute(trx);
  await sql`set local lock_timeout = ${sql.lit(lockMs)}`.execute(trx);
}

function sessionSettings(limits: Limits): string {
  return [
    // One plan for all values would suit most of them: lists of a rare status would read the table from end to end.
    'set plan_cache_mode = force_custom_plan',
    `set idle_in_transaction_session_timeout = ${limits.idleInTransaction}`,
    `set lock_timeout = ${limits.lock}`,
    `set statement_timeout = ${limits.statement}`,
    `set tcp_keepalives_idle = ${keepAlive.idleSeconds}`,
    `set tcp_keepalives_interval = ${keepAlive.everySeconds}`,
    `set tcp_keepalives_count = ${keepAlive.count}`,
  ].join(';');
}

/** Gives out no connection that was silent since another one broke: what broke one may have broken all. */
function withoutBroken(pool: pg.Pool, direct: WeakSet<pg.ClientBase>): PostgresPool {
  const answeredAt = new WeakMap<pg.PoolClient, number>();
  let brokeAt = Number.NEGATIVE_INFINITY;
  let preparing = true;
  /** How often a table was found to be changed: what was prepared before has other names. */
  let changes = 0;

  function lend(client: pg.PoolClient): PostgresPoolClient {
    let broken: Error | null = null;
    const onError = (error: Error) => {
      broken ??= error;
    };
    // Nobody may be asking when the server ends a session, and an error that nobody hears ends the process.
    client.on('error', onError);
    /** Whether what fails now takes what was done before with it. */
    let inTransaction = false;
    const ask = async (text: string, parameters: readonly unknown[]) => {
      const name =
        preparing && direct.has(client) ? statementName(text, parameters.length, changes) : undefined;
      const values = parameters as unknown[];
      const result = await client.query(name === undefined ? { text, values } : { name, text, values });
      answeredAt.set(client, performance.now());
      return result;
    };
    const query = async (text: string, parameters: readonly unknown[]) => {
      if (broken !== null) throw broken;
      if (/^(begin|start transaction)\b/.test(text)) inTransaction = true;
      else if (/^(commit|rollback)$/.test(text)) inTransaction = false;
      const known = changes;
      try {
        return await ask(text, parameters);
      } catch (error) {
        if (isPreparationFault(error)) {
          // Somebody between us and the server hides well.
          preparing = false;
          broken ??= error as Error;
        }
        if (isPlanChanged(error)) {
          // Whatever any connection prepared before is not asked for any more.
          if (changes === known) changes += 1;
          if (!inTransaction) return ask(text, parameters);
        }
        if (isConnectionFault(error)) {
          broken ??= error as Error;
          brokeAt = performance.now();
        }
        throw error;
      }
    };
    return {
      query: query as unknown as PostgresPoolClient['query'],
      release: (destroy) => {
        client.release(broken ?? destroy);
        client.off('error', onError);
      },
    };
  }

  return {
    options: pool.options,
    end: () => pool.end(),
    connect: async () => {
      for (;;) {
        const client = await pool.connect();
        // The first use of a connection is its beginning: the pool has just set it up.
        const answered = answeredAt.get(client) ?? performance.now();
        if (answered >= brokeAt) return lend(client);
        client.release(true);
      }
    },
  };
}

class FaultTolerantDialect extends PostgresDialect {
  readonly #pool: PostgresPool;

  constructor(config: { pool: PostgresPool }) {
    super(config);
    this.#pool = config.pool;
  }

  override createDriver(): PostgresDriver {
    return new FaultTolerantDriver({ pool: this.#pool });
  }

  override createAdapter(): PostgresAdapter {
    return new SessionlessAdapter();
  }
}

/**
 * Kysely's lock lasts for a session, and so for ever behind a pooler that gives each transaction another one. Ours lasts for the
 * transaction that migrates (migrate.ts).
 */
class SessionlessAdapter extends PostgresAdapter {
  override async acquireMigrationLock(): Promise<void> {}

  override async releaseMigrationLock(): Promise<void> {}
}

class FaultTolerantDriver extends PostgresDriver {
  override async rollbackTransaction(
    connection: Parameters<PostgresDriver['rollbackTransaction']>[0],
  ): Promise<void> {
    try {
      await super.rollbackTransaction(connection);
    } catch {
      // The connection is closed, which rolls back as well; what happened first counts.
    }
  }
}
