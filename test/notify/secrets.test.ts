import { randomBytes } from 'node:crypto';
import { chmodSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseSecretKey } from '../../src/core/secret-key.ts';
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

const inFile = (dataFolder: string) => ({ dataFolder, secretKey: null });

describe('the key file', () => {
  test('is created once, for its owner alone, and used again', () => {
    const folder = join(testFolder(), 'data');
    const sealed = openSecrets(inFile(folder), null).seal('whsec_abc', 'ep_1');
    expect(readdirSync(folder)).toEqual(['depositd.key']);
    expect(statSync(join(folder, 'depositd.key')).mode & 0o777).toBe(0o600);
    expect(openSecrets(inFile(folder), sealed).unseal(sealed, 'ep_1')).toBe('whsec_abc');
  });

  test('is never made anew while the database holds secrets sealed with the lost one', () => {
    const folder = testFolder();
    const sealed = openSecrets(inFile(folder), null).seal('whsec_abc', 'ep_1');
    rmSync(join(folder, 'depositd.key'));
    expect(() => openSecrets(inFile(folder), sealed)).toThrow(
      /depositd\.key is missing.*backup, or set webhooks\.secretKey/,
    );
    expect(readdirSync(folder)).toEqual([]);
  });

  test('of another database is refused', () => {
    const [mine, theirs] = [testFolder(), testFolder()];
    const sealed = openSecrets(inFile(mine), null).seal('whsec_abc', 'ep_1');
    openSecrets(inFile(theirs), null);
    expect(() => openSecrets(inFile(theirs), sealed)).toThrow(/depositd\.key is not the key with which/);
  });

  test('is tried on one secret of the database, and a damaged one does not stop the start', () => {
    const folder = testFolder();
    const sealed = openSecrets(inFile(folder), null).seal('whsec_abc', 'ep_1');
    const again = openSecrets(inFile(folder), `${sealed.slice(0, -8)}AAAAAAA=`);
    expect(again.unseal(sealed, 'ep_1')).toBe('whsec_abc');
    expect(() => openSecrets(inFile(folder), 'v2:x:y')).toThrow('not readable by this version');
  });

  test('that others may read is refused, with the command that mends it', () => {
    const folder = testFolder();
    openSecrets(inFile(folder), null);
    chmodSync(join(folder, 'depositd.key'), 0o640);
    expect(() => openSecrets(inFile(folder), null)).toThrow(/mode 640\); run: chmod 600 /);
  });

  test.each(['', 'short', 'x'.repeat(44), `${'A'.repeat(43)}=\nmore`])(
    'that holds %j is refused and left alone',
    (text) => {
      const folder = testFolder();
      const path = join(folder, 'depositd.key');
      writeFileSync(path, text, { mode: 0o600 });
      expect(() => openSecrets(inFile(folder), null)).toThrow(/is damaged/);
      expect(readFileSync(path, 'utf8')).toBe(text);
    },
  );
});

describe('the key in the configuration', () => {
  const hex = randomBytes(32).toString('hex');
  const configured = (dataFolder: string, secretKey = hex) => ({ dataFolder, secretKey });

  test('seals without any file, and is the same in hex digits and in base64', () => {
    const folder = testFolder();
    const sealed = openSecrets(configured(folder), null).seal('whsec_abc', 'ep_1');
    expect(readdirSync(folder)).toEqual([]);
    for (const text of [hex, hex.toUpperCase(), Buffer.from(hex, 'hex').toString('base64')]) {
      expect(openSecrets(configured(folder, text), sealed).unseal(sealed, 'ep_1')).toBe('whsec_abc');
    }
  });

  test('is that of the file when the text of the file is moved into it', () => {
    const folder = testFolder();
    const path = join(folder, 'depositd.key');
    const sealed = openSecrets(inFile(folder), null).seal('whsec_abc', 'ep_1');
    const moved = configured(folder, readFileSync(path, 'utf8').trim());
    rmSync(path);
    expect(openSecrets(moved, sealed).unseal(sealed, 'ep_1')).toBe('whsec_abc');
  });

  test('goes before the file, which is then not looked at', () => {
    const folder = testFolder();
    const sealed = openSecrets(configured(folder), null).seal('whsec_abc', 'ep_1');
    writeFileSync(join(folder, 'depositd.key'), 'nonsense', { mode: 0o644 });
    expect(openSecrets(configured(folder), sealed).unseal(sealed, 'ep_1')).toBe('whsec_abc');
  });

  test('that is not the one in use is refused, and a file beside it that may be is named', () => {
    const folder = testFolder();
    const sealed = openSecrets(inFile(folder), null).seal('whsec_abc', 'ep_1');
    expect(() => openSecrets(configured(folder), sealed)).toThrow(
      /^webhooks\.secretKey \(beside .*depositd\.key\) is not the key with which this database's/,
    );
    rmSync(join(folder, 'depositd.key'));
    expect(() => openSecrets(configured(folder), sealed)).toThrow(/^webhooks\.secretKey is not the key/);
  });

  test('is 32 bytes that could be random, and nothing else', () => {
    const base64 = Buffer.from(hex, 'hex').toString('base64');
    for (const right of [hex, base64]) expect(parseSecretKey(right)).toEqual(Buffer.from(hex, 'hex'));
    const wrong = [
      '',
      hex.slice(2),
      `${hex}00`,
      `${hex}\n`,
      ` ${hex}`,
      `0x${hex.slice(2)}`,
      `g${hex.slice(1)}`,
    ];
    wrong.push(base64.slice(0, -1), `${base64}=`, `${base64} `, randomBytes(31).toString('base64'));
    wrong.push('0'.repeat(64), '0123456789abcdef'.repeat(4).replaceAll(/[89]/g, '1').slice(0, 63));
    wrong.push(Buffer.alloc(32, 7).toString('base64'), 'x'.repeat(32));
    for (const text of wrong) expect(parseSecretKey(text), JSON.stringify(text)).toBeNull();
  });
});

test('no error shows the key or a secret', () => {
  const folder = testFolder();
  const path = join(folder, 'depositd.key');
  const sealed = openSecrets(inFile(folder), null).seal('whsec_abc', 'ep_1');
  const key = readFileSync(path, 'utf8').trim();
  const messageOf = (attempt: () => unknown) => {
    try {
      return String(attempt());
    } catch (error) {
      return String(error);
    }
  };
  const withFile = (mode: number, content: string, endpointId: string) => {
    writeFileSync(path, content);
    chmodSync(path, mode);
    return messageOf(() => openSecrets(inFile(folder), sealed).unseal(sealed, endpointId));
  };
  const other = randomBytes(32).toString('base64');
  for (const message of [
    withFile(0o600, key, 'ep_2'),
    withFile(0o644, key, 'ep_1'),
    withFile(0o600, key.slice(1), 'ep_1'),
    messageOf(() => openSecrets({ dataFolder: folder, secretKey: other }, sealed)),
    messageOf(() => openSecrets({ dataFolder: folder, secretKey: key.slice(1) }, sealed)),
  ]) {
    expect(message).toContain('CommandError');
    expect(message).not.toContain(key.slice(1));
    expect(message).not.toContain(other);
    expect(message).not.toContain('whsec_');
  }
});
