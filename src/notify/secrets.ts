import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { parseSecretKey } from '../core/secret-key.ts';
import { CommandError } from '../errors.ts';
import { createKeyFile, readKeyFile } from './key-file.ts';
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
  /** @throws CommandError when it was sealed with another key. Damage is not noticed. */
  checkKey(sealed: string): void;
};

/** A new endpoint's secret: `whsec_` and 32 random bytes in base64. */
export function generateSecret(): string {
  return secretPrefix + randomBytes(32).toString('base64');
}

/** What an endpoint's headers are bound to when they are sealed: its secret is of no use in their place. */
export function headersSeal(endpointId: string): string {
  return `headers of ${endpointId}`;
}

const keyFileName = 'depositd.key';
const nonceBytes = 12;
const tagBytes = 16;

/**
 * Takes the key from the configuration (`webhooks.secretKey`), else from the file `depositd.key` in
 * `dataFolder`.
 *
 * `proof` is any sealed secret of the database, null when there is none yet. Only then a missing file is made:
 * else a lost key would be replaced silently and nobody's webhooks be signed again.
 *
 * @throws CommandError when the file is missing, damaged or readable by others, or the key is not this
 * database's.
 */
export function openSecrets(
  { dataFolder, secretKey }: { dataFolder: string; secretKey: string | null },
  proof: string | null,
): Secrets {
  const path = join(dataFolder, keyFileName);
  const secrets = secretKey === null ? openWithFile(path, proof) : openConfigured(secretKey, path);
  if (proof !== null) secrets.checkKey(proof);
  return secrets;
}

function openWithFile(path: string, proof: string | null): Secrets {
  const key = readKeyFile(path) ?? (proof === null ? createKeyFile(path) : null);
  if (key !== null) return createSecrets(key, path);
  throw new CommandError(
    `the key file ${path} is missing, but the database holds webhook secrets sealed with it; restore it from a ` +
      'backup, or set webhooks.secretKey if the key was kept there',
  );
}

function openConfigured(text: string, path: string): Secrets {
  const key = parseSecretKey(text);
  if (key === null) throw new CommandError('webhooks.secretKey is not 32 bytes in hex digits or base64');
  // Whoever moves from the file to the configuration must take the file's key along.
  return createSecrets(key, existsSync(path) ? `webhooks.secretKey (beside ${path})` : 'webhooks.secretKey');
}

/** `source` is where the key is from, for error messages. */
export function createSecrets(key: Uint8Array, source: string): Secrets {
  const keyId = createHash('sha256').update(key).digest('hex').slice(0, 8);

  function dataOf(sealed: string): string {
    const [version, sealedWith, data = ''] = sealed.split(':');
    if (version !== 'v1')
      throw new CommandError('a webhook secret in the database is not readable by this version');
    if (sealedWith === keyId) return data;
    throw new CommandError(
      `${source} is not the key with which this database's webhook secrets were sealed; put the right one back`,
    );
  }

  return {
    seal(secret, endpointId) {
      const nonce = randomBytes(nonceBytes);
      const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(endpointId));
      const text = Buffer.concat([cipher.update(secret, 'utf8'), cipher.final()]);
      return `v1:${keyId}:${Buffer.concat([nonce, text, cipher.getAuthTag()]).toString('base64')}`;
    },
    checkKey: (sealed) => void dataOf(sealed),
    unseal(sealed, endpointId) {
      const bytes = Buffer.from(dataOf(sealed), 'base64');
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
