import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';

/*
 * Certificates made here and now (X.509 v3, ECDSA P-256): tests need no openssl, and none of theirs ever expires.
 */

export type Authority = { name: string; key: KeyObject; certificate: string };

/** PEM texts, as a server reads them. */
export type ServerCertificate = { certificate: string; key: string };

/** Its own, or one that another authority vouches for. */
export function createAuthority(name: string, by?: Authority): Authority {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const isAuthority = sequence(
    oid('551d13'),
    der(0x01, Buffer.of(0xff)),
    octets(sequence(der(0x01, Buffer.of(0xff)))),
  );
  const certificate = issue({
    issuer: by?.name ?? name,
    subject: name,
    publicKey,
    signer: by?.key ?? privateKey,
    extensions: [isAuthority],
  });
  return { name, key: privateKey, certificate };
}

/** For these names and IPv4 addresses. `days` from now it expires; it may have done so already. */
export function certify(
  { name, key }: Authority,
  { hosts, days = 1 }: { hosts: readonly string[]; days?: number },
): ServerCertificate {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const names = hosts.map((host) =>
    /^[\d.]+$/.test(host)
      ? der(0x87, Buffer.from(host.split('.').map(Number)))
      : der(0x82, Buffer.from(host)),
  );
  const altNames = sequence(oid('551d11'), octets(sequence(...names)));
  const subject = hosts[0] ?? '';
  return {
    certificate: issue({ issuer: name, subject, publicKey, signer: key, extensions: [altNames], days }),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}

type Issued = {
  issuer: string;
  subject: string;
  publicKey: KeyObject;
  signer: KeyObject;
  extensions: readonly Buffer[];
  days?: number;
};

function issue({ issuer, subject, publicKey, signer, extensions, days = 1 }: Issued): string {
  const dayMs = 24 * 60 * 60 * 1000;
  const signed = sequence(
    der(0xa0, der(0x02, Buffer.of(2))),
    // Positive, and not twice the same.
    der(0x02, Buffer.concat([Buffer.of(1), randomBytes(8)])),
    ecdsaWithSha256,
    commonName(issuer),
    sequence(time(Date.now() - 3 * dayMs), time(Date.now() + days * dayMs)),
    commonName(subject),
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(...extensions)),
  );
  const signature = sign('sha256', signed, { key: signer, dsaEncoding: 'der' });
  const whole = sequence(signed, ecdsaWithSha256, der(0x03, Buffer.concat([Buffer.of(0), signature])));
  const lines = whole.toString('base64').match(/.{1,64}/g) ?? [];
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n');
}

/** One value of ASN.1: tag, length, content. */
function der(tag: number, content: Buffer): Buffer {
  const { length } = content;
  const bytes = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.of(tag, ...bytes), content]);
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return der(0x30, Buffer.concat(parts));
}

function octets(content: Buffer): Buffer {
  return der(0x04, content);
}

function oid(hex: string): Buffer {
  return der(0x06, Buffer.from(hex, 'hex'));
}

function commonName(name: string): Buffer {
  return sequence(der(0x31, sequence(oid('550403'), der(0x0c, Buffer.from(name)))));
}

/** `YYMMDDHHMMSSZ` */
function time(unixMs: number): Buffer {
  const digits = new Date(unixMs).toISOString().replace(/\D/g, '').slice(2, 14);
  return der(0x17, Buffer.from(`${digits}Z`));
}

const ecdsaWithSha256 = sequence(oid('2a8648ce3d040302'));
