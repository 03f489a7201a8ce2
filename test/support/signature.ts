import { createHmac, timingSafeEqual } from 'node:crypto';

/*
 * What a receiver does with our signature header.
 */

export type ParsedSignature = {
  /** Unix seconds. */
  timestamp: number;
  /** Lower-case hex, each 64 digits, at least one. */
  signatures: string[];
};

/** Null unless the header has one `t` and at least one `v1`, each well formed. Other keys are ignored. */
export function parseSignatureHeader(header: string): ParsedSignature | null {
  let timestamp: number | null = null;
  const signatures: string[] = [];
  for (const part of header.split(',')) {
    const [key, value] = splitOnce(part.trim());
    if (key === 't') {
      if (timestamp !== null || !/^(0|[1-9][0-9]{0,11})$/.test(value)) return null;
      timestamp = Number(value);
    } else if (key === 'v1') {
      if (!/^[0-9a-f]{64}$/.test(value)) return null;
      signatures.push(value);
    }
  }
  return timestamp === null || signatures.length === 0 ? null : { timestamp, signatures };
}

/** Whether `header` signs `body` with `secret` and its time is at most `toleranceSeconds` from `now` (Unix seconds). */
export function verifySignature(
  header: string,
  body: Uint8Array,
  secret: string,
  now: number,
  toleranceSeconds = 300,
): boolean {
  const parsed = parseSignatureHeader(header);
  if (parsed === null || Math.abs(now - parsed.timestamp) > toleranceSeconds) return false;
  const expected = hmacOf(secret, parsed.timestamp, body);
  return parsed.signatures.some((signature) => timingSafeEqual(Buffer.from(signature, 'hex'), expected));
}

function hmacOf(secret: string, timestamp: number, body: Uint8Array): Buffer {
  return createHmac('sha256', secret).update(`${timestamp}.`).update(body).digest();
}

function splitOnce(part: string): [key: string, value: string] {
  const at = part.indexOf('=');
  return at < 0 ? [part, ''] : [part.slice(0, at), part.slice(at + 1)];
}
