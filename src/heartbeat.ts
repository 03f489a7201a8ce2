import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { Clock } from './clock.ts';
import { differingSections, type Fingerprint } from './config/fingerprint.ts';
import type { Role } from './core/roles.ts';
import type { Logger } from './log.ts';
import { databaseTime, inTransaction } from './storage/database.ts';
import { listMigrations, newerThanUs, unknownMigrations } from './storage/migrate.ts';
import {
  isAlive,
  listDaemons,
  type NotedPrice,
  noteDaemon,
  noteDaemonStopped,
} from './storage/operators/daemons.ts';
import type { Db } from './storage/schema.ts';
import { programVersion } from './version.ts';

export type Heartbeat = {
  /** By which other processes know this one. */
  id: string;
  /** Says that this process lives, and looks whether the others have the same configuration and version. */
  step(): Promise<void>;
  /** Says that it does not any more. */
  stop(): Promise<void>;
};

/** Tells the other processes on the database, and `depositd status`, of this one. */
export function createHeartbeat(deps: {
  db: Db;
  roles: ReadonlySet<Role>;
  configuration: Fingerprint;
  prices: () => readonly NotedPrice[];
  clock: Clock;
  log: Logger;
  /** Told why the database is not for this program any more. */
  outdated: (reason: string) => void;
}): Heartbeat {
  const { db, configuration, clock, log, outdated } = deps;
  const id = randomUUID();
  const own = {
    id,
    version: programVersion(),
    host: hostname(),
    pid: process.pid,
    roles: [...deps.roles],
    configuration,
  };
  /** Those whose configuration was complained of, with what differs. */
  let told = new Map<string, string>();
  let toldNewer = '';

  async function compare(): Promise<void> {
    const now = await databaseTime(db, clock);
    const found = new Map<string, string>();
    for (const other of await listDaemons(db)) {
      if (other.id === id || !isAlive(other, now)) continue;
      const sections = differingSections(configuration, other.configuration);
      if (sections.length === 0) continue;
      found.set(other.id, sections.join());
      if (told.get(other.id) === sections.join()) continue;
      log.warn({ other_host: other.host, other_pid: other.pid, sections }, 'configurations differ');
    }
    told = found;
  }

  /** A newer process may have changed the tables at any time. */
  async function lookAtMigrations(): Promise<void> {
    const applied = await listMigrations(db);
    const reason = newerThanUs(applied);
    if (reason !== null) return outdated(reason);
    const newer = unknownMigrations(applied).join();
    if (newer !== '' && newer !== toldNewer) log.warn({ migrations: newer.split(',') }, 'database is newer');
    toldNewer = newer;
  }

  return {
    id,
    async step() {
      const beat = { ...own, prices: deps.prices() };
      await inTransaction(db, (trx) => noteDaemon(trx, beat, { clock }));
      await compare();
      await lookAtMigrations();
    },
    stop: () => inTransaction(db, (trx) => noteDaemonStopped(trx, id, { clock })).catch(() => {}),
  };
}
