import { randomUUID } from 'node:crypto';
import { existsSync, statSync } from 'node:fs';
import Sqlite from 'better-sqlite3';
import { sql } from 'kysely';
import { within } from '../clock.ts';
import type { Config } from '../config.ts';
import { counted } from '../core/plural.ts';
import { reasonOf } from '../errors.ts';
import { openUnchanged } from '../storage/database.ts';
import { listenOn, notifyAll } from '../storage/postgres.ts';
import { certificateFault } from '../storage/postgres-tls.ts';
import type { Db } from '../storage/schema.ts';
import { applicationId, restoreMark } from '../storage/sqlite.ts';
import { type Finding, findingsOf } from './finding.ts';

/** Of larger files only the structure is looked at, and not each index against its table. */
const mostChecked = 2 * 1024 ** 3;

/** Reads a SQLite file from end to end, beside a running daemon, and changes nothing. */
export function checkSqlite(path: string): Finding {
  const { well, warning, danger } = findingsOf('database', path, {
    money: 'payments, addresses and webhooks in the damaged part are lost, and more with each day it goes on',
    todo: 'stop the daemon, keep the file, and restore the last backup (depositd restore FILE)',
  });
  if (existsSync(restoreMark(path)))
    return danger('a restore is going on, or was interrupted', {
      money: 'nothing is recorded until it is whole again',
      todo: 'start the daemon, which puts it back as it was before, or run depositd restore FILE again',
    });
  if (!existsSync(path))
    return warning('there is none yet', { money: 'none yet', todo: 'start the daemon, which makes it' });
  let file: Sqlite.Database | undefined;
  try {
    file = new Sqlite(path, { readonly: true, fileMustExist: true });
    if (file.pragma('application_id', { simple: true }) !== applicationId)
      return danger('it is a database of another program', {
        money: 'no payment can be made',
        todo: 'name another file in "database"',
      });
    const whole = statSync(path).size <= mostChecked;
    const found = file.pragma(whole ? 'integrity_check(3)' : 'quick_check(3)') as Record<string, unknown>[];
    const faults = found.flatMap((row) => Object.values(row)).filter((said) => said !== 'ok');
    return faults.length === 0 ? well('whole') : danger(`it is damaged: ${faults.join('; ').slice(0, 300)}`);
  } catch (error) {
    return danger(`it cannot be read: ${reasonOf(error)}`);
  } finally {
    file?.close();
  }
}

/** Before the first start, or the first of this version. */
export function olderTables(subject: string): Finding {
  const meaning = { money: 'none', todo: 'start the daemon, which brings them up to date' };
  return findingsOf('database', subject, meaning).warning('its tables are not those of this version yet');
}

/** Null where it cannot be looked into; then the finding says why. */
export async function checkPostgres(url: string): Promise<{ db: Db | null; finding: Finding }> {
  const { well, warning, danger } = findingsOf('database', new URL(url).host, {
    money: 'without it nothing is recorded: payments are neither made nor seen',
    todo: 'look at "database", and at the server',
  });
  const startedAt = performance.now();
  try {
    const db = await openUnchanged(url);
    if (db === null) return { db, finding: olderTables(new URL(url).host) };
    const tookMs = Math.round(performance.now() - startedAt);
    const found = `it answers, ${counted(tookMs, 'millisecond')} to connect`;
    const far = { money: 'everything takes longer', todo: 'put the daemon near the database' };
    return { db, finding: tookMs > 3_000 ? warning(found, far) : well(found) };
  } catch (error) {
    return { db: null, finding: danger(reasonOf(error)) };
  }
}

/** What the server says of itself that decides whether payments can be made, and whether one that was made can be lost. */
export async function checkServer(db: Db, subject: string): Promise<Finding[]> {
  const { warning, danger } = findingsOf('database', subject, {
    money: 'no payment can be made, and none that is seen is recorded',
    todo: 'let "database" name the server that takes writes',
  });
  const money =
    'after a crash of the server the last payments are unknown: what customers pay for them comes as unmatched money';
  const { rows } = await sql<{
    standby: boolean;
    read_only: string;
    fsync: string;
    commit: string;
    waited_for: string;
    standbys: number;
  }>`select pg_is_in_recovery() as standby, current_setting('transaction_read_only') as read_only,
    current_setting('fsync') as fsync, current_setting('synchronous_commit') as commit,
    current_setting('synchronous_standby_names') as waited_for,
    (select count(*)::int from pg_stat_replication) as standbys`.execute(db);
  const server = rows[0];
  if (server === undefined) return [];
  if (server.standby) return [danger('it is a standby, which takes no writes')];
  if (server.read_only === 'on')
    return [danger('it is read-only', { todo: 'look at default_transaction_read_only, and at its disk' })];
  const found: Finding[] = [];
  const refusal = await writeRefusal(db);
  if (refusal !== null)
    found.push(danger(refusal, { todo: "give depositd's role all rights on its tables" }));
  if (server.fsync === 'off')
    found.push(danger('fsync is off: a power cut can destroy it', { money, todo: 'set fsync = on' }));
  if (server.commit === 'off')
    found.push(
      danger('synchronous_commit is off: it answers before it has written', {
        money,
        todo: 'set synchronous_commit = on, for the role depositd at least',
      }),
    );
  else if (server.standbys > 0 && (server.waited_for === '' || server.commit === 'local'))
    found.push(
      warning(`it waits for none of ${counted(server.standbys, 'standby server')}`, {
        money:
          'when one of them takes its place the last payments may be unknown: what customers pay for them comes as unmatched money',
        todo: 'name them in synchronous_standby_names (docs/operations.md, PostgreSQL)',
      }),
    );
  return found;
}

/** Changes no row. Null: it may write. */
async function writeRefusal(db: Db): Promise<string | null> {
  try {
    await sql`update payments set status = status where false`.execute(db);
    return null;
  } catch (error) {
    return reasonOf(error);
  }
}

/** How long a signal may take from one session of the server to another, ms. */
const signalPatienceMs = 2_000;

/** Whether what one process tells reaches the others at once: through a pooler in transaction mode it does not. */
export async function checkSignals(
  db: Db,
  { database, databaseDirect }: Pick<Config, 'database' | 'databaseDirect'>,
  patienceMs = signalPatienceMs,
): Promise<Finding> {
  const url = databaseDirect ?? database;
  const { well, warning } = findingsOf('database signals', new URL(url).host, {
    money: 'none is lost; where several processes run, each hears of what others did half a second later',
    todo:
      databaseDirect === null
        ? 'set "databaseDirect" to the URL of this database without its pooler'
        : 'let "databaseDirect" name the same database as "database", without a pooler',
  });
  const heard = Promise.withResolvers<void>();
  const payload = randomUUID();
  const on = (said: string) => said === payload && heard.resolve();
  try {
    const listening = await listenOn(url, 'depositd_doctor', { on, ended: () => {} });
    try {
      await notifyAll(db, 'depositd_doctor', payload);
      return (await within(heard.promise, patienceMs))
        ? well('NOTIFY arrives')
        : warning(
            'NOTIFY does not arrive: there is a pooler in transaction mode on the way, or another database',
          );
    } finally {
      await listening.close();
    }
  } catch (error) {
    return warning(`nobody can listen: ${certificateFault(error) ?? reasonOf(error)}`);
  }
}
