import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';
import type { PostgresTls } from '../core/postgres-url.ts';
import { CommandError, reasonOf } from '../errors.ts';
import { codeOf } from './faults.ts';

/**
 * What a connection is made with.
 *
 * @throws CommandError naming the file that cannot be read, or is no PEM file.
 */
export function tlsOptions(tls: PostgresTls): ConnectionOptions {
  const ca = readPem('sslrootcert', tls.rootCert, (text) => new X509Certificate(text));
  const cert = readPem('sslcert', tls.cert, (text) => new X509Certificate(text));
  const key = readPem('sslkey', tls.key, (text) => createPrivateKey(text));
  return {
    rejectUnauthorized: tls.checkAuthority,
    ...(tls.checkHost ? {} : { checkServerIdentity: () => undefined }),
    ...(ca === null ? {} : { ca }),
    ...(cert === null ? {} : { cert }),
    ...(key === null ? {} : { key }),
  };
}

function readPem(name: string, path: string | null, parse: (text: string) => unknown): string | null {
  if (path === null) return null;
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new CommandError(`${name} ${path} cannot be read: ${reasonOf(error)}`, { cause: error });
  }
  try {
    parse(text);
  } catch (error) {
    throw new CommandError(
      `${name} ${path} is no PEM file of a ${name === 'sslkey' ? 'key' : 'certificate'}`,
      {
        cause: error,
      },
    );
  }
  return text;
}

const unknownAuthority =
  'its certificate is signed by nobody who is trusted here; set sslrootcert to the file of its authority';

/** What the server's certificate lacks, and what helps; null for every other error. */
export function certificateFault(error: unknown): string | null {
  switch (codeOf(error)) {
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'UNABLE_TO_GET_ISSUER_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'CERT_SIGNATURE_FAILURE':
    case 'CERT_UNTRUSTED':
    case 'INVALID_CA':
      return unknownAuthority;
    case 'CERT_HAS_EXPIRED':
      return 'its certificate, or that of its authority, has expired; give the server a new one';
    case 'CERT_NOT_YET_VALID':
      return 'its certificate is not valid yet; compare the clocks of both machines';
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return 'its certificate is for another host name; use the name that stands in it, or sslmode=verify-ca with an authority of your own';
    default:
      return null;
  }
}
