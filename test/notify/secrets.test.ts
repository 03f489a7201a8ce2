import { randomBytes } from 'node:crypto';
import { chmodSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { CommandError } from '../../src/errors.ts';
import { createSecrets, generateSecret, openSecrets } from '../../src/notify/secrets.ts';
import { testFolder } from '../support/databases.ts';

describe("an endpoint's secret", () => {
  test('is whsec_ and 32 random bytes in base64', () => {
    const secret = generateSecret();
    expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    expect(Buffer.from(secret.slice(6), 'base64')).toHaveLength(32);
    expect(generateSecret()).not.toBe(secret);
  });

  test('is sealed so that neither it nor the same text twice can be recognised, and is unsealed again', () => {
    const secrets = createSecrets(randomBytes(32), 'the key');
    const sealed = secrets.seal('whsec_abc', 'ep_1');
    expect(sealed).not.toContain('whsec_abc');
    expect(sealed).not.toContain(Buffer.from('whsec_abc').toString('base64').slice(0, 10));
    expect(secrets.seal('whsec_abc', 'ep_1')).not.toBe(sealed);
    expect(secrets.unseal(sealed, 'ep_1')).toBe('whsec_abc');
  });

  test('cannot be unsealed with another key, for another endpoint, or after a change', () => {
    const secrets = createSecrets(randomBytes(32), 'the file depositd.key');
    const sealed = secrets.seal('whsec_abc', 'ep_1');
    const other = createSecrets(randomBytes(32), 'the file other.key');
    expect(() => other.unseal(sealed, 'ep_1')).toThrow('the file other.key is not the key with which');
    expect(() => secrets.unseal(sealed, 'ep_2')).toThrow(CommandError);
    const [version, keyId, data = ''] = sealed.split(':');
    for (let at = 0; at < Buffer.from(data, 'base64').length; at++) {
      const bytes = Buffer.from(data, 'base64');
      bytes[at] = (bytes[at] ?? 0) ^ 1;
      const changed = [version, keyId, bytes.toString('base64')].join(':');
      expect(() => secrets.unseal(changed, 'ep_1')).toThrow('damaged in the database');
    }
    expect(() => secrets.unseal(`v1:${keyId}:`, 'ep_1')).toThrow(CommandError);
    expect(() => secrets.unseal('v2:x:y', 'ep_1')).toThrow('not readable by this version');
  });
});

describe('the key file', () => {
  test('is created once, for its owner alone, and used again', () => {
    const folder = join(testFolder(), 'data');
    const sealed = openSecrets(folder, null).seal('whsec_abc', 'ep_1');
    expect(readdirSync(folder)).toEqual(['depositd.key']);
    expect(statSync(join(folder, 'depositd.key')).mode & 0o777).toBe(0o600);
    const again = openSecrets(folder, { sealed, endpointId: 'ep_1' });
    expect(again.unseal(sealed, 'ep_1')).toBe('whsec_abc');
  });

  test('is never made anew while the database holds secrets sealed with the lost one', () => {
    const folder = testFolder();
    const sealed = openSecrets(folder, null).seal('whsec_abc', 'ep_1');
    rmSync(join(folder, 'depositd.key'));
    expect(() => openSecrets(folder, { sealed, endpointId: 'ep_1' })).toThrow(
      /depositd\.key is missing.*backup/,
    );
    expect(readdirSync(folder)).toEqual([]);
  });

  test('of another database is refused', () => {
    const [mine, theirs] = [testFolder(), testFolder()];
    const sealed = openSecrets(mine, null).seal('whsec_abc', 'ep_1');
    openSecrets(theirs, null);
    expect(() => openSecrets(theirs, { sealed, endpointId: 'ep_1' })).toThrow(/is not the key with which/);
  });

  test('that others may read is refused, with the command that mends it', () => {
    const folder = testFolder();
    openSecrets(folder, null);
    chmodSync(join(folder, 'depositd.key'), 0o640);
    expect(() => openSecrets(folder, null)).toThrow(/mode 640\); run: chmod 600 /);
  });

  test.each(['', 'short', 'x'.repeat(44), `${'A'.repeat(43)}=\nmore`])(
    'that holds %j is refused and left alone',
    (text) => {
      const folder = testFolder();
      const path = join(folder, 'depositd.key');
      writeFileSync(path, text, { mode: 0o600 });
      expect(() => openSecrets(folder, null)).toThrow(/is damaged/);
      expect(readFileSync(path, 'utf8')).toBe(text);
    },
  );

  test('no error shows the key or a secret', () => {
    const folder = testFolder();
    const path = join(folder, 'depositd.key');
    const sealed = openSecrets(folder, null).seal('whsec_abc', 'ep_1');
    const key = readFileSync(path, 'utf8').trim();
    const messageOf = (mode: number, content: string, endpointId: string) => {
      writeFileSync(path, content);
      chmodSync(path, mode);
      try {
        openSecrets(folder, { sealed, endpointId });
        return '';
      } catch (error) {
        return String(error);
      }
    };
    for (const message of [
      messageOf(0o600, key, 'ep_2'),
      messageOf(0o644, key, 'ep_1'),
      messageOf(0o600, key.slice(1), 'ep_1'),
    ]) {
      expect(message).toContain('CommandError');
      expect(message).not.toContain(key.slice(1));
      expect(message).not.toContain('whsec_');
    }
  });
});
