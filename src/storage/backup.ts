import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  fsyncSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { CommandError, reasonOf } from '../errors.ts';
import { createFile } from '../files.ts';
import { backupTarget, type OwnFile } from './backup-target.ts';
import { newerThanUs } from './migrate.ts';
import { applicationId, refuseHalfRestored, whyNotOpened } from './sqlite.ts';

/** The rows of each table. */
export type RowCounts = Record<string, number>;

/** A draft that nobody has written for so long, ms, is of a backup that was killed. */
const abandonedMs = 60 * 60 * 1000;

/**
 * Copies a SQLite database into one file while others use it, and verifies the copy. The file is readable by its owner
 * alone, and there is none until it is whole. It may replace an earlier backup, and nothing else; least of all `ownFiles`.
 *
 * @throws CommandError when it cannot be read, written or verified.
 */
export async function backUp(
  databasePath: string,
  file: string,
  ownFiles: readonly OwnFile[],
): Promise<RowCounts> {
  try {
    const target = backupTarget(file, databasePath, ownFiles);
    removeAbandonedDrafts(target);
    const draft = draftOf(target);
    try {
      const counts = await copyDatabase(databasePath, draft);
      // Copying takes its time, in which something may have come there.
      backupTarget(file, databasePath, ownFiles);
      putInPlace(draft, target);
      return counts;
    } finally {
      removeDatabase(draft);
    }
  } catch (error) {
    throw failure(`no backup was made in ${file}`, error);
  }
}

/**
 * With what is in its write-ahead log (SQLite's online backup), into one file; answers what is in the copy.
 *
 * @throws when it cannot be read or written, or when the copy is not whole.
 */
export async function copyDatabase(path: string, draft: string): Promise<RowCounts> {
  refuseHalfRestored(path);
  const source = new Sqlite(path, { readonly: true, fileMustExist: true });
  try {
    // As it is at one moment: outside a transaction SQLite begins anew whenever another process has written, and never ends beside
    // a daemon that does so all the time.
    source.exec('begin');
    const before = countRows(source);
    closeSync(createFile(draft));
    await source.backup(draft);
    source.exec('commit');
    makeOneFile(draft);
    const counts = verifyBackup(draft);
    const other = Object.keys(before).filter((table) => counts[table] !== before[table]);
    if (other.length > 0) throw new CommandError(`the copy has other rows of ${other.join(', ')}`);
    flush(draft);
    return counts;
  } finally {
    source.close();
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
    const newer = newerThanUs(migrationsOf(copy));
    if (newer !== null) throw new CommandError(`it ${newer}`);
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

function migrationsOf(file: Sqlite.Database): string[] {
  return file.prepare('select name from depositd_migrations order by name').pluck().all() as string[];
}

/** What tells whose backup it is: whether its payments are of a sandbox (null: it has none), and a secret of it as it was sealed. */
export type Origin = { livemode: boolean | null; sealedSecret: string | null };

/** Of a backup that is verified. */
export function originOf(file: string): Origin {
  const copy = new Sqlite(file, { readonly: true, fileMustExist: true });
  try {
    const first = (query: string) => copy.prepare(`${query} limit 1`).pluck().get() as unknown;
    const livemode = first('select livemode from payments') ?? null;
    const sealedSecret = first('select secret from webhook_endpoints where deleted_at is null') ?? null;
    return {
      livemode: livemode === null ? null : livemode === 1,
      sealedSecret: sealedSecret === null ? null : String(sealedSecret),
    };
  } finally {
    copy.close();
  }
}

/** The ids of its first merchants, which are never removed; none where it cannot be read. */
export function merchantsIn(path: string): string[] {
  let file: Sqlite.Database | undefined;
  try {
    file = new Sqlite(path, { readonly: true, fileMustExist: true });
    return file
      .prepare('select id from merchants order by created_at, id limit 1000')
      .pluck()
      .all() as string[];
  } catch {
    return [];
  } finally {
    file?.close();
  }
}

/** Beside it, so that it can be renamed. */
export function draftOf(path: string): string {
  return `${path}.draft-${randomBytes(6).toString('hex')}`;
}

function removeAbandonedDrafts(target: string): void {
  const begin = `${basename(target)}.draft-`;
  for (const name of readdirSync(dirname(target))) {
    const path = join(dirname(target), name);
    if (!name.startsWith(begin) || !/^[0-9a-f]{12}$/.test(name.slice(begin.length))) continue;
    if (Date.now() - statSync(path).mtimeMs > abandonedMs) removeDatabase(path);
  }
}

/** Without the log beside it. */
export function makeOneFile(path: string): void {
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

/** The draft is on the disk before it has its name; the name is there before anybody relies on it. */
export function putInPlace(draft: string, path: string): void {
  renameSync(draft, path);
  if (process.platform !== 'win32') flush(dirname(path));
}

export function flush(path: string): void {
  const file = openSync(path, 'r');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** What cannot be removed was mostly not made: why it was not is told already. */
export function removeDatabase(path: string): void {
  for (const ending of ['', '-wal', '-shm', '-journal']) {
    try {
      rmSync(path + ending, { force: true });
    } catch {}
  }
}

export function failure(what: string, error: unknown): CommandError {
  return new CommandError(`${what}: ${reasonOf(error)}`, { cause: error });
}
