import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';
import {
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { CommandError } from '../errors.ts';
import { secretPrefix } from './signature.ts';

/**
 * Keeps the endpoints' secrets unreadable in the database and its backups: they are needed to sign, so they
 * cannot be hashed. Sealed with AES-256-GCM under a key that is never in the database.
 */
export type Secrets = {
  /** Bound to `endpointId`: a sealed secret is of no use in another endpoint's row. */
  seal(secret: string, endpointId: string): string;
  /** @throws CommandError when it was sealed with another key, for another endpoint, or was changed. */
  unseal(sealed: string, endpointId: string): string;
};

/** A new endpoint's secret: `whsec_` and 32 random bytes in base64. */
export function generateSecret(): string {
  return secretPrefix + randomBytes(32).toString('base64');
}

const keyFileName = 'depositd.key';
const keyBytes = 32;
const nonceBytes = 12;
const tagBytes = 16;

/**
 * Reads the key from `depositd.key` in `dataFolder`.
 *
 * `proof` is any sealed secret of the database, null when there is none yet. Only then a missing key is made:
 * else a lost key file would be replaced silently and nobody's webhooks be signed again.
 *
 * @throws CommandError when the file is missing, damaged, readable by others, or not this database's.
 */
export function openSecrets(
  dataFolder: string,
  proof: { sealed: string; endpointId: string } | null,
): Secrets {
  const path = join(dataFolder, keyFileName);
  const key = readKey(path) ?? (proof === null ? createKey(dataFolder, path) : missing(path));
  const secrets = createSecrets(key, path);
  if (proof !== null) secrets.unseal(proof.sealed, proof.endpointId);
  return secrets;
}

/** `source` is where the key is from, for error messages. */
export function createSecrets(key: Uint8Array, source: string): Secrets {
  const keyId = createHash('sha256').update(key).digest('hex').slice(0, 8);

  return {
    seal(secret, endpointId) {
      const nonce = randomBytes(nonceBytes);
      const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(endpointId));
      const text = Buffer.concat([cipher.update(secret, 'utf8'), cipher.final()]);
      return `v1:${keyId}:${Buffer.concat([nonce, text, cipher.getAuthTag()]).toString('base64')}`;
    },
    unseal(sealed, endpointId) {
      const [version, sealedWith, data = ''] = sealed.split(':');
      if (version !== 'v1')
        throw new CommandError('a webhook secret in the database is not readable by this version');
      if (sealedWith !== keyId) {
        throw new CommandError(
          `${source} is not the key with which this database's webhook secrets were sealed; put the right one back`,
        );
      }
      const bytes = Buffer.from(data, 'base64');
      try {
        const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, nonceBytes), {
          authTagLength: tagBytes,
        })
          .setAAD(Buffer.from(endpointId))
          .setAuthTag(bytes.subarray(-tagBytes));
        return (
          decipher.update(bytes.subarray(nonceBytes, -tagBytes), undefined, 'utf8') + decipher.final('utf8')
        );
      } catch (error) {
        throw new CommandError(`the secret of webhook endpoint ${endpointId} is damaged in the database`, {
          cause: error,
        });
      }
    },
  };
}

function readKey(path: string): Buffer | null {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ENOENT') return null;
    throw new CommandError(`cannot read the key file ${path}: ${(error as Error).message}`, { cause: error });
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

/** Whole or not at all, and never in place of another process's: a link refuses an existing name. */
function createKey(dataFolder: string, path: string): Buffer {
  mkdirSync(dataFolder, { recursive: true, mode: 0o700 });
  const draft = `${path}.${randomBytes(6).toString('hex')}`;
  const file = openSync(draft, 'wx', 0o600);
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
  return readKey(path) ?? missing(path);
}

function missing(path: string): never {
  throw new CommandError(
    `the key file ${path} is missing, but the database holds webhook secrets sealed with it; restore it from a backup`,
  );
}
