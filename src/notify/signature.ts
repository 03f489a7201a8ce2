import { createHmac } from 'node:crypto';

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

function hmacOf(secret: string, timestamp: number, body: Uint8Array): Buffer {
  return createHmac('sha256', secret).update(`${timestamp}.`).update(body).digest();
}
