import { createHmac, timingSafeEqual } from 'node:crypto';

/*
 * Two signatures over the same bytes. Ours (PayHook's): `t=<unix>,v1=<hex>`, HMAC-SHA256 over `<t>.<body>`
 * keyed by the secret as it is shown, `whsec_` included. And that of https://www.standardwebhooks.com:
 * `v1,<base64>` over `<id>.<t>.<body>`, keyed by the bytes that the secret's base64 stands for.
 *
 * While a rotation lasts, both carry one signature for each secret, the newest first. PayHook's published
 * verifier keeps the last `v1` only, so the last is that of the old secret: receivers that have not changed
 * yet go on working, and those that have look at all.
 */

export const secretPrefix = 'whsec_';

/** `timestamp` in Unix seconds. `secrets`: newest first, at least one. */
export function signPayload(secrets: readonly string[], timestamp: number, body: Uint8Array): string {
  const signatures = secrets.map((secret) => `v1=${hmacOf(secret, timestamp, body).toString('hex')}`);
  return [`t=${timestamp}`, ...signatures].join(',');
}

/** The value of the Standard Webhooks header `webhook-signature`. */
export function signStandard(
  secrets: readonly string[],
  message: { id: string; timestamp: number; body: Uint8Array },
): string {
  return secrets
    .map((secret) => {
      const hmac = createHmac('sha256', Buffer.from(secret.slice(secretPrefix.length), 'base64'));
      return `v1,${hmac.update(`${message.id}.${message.timestamp}.`).update(message.body).digest('base64')}`;
    })
    .join(' ');
}

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
