import {
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  fsyncSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import { CommandError, reasonOf } from '../errors.ts';
import { createFile, ensureFolder, giveToOwner } from '../files.ts';
import {
  copyDatabase,
  draftOf,
  failure,
  flush,
  makeOneFile,
  putInPlace,
  type RowCounts,
  removeDatabase,
  verifyBackup,
} from './backup.ts';
import { newestFileOf } from './newest-payment.ts';
import { fileOf, restoreMark } from './sqlite.ts';

/**
 * Puts a copy of a backup in the place of the database, which is kept beside it under the name `kept` (null: there was
 * none); `counts` is what the backup had. `complete` writes into the copy what must be there before anybody uses it. No daemon may run meanwhile. A process that is killed leaves the one database or the
 * other, or a mark by which {@link settleRestore} puts the old one back.
 *
 * @throws CommandError; then the database is as it was.
 */
export async function restoreBackup({
  file,
  databasePath,
  stamp,
  complete,
}: {
  file: string;
  databasePath: string;
  stamp: string;
  complete: (draft: string, counts: RowCounts) => Promise<void>;
}): Promise<{ kept: string | null; counts: RowCounts }> {
  verifyBackup(file);
  // SQLite keeps the log beside what a link leads to.
  const place = fileOf(databasePath);
  const draft = draftOf(place);
  try {
    ensureFolder(dirname(place));
    const counts = await copyDatabase(file, draft);
    await complete(draft, counts);
    makeOneFile(draft);
    flush(draft);
    const aside = `${place}.before-restore-${stamp}`;
    const kept = existsSync(place) ? aside : null;
    mark(place, { draft, aside });
    try {
      moveAside(place, aside);
      // The restored one lacks it, and has its hold.
      rmSync(newestFileOf(place), { force: true });
      putInPlace(draft, place);
    } catch (error) {
      putBack(aside, place);
      unmark(place);
      throw error;
    }
    unmark(place);
    return { kept, counts };
  } catch (error) {
    throw failure(`${file} was not restored`, error);
  } finally {
    removeDatabase(draft);
  }
}

/**
 * What became of a restore that was interrupted: `undone` here, so that the database is as it was before it, or `finished` by
 * then; null: there was none. Only for who has claimed the database.
 */
export function settleRestore(databasePath: string): 'undone' | 'finished' | null {
  const place = fileOf(databasePath);
  removeDraftsWithoutMark(place);
  if (!existsSync(restoreMark(place))) return null;
  const marked = readMark(place);
  // A mark that is not whole was not relied on yet.
  if (marked !== null && !existsSync(marked.draft)) {
    unmark(place);
    return 'finished';
  }
  if (marked !== null) {
    putBack(marked.aside, place);
    removeDatabase(marked.draft);
  }
  unmark(place);
  removeDraftsWithoutMark(place);
  return 'undone';
}

/** Of a restore that was interrupted while it copied. */
function removeDraftsWithoutMark(place: string): void {
  const folder = dirname(place);
  if (!existsSync(folder) || existsSync(restoreMark(place))) return;
  for (const name of readdirSync(folder))
    if (name.startsWith(`${basename(place)}.draft-`)) removeDatabase(join(folder, name));
}

/** Beside the database: the new one until it has its place, and the old one from then on. By their names: a folder may be moved. */
const markSchema = z.object({ draft: z.string(), aside: z.string() });
type Mark = z.infer<typeof markSchema>;

function mark(place: string, marked: Mark): void {
  const names: Mark = { draft: basename(marked.draft), aside: basename(marked.aside) };
  const file = createFile(restoreMark(place));
  try {
    writeSync(file, JSON.stringify(names));
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  flushFolder(place);
}

/** Null where it is not whole. @throws CommandError where it cannot be read: what it says may have been relied on. */
function readMark(place: string): Mark | null {
  let text: string;
  try {
    text = readFileSync(restoreMark(place), 'utf8');
  } catch (error) {
    throw new CommandError(
      `a restore was interrupted, and how far it had got cannot be read from ${restoreMark(place)}: ${reasonOf(error)}`,
      { cause: error },
    );
  }
  try {
    const { draft, aside } = markSchema.parse(JSON.parse(text));
    const beside = (name: string) => join(dirname(place), basename(name));
    return { draft: beside(draft), aside: beside(aside) };
  } catch {
    return null;
  }
}

function unmark(place: string): void {
  rmSync(restoreMark(place), { force: true });
  flushFolder(place);
}

/** Names that came, went and changed are on the disk. */
function flushFolder(path: string): void {
  if (process.platform !== 'win32') flush(dirname(path));
}

/** Beside a SQLite file, what it lacks or must take back. */
const logs = ['-wal', '-journal'];

/**
 * With its log, which would else be read into the next database of that name. A process that is killed here leaves the
 * database beside its log, under the one name or the other. It is not opened: it may be damaged.
 */
function moveAside(path: string, aside: string): void {
  for (const ending of logs.filter((one) => existsSync(path + one))) {
    copyFileSync(path + ending, aside + ending, constants.COPYFILE_EXCL);
    giveToOwner(aside + ending);
    flush(aside + ending);
  }
  if (existsSync(path)) renameSync(path, aside);
  for (const ending of [...logs, '-shm']) rmSync(path + ending, { force: true });
}

/** A log that is still in its place is the whole one: its copy may have failed in the middle. */
function putBack(aside: string, path: string): void {
  for (const log of logs) {
    if (!existsSync(aside + log)) continue;
    if (existsSync(path + log)) rmSync(aside + log);
    else renameSync(aside + log, path + log);
  }
  if (existsSync(aside)) renameSync(aside, path);
}
