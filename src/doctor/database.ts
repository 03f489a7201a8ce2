import { existsSync, statSync } from 'node:fs';
import Sqlite from 'better-sqlite3';
import { counted } from '../core/plural.ts';
import { reasonOf } from '../errors.ts';
import { openDatabase } from '../storage/database.ts';
import type { Db } from '../storage/schema.ts';
import { applicationId } from '../storage/sqlite.ts';
import { type Finding, findingsOf } from './finding.ts';

/** Of larger files only the structure is looked at, and not each index against its table. */
const mostChecked = 2 * 1024 ** 3;

/** Reads a SQLite file from end to end, beside a running daemon, and changes nothing. */
export function checkSqlite(path: string): Finding {
  const { well, warning, danger } = findingsOf('database', path, {
    money: 'payments, addresses and webhooks in the damaged part are lost, and more with each day it goes on',
    todo: 'stop the daemon, keep the file, and restore the last backup (depositd restore FILE)',
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

/** Null where it cannot be opened; then the finding says why. */
export async function checkPostgres(url: string): Promise<{ db: Db | null; finding: Finding }> {
  const { well, warning, danger } = findingsOf('database', new URL(url).host, {
    money: 'without it nothing is recorded: payments are neither made nor seen',
    todo: 'look at "database", and at the server',
  });
  const startedAt = performance.now();
  try {
    const db = await openDatabase(url);
    const tookMs = Math.round(performance.now() - startedAt);
    const found = `it answers, ${counted(tookMs, 'millisecond')} to connect`;
    const far = { money: 'everything takes longer', todo: 'put the daemon near the database' };
    return { db, finding: tookMs > 3_000 ? warning(found, far) : well(found) };
  } catch (error) {
    return { db: null, finding: danger(reasonOf(error)) };
  }
}
