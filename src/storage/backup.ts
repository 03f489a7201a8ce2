import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { dirname } from 'node:path';
import Sqlite from 'better-sqlite3';
import { CommandError, reasonOf } from '../errors.ts';
import { applicationId, whyNotOpened } from './sqlite.ts';

/** The rows of each table. */
export type RowCounts = Record<string, number>;

/** Tables whose rows are never removed: a backup has at least those that were there when it began. */
const growing = ['merchants', 'addresses', 'payments', 'deposits', 'audit_log'];

/**
 * Copies a SQLite database into one file while others use it (SQLite's online backup), and verifies the copy. The file
 * is readable by its owner alone, and there is none until it is whole.
 *
 * @throws CommandError when it cannot be read, written or verified.
 */
export async function backUp(databasePath: string, file: string): Promise<RowCounts> {
  const draft = draftOf(file);
  try {
    const source = new Sqlite(databasePath, { readonly: true, fileMustExist: true });
    try {
      const before = countRows(source);
      closeSync(openSync(draft, 'wx', 0o600));
      await source.backup(draft);
      makeOneFile(draft);
      const counts = verifyBackup(draft);
      const lost = growing.filter((table) => (counts[table] ?? 0) < (before[table] ?? 0));
      if (lost.length > 0) throw new CommandError(`the copy lacks rows of ${lost.join(', ')}`);
      putInPlace(draft, file);
      return counts;
    } finally {
      source.close();
    }
  } catch (error) {
    throw failure(`no backup was made in ${file}`, error);
  } finally {
    removeDatabase(draft);
  }
}

/**
 * Looks whether a file is a whole database of ours, and changes nothing.
 *
 * @throws CommandError when it is not.
 */
export function verifyBackup(file: string): RowCounts {
  let copy: Sqlite.Database | undefined;
  try {
    copy = new Sqlite(file, { readonly: true, fileMustExist: true });
    if (copy.pragma('application_id', { simple: true }) !== applicationId) {
      throw new CommandError('it is no database of depositd');
    }
    const found = copy.pragma('integrity_check', { simple: true });
    if (found !== 'ok') throw new CommandError(`it is damaged: ${String(found)}`);
    if ((copy.pragma('foreign_key_check') as unknown[]).length > 0) {
      throw new CommandError('it is damaged: rows point to others that are not there');
    }
    return countRows(copy);
  } catch (error) {
    if (error instanceof CommandError) throw failure(`${file} cannot be restored`, error);
    const reason = whyNotOpened(file, constants.R_OK, error);
    throw new CommandError(`${file} cannot be restored: ${reason}`, { cause: error });
  } finally {
    copy?.close();
  }
}

/**
 * Puts a verified backup in the place of the database, which is kept beside it under the name that is answered (null:
 * there was none). No daemon may run meanwhile.
 *
 * @throws CommandError; then the database is as it was.
 */
export function restoreBackup(file: string, databasePath: string, stamp: string): string | null {
  verifyBackup(file);
  const draft = draftOf(databasePath);
  try {
    mkdirSync(dirname(databasePath), { recursive: true, mode: 0o700 });
    copyFileSync(file, draft);
    chmodSync(draft, 0o600);
    verifyBackup(draft);
    const kept = existsSync(databasePath) ? `${databasePath}.before-restore-${stamp}` : null;
    // With its log, which would else be read into the restored one. It is not opened: it may be damaged.
    for (const ending of ['-wal', '-shm', '']) {
      if (kept !== null && existsSync(databasePath + ending))
        renameSync(databasePath + ending, kept + ending);
      else rmSync(databasePath + ending, { force: true });
    }
    putInPlace(draft, databasePath);
    return kept;
  } catch (error) {
    throw failure(`${file} was not restored`, error);
  } finally {
    removeDatabase(draft);
  }
}

/** Beside it, so that it can be renamed. */
function draftOf(path: string): string {
  return `${path}.${randomBytes(6).toString('hex')}`;
}

/** Without the log beside it. */
function makeOneFile(path: string): void {
  const file = new Sqlite(path);
  try {
    file.pragma('journal_mode = DELETE');
  } finally {
    file.close();
  }
}

function countRows(file: Sqlite.Database): RowCounts {
  const tables = file
    .prepare("select name from sqlite_schema where type = 'table' and name not like 'sqlite\\_%' escape '\\'")
    .pluck()
    .all() as string[];
  return Object.fromEntries(
    tables.map((name) => [name, file.prepare(`select count(*) from "${name}"`).pluck().get() as number]),
  );
}

/** On the disk before it has its name, and the name on the disk before anybody relies on it. */
function putInPlace(draft: string, path: string): void {
  flush(draft);
  renameSync(draft, path);
  if (process.platform !== 'win32') flush(dirname(path));
}

function flush(path: string): void {
  const file = openSync(path, 'r');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** What cannot be removed was mostly not made: why it was not is told already. */
function removeDatabase(path: string): void {
  for (const ending of ['', '-wal', '-shm', '-journal']) {
    try {
      rmSync(path + ending, { force: true });
    } catch {}
  }
}

function failure(what: string, error: unknown): CommandError {
  return new CommandError(`${what}: ${reasonOf(error)}`, { cause: error });
}
