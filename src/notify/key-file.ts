import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, linkSync, readFileSync, statSync, unlinkSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { CommandError, reasonOf } from '../errors.ts';
import { createFile, ensureFolder } from '../files.ts';

/*
 * The file that holds the key to the webhook secrets, 32 bytes in base64, where the configuration holds none.
 * Its text is also what `webhooks.secretKey` takes.
 */

const keyBytes = 32;

/**
 * Null when there is no such file.
 *
 * @throws CommandError when it is damaged, cannot be read, or can be read by others.
 */
export function readKeyFile(path: string): Uint8Array | null {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ENOENT') return null;
    throw new CommandError(`cannot read the key file ${path}: ${reasonOf(error)}`, { cause: error });
  }
  const mode = statSync(path).mode & 0o777;
  if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
    throw new CommandError(
      `the key file ${path} is open to other users (mode ${mode.toString(8)}); run: chmod 600 ${path}`,
    );
  }
  const key = Buffer.from(text.trim(), 'base64');
  if (key.length !== keyBytes || key.toString('base64') !== text.trim()) {
    throw new CommandError(
      `the key file ${path} is damaged: expected ${keyBytes} bytes in base64; restore it from a backup`,
    );
  }
  return key;
}

/**
 * Makes the file with a random key; where another process just made it, answers that one's key. Whole or not
 * at all, and never in place of another's: a link refuses an existing name.
 */
export function createKeyFile(path: string): Uint8Array {
  const draft = `${path}.${randomBytes(6).toString('hex')}`;
  const file = openDraft(draft);
  try {
    writeSync(file, `${randomBytes(keyBytes).toString('base64')}\n`);
    fsyncSync(file);
    linkSync(draft, path);
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'EEXIST') throw error;
  } finally {
    closeSync(file);
    unlinkSync(draft);
  }
  const key = readKeyFile(path);
  if (key === null) throw new CommandError(`the key file ${path} was removed just now; start again`);
  return key;
}

function openDraft(path: string): number {
  try {
    ensureFolder(dirname(path));
    return createFile(path);
  } catch (error) {
    throw new CommandError(`cannot make the key file in ${dirname(path)}: ${reasonOf(error)}`, {
      cause: error,
    });
  }
}
