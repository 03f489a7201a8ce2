import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { checkSignature, type Expected, idOf, readNewKey } from '../../src/users/webauthn.ts';
import { createDevice, spki, type Told } from '../support/passkey-device.ts';

const device = createDevice('pay.example.com', 'the key of this device');
const { id, challenge } = device;
const here: Expected = { ...device, isChallenge: (text) => text === challenge };
const assertionOf = (key: KeyObject, told: Told = {}) => device.assertionOf(key, told);

const pairs = {
  ES256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  EdDSA: generateKeyPairSync('ed25519'),
  RS256: generateKeyPairSync('rsa', { modulusLength: 2048 }),
};
const { publicKey, privateKey } = pairs.ES256;
const passkey = { id, publicKey: spki(publicKey), counter: 6 };

test.each(Object.entries(pairs))('a signature by %s for this page and this challenge is taken', (_, pair) => {
  const known = { ...passkey, publicKey: spki(pair.publicKey) };
  const credential = assertionOf(pair.privateKey);
  expect(idOf(credential)).toBe(id);
  expect(checkSignature(credential, known, here)).toEqual({ counter: 7, challenge });
});

test.each([
  ['for another page', { origin: 'https://pay.example.com.evil.example' }],
  ['in a frame of another page', { crossOrigin: true }],
  ['for another host', { rpId: 'evil.example' }],
  ['of another challenge', { challenge: 'b3RoZXI' }],
  ['that makes a key', { type: 'webauthn.create' }],
  ['without its user', { flags: 0x04 }],
  ['by a device that did not ask who it was', { flags: 0x01 }],
  ['by a copy, which has not counted on', { counter: 6 }],
  ['by a device that has stopped counting', { counter: 0 }],
] as const)('a signature %s is refused', (_, told) => {
  expect(checkSignature(assertionOf(privateKey, told), passkey, here)).toBeNull();
});

test('a signature of another key, over something else, or under another id is refused', () => {
  const right = assertionOf(privateKey);
  const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const changed = device.authenticatorDataOf({ counter: 8 });
  for (const credential of [
    assertionOf(stranger.privateKey),
    { ...right, response: { ...right.response, authenticatorData: changed.toString('base64url') } },
    { ...right, response: { ...right.response, signature: 'AAAA' } },
    { ...right, id: 'b3RoZXI' },
    { ...right, type: 'password' },
  ])
    expect(checkSignature(credential, passkey, here)).toBeNull();
  // A device that never counts is no copy.
  const never = assertionOf(privateKey, { counter: 0 });
  expect(checkSignature(never, { ...passkey, counter: 0 }, here)).toMatchObject({ counter: 0 });
});

test('a new key is read for this page alone, and only if it is strong', () => {
  const credentialOf = (told: Told, key = spki(publicKey), named = id) => ({
    ...device.creationOf(key, told),
    id: named,
  });
  expect(readNewKey(credentialOf({}), here)).toEqual({
    id,
    publicKey: spki(publicKey),
    counter: 7,
  });
  const weak = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey;
  const odd = generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey;
  for (const credential of [
    credentialOf({ origin: 'https://evil.example' }),
    credentialOf({ rpId: 'evil.example' }),
    credentialOf({ type: 'webauthn.get' }),
    credentialOf({ flags: 0x01 }),
    credentialOf({ challenge: 'b3RoZXI' }),
    credentialOf({}, spki(publicKey), 'b3RoZXI'),
    credentialOf({}, spki(weak)),
    credentialOf({}, spki(odd)),
    credentialOf({}, 'AAAA'),
  ])
    expect(readNewKey(credential, here)).toBeNull();
});

test('whatever else a browser sends is refused, and nothing of it breaks', () => {
  const right = assertionOf(privateKey);
  const buffer = fc.uint8Array({ maxLength: 120 }).map((bytes) => Buffer.from(bytes).toString('base64url'));
  const broken = fc.record({
    id: fc.constant(id),
    type: fc.constant('public-key'),
    response: fc.record({
      clientDataJSON: fc.oneof(buffer, fc.constant(right.response.clientDataJSON)),
      authenticatorData: buffer,
      signature: fc.oneof(buffer, fc.constant(right.response.signature)),
      publicKey: buffer,
    }),
  });
  fc.assert(
    fc.property(fc.oneof(broken, fc.anything()), (credential) => {
      expect(checkSignature(credential, passkey, here)).toBeNull();
      expect(readNewKey(credential, here)).toBeNull();
    }),
  );
});
