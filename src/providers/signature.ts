import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { ReceivedWebhook, Verification } from './provider.ts';

/** How far a signature's time may lie from ours, s. */
const toleranceSeconds = 300;

/** One header, whole; null when it is absent or empty. Node joins those that come twice, and then nothing fits. */
export function headerOf({ headers }: Pick<ReceivedWebhook, 'headers'>, name: string): string | null {
  const value = headers[name];
  return typeof value === 'string' && value !== '' ? value : null;
}

/** Whether `hex`, in whatever letter case, is the HMAC-SHA256 of `parts`. */
export function isHmac(hex: string, secret: string, ...parts: readonly (string | Uint8Array)[]): boolean {
  if (!/^[0-9a-f]{64}$/i.test(hex)) return false;
  const hmac = createHmac('sha256', secret);
  for (const part of parts) hmac.update(part);
  return timingSafeEqual(Buffer.from(hex, 'hex'), hmac.digest());
}

/** The time and signature of `t=<unix>,v1=<hex>`; null unless there is exactly one of each. */
export function readTimedSignature(header: string): { timestamp: string; signature: string } | null {
  const found = new Map<string, string[]>();
  for (const part of header.split(',')) {
    const at = part.indexOf('=');
    const key = part.slice(0, Math.max(at, 0)).trim();
    found.set(key, [...(found.get(key) ?? []), part.slice(at + 1).trim()]);
  }
  const [timestamp, ...moreTimes] = found.get('t') ?? [];
  const [signature, ...moreSignatures] = found.get('v1') ?? [];
  if (timestamp === undefined || signature === undefined) return null;
  if (moreTimes.length > 0 || moreSignatures.length > 0 || !/^[0-9]{1,11}$/.test(timestamp)) return null;
  return { timestamp, signature };
}

/** The verdict on a signature over `<t>.<body>`, in the raw bytes: a body parsed and written again is another one. */
export function verifyTimed(
  header: string | null,
  body: Uint8Array,
  secret: string,
  now: number,
): Verification {
  if (header === null) return { verdict: 'invalid', reason: 'no signature' };
  const read = readTimedSignature(header);
  if (read === null) return { verdict: 'invalid', reason: 'a malformed signature' };
  if (!isHmac(read.signature, secret, `${read.timestamp}.`, body)) {
    return { verdict: 'invalid', reason: 'a wrong signature' };
  }
  const near = Math.abs(now / 1000 - Number(read.timestamp)) <= toleranceSeconds;
  return near ? { verdict: 'verified', reading: 'documented' } : { verdict: 'stale' };
}

/** What tells bodies apart that have no id of their own. */
export function digestOf(body: Uint8Array): string {
  return createHash('sha256').update(body).digest('hex');
}
