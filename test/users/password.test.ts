import { expect, test } from 'vitest';
import { passwordFault, userNameFault } from '../../src/core/user.ts';
import { createAttempts } from '../../src/users/attempts.ts';
import { hashPassword, isHashingBusy, verifyPassword } from '../../src/users/password.ts';
import { hashRecoveryCode, newRecoveryCodes, totpCode, totpStep } from '../../src/users/totp.ts';

test('a password of twelve characters is taken, and one that somebody would try first is not', () => {
  expect(passwordFault('mauve teapot 7', 'ada')).toBeNull();
  const refused = [
    'short',
    'aaaaaaaaaaaa',
    '123456789012',
    'Passw0rd1234',
    'Password2026!',
    'qwertyuiop12',
    'abc123abc123',
    'password password',
    'adalovelace2026',
    'ü'.repeat(201),
  ];
  expect(refused.filter((one) => passwordFault(one, 'adalovelace') === null)).toEqual([]);
  expect(passwordFault('ada-ada-ada-1', 'ada')).not.toBeNull();
});

test('a name is of letters and digits of any script, without spaces and invisible characters', () => {
  expect(['ada', 'Ada.Lovelace@example.com', 'Žofie', '小林'].map(userNameFault)).toEqual([
    null,
    null,
    null,
    null,
  ]);
  const refused = ['', 'a b', '.ada', 'a'.repeat(65), 'ada\u200b', '\u202eada', '<b>ada', 'ada\n'];
  expect(refused.filter((name) => userNameFault(name) === null)).toEqual([]);
});

test('a password is known by its argon2id hash, however its accents were typed, and no other is', async () => {
  const stored = await hashPassword('crème brûlée 7');
  expect(stored).toMatch(/^argon2id\$19456\$2\$[^$]{24}\$[^$]{44}$/);
  expect(await verifyPassword('crème brûlée 7'.normalize('NFD'), stored)).toBe(true);
  expect(await verifyPassword('creme brulee 7', stored)).toBe(false);
  expect(await verifyPassword('crème brûlée 7', null)).toBe(false);
});

test('nobody waits behind more than a hundred others for a password to be looked at', async () => {
  const cheap = [
    'argon2id',
    8,
    1,
    Buffer.alloc(16).toString('base64'),
    Buffer.alloc(32).toString('base64'),
  ].join('$');
  const looks = Array.from({ length: 101 }, () => verifyPassword('a', cheap));
  expect(isHashingBusy()).toBe(false);
  looks.push(verifyPassword('a', cheap));
  expect(isHashingBusy()).toBe(true);
  await Promise.all(looks);
  expect(isHashingBusy()).toBe(false);
});

test('codes of an authenticator app are those of RFC 6238, appendix B', () => {
  const secret = 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ';
  const vectors: [seconds: number, code: string][] = [
    [59, '287082'],
    [1_111_111_109, '081804'],
    [1_111_111_111, '050471'],
    [1_234_567_890, '005924'],
    [2_000_000_000, '279037'],
    [20_000_000_000, '353130'],
  ];
  expect(vectors.map(([seconds]) => totpCode(secret, Math.floor(seconds / 30)))).toEqual(
    vectors.map(([, code]) => code),
  );
  // A clock that is half a minute off is borne; one that is more is not.
  const now = 1_111_111_109_000;
  const step = Math.floor(now / 30_000);
  const found = [-2, -1, 0, 1, 2].map((off) => totpStep(secret, totpCode(secret, step + off), now));
  expect(found).toEqual([null, step - 1, step, step + 1, null]);
});

test('recovery codes are ten, all different, and known however they were typed', () => {
  const codes = newRecoveryCodes();
  expect(new Set(codes).size).toBe(10);
  const [first = ''] = codes;
  expect(hashRecoveryCode(` ${first.toUpperCase().replace('-', ' ')} `)).toBe(hashRecoveryCode(first));
});

test('five failures keep one address from one account for a quarter of an hour, and nobody else', async () => {
  let now = 0;
  const attempts = createAttempts(() => now);
  for (let n = 0; n < 5; n++) {
    expect(attempts.wait('ada', '192.0.2.1')).toBeNull();
    await attempts.count('ada', '192.0.2.1', async () => {});
    now += 1000;
  }
  expect(attempts.wait('ada', '192.0.2.1')).toBe(895);
  expect(attempts.wait('ada', '192.0.2.2')).toBeNull();
  expect(attempts.wait('ben', '192.0.2.1')).toBeNull();
  now = 900_001;
  expect(attempts.wait('ada', '192.0.2.1')).toBeNull();
});

test('one address tries twenty names at most, and one account bears a hundred failures from anywhere', async () => {
  const attempts = createAttempts(() => 0);
  for (let n = 0; n < 20; n++) await attempts.count(`name ${n}`, '192.0.2.1', async () => {});
  expect(attempts.wait('ada', '192.0.2.1')).not.toBeNull();
  for (let n = 0; n < 100; n++) await attempts.count('ben', `2001:db8::${n}`, async () => {});
  expect(attempts.wait('ben', '198.51.100.9')).not.toBeNull();
});

test('what is right is not counted, and makes nothing forgotten of other accounts at its address', async () => {
  const attempts = createAttempts(() => 0);
  for (let n = 0; n < 19; n++) await attempts.count(`name ${n}`, '192.0.2.1', async () => {});
  for (let n = 0; n < 200; n++)
    await attempts.count('ada', '192.0.2.1', async (attempt) => attempt.succeeded());
  expect(attempts.wait('ada', '192.0.2.1')).toBeNull();
  await attempts.count('name 19', '192.0.2.1', async () => {});
  expect(attempts.wait('ada', '192.0.2.1')).not.toBeNull();
  expect(attempts.wait('ada', '192.0.2.2')).toBeNull();
});

test('a right password without a code makes no wrong code forgotten', async () => {
  const attempts = createAttempts(() => 0);
  for (let n = 0; n < 5; n++) {
    await attempts.count('ada', '192.0.2.1', async (attempt) => attempt.takeBack());
    await attempts.count('ada', '192.0.2.1', async () => {});
  }
  expect(attempts.wait('ada', '192.0.2.1')).not.toBeNull();
});

test('a try that ends in a fault of ours says nothing of what was given, and is not counted', async () => {
  const attempts = createAttempts(() => 0);
  const away = async () => {
    throw new Error('the database is away');
  };
  for (let n = 0; n < 9; n++)
    await expect(attempts.count('ada', '192.0.2.1', away)).rejects.toThrow('the database is away');
  expect(attempts.wait('ada', '192.0.2.1')).toBeNull();
});
