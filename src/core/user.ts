import { labelFault } from './labels.ts';

/** `operator` may do everything; `merchant` acts for one merchant; `viewer` reads, of one merchant or of all. */
export const userRoles = ['operator', 'merchant', 'viewer'] as const;
export type UserRole = (typeof userRoles)[number];

/** A session ends when it was not used for so long, ms. */
export const sessionIdleMs = 12 * 60 * 60 * 1000;

export const shortestPassword = 12;

/** Hashing takes longer, the longer a password is. */
const longestPassword = 200;

/** What is wrong with the name of somebody who signs in, or null. */
export function userNameFault(name: string): string | null {
  if (name.length === 0 || name.length > 64) return 'expected 1 to 64 characters';
  if (!/^[\p{L}\p{N}][\p{L}\p{N}._@+-]*$/u.test(name))
    return 'expected letters, digits, and . _ @ + - after the first of them';
  return labelFault(name);
}

/** What is wrong with a password that was chosen, or null. Says nothing of a password that is only given. */
export function passwordFault(password: string, userName: string): string | null {
  const length = [...password].length;
  if (length < shortestPassword) return `at least ${shortestPassword} characters are needed`;
  if (password.length > longestPassword) return `at most ${longestPassword} characters are allowed`;
  const plain = password.toLowerCase().replace(/[^\p{L}\p{N}]/gu, '');
  const bare = plain.replace(/\d+$/, '').replace(/^\d+/, '');
  if (new Set(plain).size < 5 || isRun(plain) || guessed.has(plain) || guessed.has(bare) || isRepeated(plain))
    return 'this is one of the first that somebody would try';
  const name = userName.toLowerCase().replace(/[^\p{L}\p{N}]/gu, '');
  if (name.length > 2 && bare.replaceAll(name, '').length < 5) return 'it is little more than the name';
  return null;
}

/** `123456789012`, `abcdefghijkl`, a row of a keyboard, in either direction. */
function isRun(text: string): boolean {
  const rows = [
    '01234567890123456789',
    'abcdefghijklmnopqrstuvwxyz',
    'qwertyuiopasdfghjklzxcvbnm',
    'qwertzuiopasdfghjklyxcvbnm',
    'azertyuiopqsdfghjklmwxcvbn',
    '1q2w3e4r5t6y7u8i9o0p',
    '1qaz2wsx3edc4rfv5tgb6yhn',
    'qazwsxedcrfvtgbyhnujm',
  ];
  const turned = [...text].reverse().join('');
  return rows.some((row) => row.includes(text) || row.includes(turned));
}

/** `passwordpassword`, `abc123abc123`. */
function isRepeated(text: string): boolean {
  return /^(.{1,6})\1+$/u.test(text) || /^(.+)\1$/u.test(text);
}

/**
 * The commonest passwords of twelve and more characters in what was stolen elsewhere, and what somebody would try here;
 * without digits at either end, of which every number is tried.
 */
const guessed: ReadonlySet<string> = new Set(
  `administrator adminadminadmin adminpassword administrador basketball becausewhy bitcoinbitcoin changemenow
  changemeplease changepassword computercomputer correcthorsebatterystaple cryptocurrency defaultpassword deposit
  depositd depositdadmin depositdpassword drowssapdrowssap ethereumethereum iloveyou iloveyouforever iloveyousomuch
  iloveyoubaby jesuschrist justinbieber letmein letmeinletmein letmeinplease liverpoolfc manchesterunited masterpassword
  mypassword mypasswordis newpassword nopassword operatorpassword p4ssw0rd passw0rd password passwordadmin passwordpassword
  passwordword paymentpassword princess qwerty qwertyuiop qwertyqwerty qwertypassword rootpassword secretpassword
  serverpassword spongebobsquarepants sunshine superman supersecret supersecretpassword temporarypassword testpassword
  thisisapassword thisismypassword trustno unbelievable userpassword welcome welcomewelcome whatever whateverwhatever
  yourpassword yourpasswordhere 1qaz2wsx3edc zaq12wsxcde3 q1w2e3r4t5y6 1q2w3e4r5t6y a1b2c3d4e5f6 abcd1234abcd`.split(
    /\s+/,
  ),
);
