import { createHash, type KeyObject, sign } from 'node:crypto';

/** What a device is told, or has told, other than the right thing. */
export type Told = {
  type?: string;
  origin?: string;
  challenge?: string;
  crossOrigin?: boolean;
  rpId?: string;
  flags?: number;
  counter?: number;
};

const sha256 = (data: Buffer) => createHash('sha256').update(data).digest();
const text = (data: Buffer) => data.toString('base64url');

export const spki = (key: KeyObject) => text(key.export({ type: 'spki', format: 'der' }));

/** A browser and its device at the page of a host, as far as a server sees them. */
export function createDevice(rpId: string, keyName: string) {
  const origin = `https://${rpId}`;
  const id = text(Buffer.from(keyName));
  const challenge = text(Buffer.from('a challenge of ours'));

  function clientDataOf(type: string, told: Told): Buffer {
    return Buffer.from(
      JSON.stringify({
        type: told.type ?? type,
        challenge: told.challenge ?? challenge,
        origin: told.origin ?? origin,
        crossOrigin: told.crossOrigin ?? false,
      }),
    );
  }

  function authenticatorDataOf(told: Told, key?: Buffer): Buffer {
    const head = Buffer.alloc(37);
    sha256(Buffer.from(told.rpId ?? rpId)).copy(head);
    head[32] = (told.flags ?? 0x05) | (key === undefined ? 0 : 0x40);
    head.writeUInt32BE(told.counter ?? 7, 33);
    if (key === undefined) return head;
    const length = Buffer.alloc(2);
    length.writeUInt16BE(key.length);
    return Buffer.concat([head, Buffer.alloc(16), length, key, Buffer.from('a COSE key')]);
  }

  /** What it signs for a page. */
  function assertionOf(key: KeyObject, told: Told = {}) {
    const clientData = clientDataOf('webauthn.get', told);
    const data = authenticatorDataOf(told);
    const digest = key.asymmetricKeyType === 'ed25519' ? null : 'sha256';
    const signature = sign(digest, Buffer.concat([data, sha256(clientData)]), key);
    return {
      id,
      rawId: id,
      type: 'public-key',
      clientExtensionResults: {},
      response: {
        clientDataJSON: text(clientData),
        authenticatorData: text(data),
        signature: text(signature),
        userHandle: 'dXNyXzE',
      },
    };
  }

  /** A key that it has made. */
  function creationOf(publicKey: string, told: Told = {}) {
    return {
      id,
      type: 'public-key',
      response: {
        clientDataJSON: text(clientDataOf('webauthn.create', told)),
        authenticatorData: text(authenticatorDataOf(told, Buffer.from(id, 'base64url'))),
        publicKey,
        attestationObject: 'oA',
      },
    };
  }

  return { origin, rpId, id, challenge, authenticatorDataOf, assertionOf, creationOf };
}
