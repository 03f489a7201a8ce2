import { closeSync, constants, fchownSync, fstatSync, mkdirSync, openSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

/*
 * What the program keeps is readable by its owner alone. Where an operator runs a command as root, that is not root but whose the
 * folder is: the daemon runs as that user, and could not open what it is left with.
 */

/** Opens a new file. @throws with the code EEXIST when there is one. */
export function createFile(path: string): number {
  const file = openSync(path, 'wx', 0o600);
  giveToOwnerOfFolder(file, path);
  return file;
}

/** Makes an empty file, unless there is one. */
export function ensureFile(path: string): void {
  try {
    closeSync(createFile(path));
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'EEXIST') throw error;
  }
}

/** Makes a folder and those that it lies in, unless they are there. */
export function ensureFolder(path: string): void {
  const first = mkdirSync(path, { recursive: true, mode: 0o700 });
  if (first === undefined) return;
  const made: string[] = [];
  for (let one = resolve(path); one.startsWith(resolve(first)); one = dirname(one)) made.unshift(one);
  for (const folder of made) giveToOwner(folder);
}

/** What was made otherwise. */
export function giveToOwner(path: string): void {
  const file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    giveToOwnerOfFolder(file, path);
  } finally {
    closeSync(file);
  }
}

function giveToOwnerOfFolder(file: number, path: string): void {
  // By its descriptor: the folder's owner may have put another file there meanwhile.
  if (process.getuid?.() !== 0) return;
  const { uid, gid } = statSync(dirname(resolve(path)));
  if (uid !== 0 && fstatSync(file).uid === 0) fchownSync(file, uid, gid);
}
