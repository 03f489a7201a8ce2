import { createHash, createHmac, randomBytes } from 'node:crypto';
import { base32 } from '@scure/base';

/** RFC 6238 as authenticator apps have it: SHA-1, six digits, steps of 30 seconds. */
const stepMs = 30_000;
const digits = 6;

export function newTotpSecret(): string {
  return base32.encode(randomBytes(20));
}

/** What an authenticator app scans (https://github.com/google/google-authenticator/wiki/Key-Uri-Format). */
export function totpUri(secret: string, { issuer, name }: { issuer: string; name: string }): string {
  const label = `${encodeURIComponent(issuer)}:${encodeURIComponent(name)}`;
  return `otpauth://totp/${label}?secret=${secret}&issuer=${encodeURIComponent(issuer)}`;
}

/** The step whose code this is: now's, the one before or the one after, for clocks that differ a little; else null. */
export function totpStep(secret: string, code: string, now: number): number | null {
  const current = Math.floor(now / stepMs);
  return [current, current - 1, current + 1].find((step) => totpCode(secret, step) === code) ?? null;
}

export function totpCode(secret: string, step: number): string {
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(step));
  const mac = createHmac('sha1', base32.decode(secret)).update(counter).digest();
  const offset = (mac.at(-1) ?? 0) & 0xf;
  const number = mac.readUInt32BE(offset) & 0x7fff_ffff;
  return String(number % 10 ** digits).padStart(digits, '0');
}

/** Ten, for the day on which the phone is gone: each opens the door once. */
export function newRecoveryCodes(): string[] {
  return Array.from({ length: 10 }, () => {
    const text = base32.encode(randomBytes(10)).toLowerCase();
    return `${text.slice(0, 8)}-${text.slice(8)}`;
  });
}

/** A fast hash suffices: a code is 80 random bits. */
export function hashRecoveryCode(code: string): string {
  const text = code.toLowerCase().replaceAll(/[^a-z2-7]/g, '');
  return createHash('sha256').update(text).digest('hex');
}
