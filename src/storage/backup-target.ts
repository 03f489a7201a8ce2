import {
  type BigIntStats,
  closeSync,
  existsSync,
  lstatSync,
  openSync,
  readSync,
  realpathSync,
  statSync,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { CommandError } from '../errors.ts';
import { applicationId } from './sqlite.ts';

/** A file that no backup may replace, and what it is, for people. */
export type OwnFile = { path: string; what: string };

/**
 * Answers where a backup may be written, links followed: where nothing is, or an earlier backup. Whatever else is there
 * stays as it is, above all the database that a daemon has open: the daemon would go on writing to a file without a name.
 *
 * @throws CommandError when it may not.
 */
export function backupTarget(file: string, databasePath: string, ownFiles: readonly OwnFile[]): string {
  if (leadsNowhere(file)) throw new CommandError('it is a link that leads nowhere; choose another file');
  const target = followLinks(file);
  const own = [...partsOf(databasePath), ...ownFiles].find(({ path }) => isSameFile(path, target));
  if (own !== undefined) throw new CommandError(`it is ${own.what}; choose another file`);
  const stats = statOf(target);
  if (stats !== null) requireBackup(target, stats);
  // SQLite would take what it finds there for a part of the backup.
  const beside = ['-wal', '-journal'].map((ending) => target + ending).find((path) => existsSync(path));
  if (beside !== undefined) throw new CommandError(`${beside} is in the way; choose another file`);
  return target;
}

/** The files of a SQLite database. Of one that is a link, SQLite keeps the others beside what the link leads to. */
function partsOf(databasePath: string): OwnFile[] {
  return [...new Set([resolve(databasePath), followLinks(databasePath)])].flatMap((path) => [
    { path, what: 'the database itself' },
    ...['-wal', '-shm', '-journal'].map((ending) => ({
      path: path + ending,
      what: 'a part of the database',
    })),
    { path: `${path}.lock`, what: 'the lock of the database' },
    { path: `${path}.restoring`, what: 'the mark of a restore' },
  ]);
}

/** By name, or by what the names lead to: hard links, and file systems that ignore case. */
function isSameFile(one: string, other: string): boolean {
  if (followLinks(one) === followLinks(other)) return true;
  const [first, second] = [statOf(one), statOf(other)];
  return first !== null && second !== null && first.dev === second.dev && first.ino === second.ino;
}

/** The absolute path without links, also of a file that is not there yet. */
function followLinks(path: string): string {
  const whole = resolve(path);
  try {
    return realpathSync(whole);
  } catch {
    const folder = dirname(whole);
    return existsSync(folder) ? join(realpathSync(folder), basename(whole)) : whole;
  }
}

function leadsNowhere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined && !existsSync(path);
}

function statOf(path: string): BigIntStats | null {
  return statSync(path, { bigint: true, throwIfNoEntry: false }) ?? null;
}

/**
 * By the header of the file (https://www.sqlite.org/fileformat.html): opening a database may write beside it. Backups have
 * no write-ahead log; what has one is a database in use.
 *
 * @throws CommandError
 */
function requireBackup(path: string, stats: BigIntStats): void {
  if (stats.isDirectory()) throw new CommandError('it is a folder');
  const header = stats.isFile() ? readStart(path, 100) : Buffer.alloc(0);
  const ours =
    header.length === 100 &&
    header.toString('latin1', 0, 16) === 'SQLite format 3\0' &&
    header.readUInt32BE(68) === applicationId;
  if (!ours) throw new CommandError('it exists and is no backup of depositd; choose another file');
  const writeAheadLog = 2;
  if (header[18] === writeAheadLog)
    throw new CommandError('it is a database in use, not a backup; choose another file');
}

function readStart(path: string, length: number): Buffer {
  const file = openSync(path, 'r');
  try {
    const start = Buffer.alloc(length);
    return start.subarray(0, readSync(file, start, 0, length, 0));
  } finally {
    closeSync(file);
  }
}
