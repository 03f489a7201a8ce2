import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto';
import { z } from 'zod';

/*
 * What of WebAuthn Level 3 (https://www.w3.org/TR/webauthn-3/) a server needs that asks for no attestation: reading what a
 * browser's `toJSON()` gives, and checking a signature (§7.1, §7.2). No I/O and no clock; null for whatever is not as it
 * must be, and nothing is said of why.
 */

/** What must be so: for which page, and under which challenge of ours. */
export type Expected = {
  origin: string;
  rpId: string;
  /** Base64url, as the browser has it. */
  isChallenge: (challenge: string) => boolean;
};

/** A device asks for at most this many bytes. */
const longest = 8_192;

const bytes = z
  .string()
  .max(longest)
  .regex(/^[\w-]+$/)
  .transform((text) => Buffer.from(text, 'base64url'));

const registration = z.object({
  id: z.string().max(2_000),
  type: z.literal('public-key'),
  response: z.object({ clientDataJSON: bytes, authenticatorData: bytes, publicKey: bytes }),
});

const assertion = z.object({
  id: z.string().max(2_000),
  type: z.literal('public-key'),
  response: z.object({ clientDataJSON: bytes, authenticatorData: bytes, signature: bytes }),
});

const clientData = z.object({
  type: z.string(),
  challenge: z.string().max(longest),
  origin: z.string(),
  crossOrigin: z.boolean().optional(),
});

export type NewKey = { id: string; publicKey: string; counter: number };

/** A public key that a device has made for this page. The key is DER (SPKI), base64url. */
export function readNewKey(credential: unknown, expected: Expected): NewKey | null {
  const read = registration.safeParse(credential);
  if (!read.success) return null;
  const { id, response } = read.data;
  const challenge = challengeOf(response.clientDataJSON, 'webauthn.create', expected);
  const data = readAuthenticatorData(response.authenticatorData, expected.rpId);
  if (challenge === null || data === null || data.credentialId !== id) return null;
  if (keyOf(response.publicKey) === null) return null;
  return { id, publicKey: response.publicKey.toString('base64url'), counter: data.counter };
}

/** The id of the passkey that claims to have signed. */
export function idOf(credential: unknown): string | null {
  const read = assertion.safeParse(credential);
  return read.success ? read.data.id : null;
}

/** Whether a passkey has signed this page's challenge, with its user there and known to the device. */
export function checkSignature(
  credential: unknown,
  passkey: { id: string; publicKey: string; counter: number },
  expected: Expected,
): { counter: number; challenge: string } | null {
  const read = assertion.safeParse(credential);
  if (!read.success || read.data.id !== passkey.id) return null;
  const { clientDataJSON, authenticatorData, signature } = read.data.response;
  const challenge = challengeOf(clientDataJSON, 'webauthn.get', expected);
  const data = readAuthenticatorData(authenticatorData, expected.rpId);
  const key = keyOf(Buffer.from(passkey.publicKey, 'base64url'));
  if (challenge === null || data === null || key === null) return null;
  const signed = Buffer.concat([authenticatorData, sha256(clientDataJSON)]);
  const digest = key.asymmetricKeyType === 'ed25519' ? null : 'sha256';
  try {
    if (!verify(digest, signed, key, signature)) return null;
  } catch {
    return null;
  }
  // A device that counts and has not counted on was copied. Many do not count.
  const counts = data.counter > 0 || passkey.counter > 0;
  if (counts && data.counter <= passkey.counter) return null;
  return { counter: data.counter, challenge };
}

function challengeOf(json: Buffer, type: string, { origin, isChallenge }: Expected): string | null {
  let data: z.infer<typeof clientData>;
  try {
    data = clientData.parse(JSON.parse(json.toString()));
  } catch {
    return null;
  }
  if (data.type !== type || data.origin !== origin || data.crossOrigin === true) return null;
  return isChallenge(data.challenge) ? data.challenge : null;
}

/** Bits of the flags: the user was there, the device knows who it was, and a new key follows. */
const flags = { present: 0x01, verified: 0x04, newKey: 0x40 } as const;

/** Where its parts begin (§6.1): the hash of the host, flags, counter; the maker's id, the length of the key's, the id. */
const at = { flags: 32, counter: 33, length: 53, id: 55 } as const;

function readAuthenticatorData(
  data: Buffer,
  rpId: string,
): { counter: number; credentialId: string | null } | null {
  if (data.length < 37 || !data.subarray(0, at.flags).equals(sha256(Buffer.from(rpId)))) return null;
  const has = (flag: number) => ((data[at.flags] ?? 0) & flag) !== 0;
  if (!has(flags.present) || !has(flags.verified)) return null;
  const counter = data.readUInt32BE(at.counter);
  if (!has(flags.newKey)) return { counter, credentialId: null };
  if (data.length < at.id) return null;
  const end = at.id + data.readUInt16BE(at.length);
  return {
    counter,
    credentialId: data.length < end ? null : data.subarray(at.id, end).toString('base64url'),
  };
}

/** ES256, EdDSA or RS256: what devices are asked for. */
function keyOf(der: Buffer): KeyObject | null {
  try {
    const key = createPublicKey({ key: der, format: 'der', type: 'spki' });
    const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
    if (type === 'ed25519') return key;
    if (type === 'ec' && details?.namedCurve === 'prime256v1') return key;
    return type === 'rsa' && (details?.modulusLength ?? 0) >= 2048 ? key : null;
  } catch {
    return null;
  }
}

function sha256(data: Buffer): Buffer {
  return createHash('sha256').update(data).digest();
}
