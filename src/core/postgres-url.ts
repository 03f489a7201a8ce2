/*
 * How a connection to PostgreSQL is secured. The modes mean what they mean to `psql` and everything else that is built
 * on libpq (https://www.postgresql.org/docs/current/libpq-ssl.html). `pg` would read most of them otherwise, and warn.
 */

export type PostgresTls = {
  /** Whether the certificate must be signed by a trusted authority. */
  checkAuthority: boolean;
  /** Whether the certificate must be for this host. */
  checkHost: boolean;
  /** Paths of PEM files. Without `rootCert` the authorities are trusted that Node trusts. */
  rootCert: string | null;
  cert: string | null;
  key: string | null;
  /** Without the question, in PostgreSQL's own protocol, whether the server speaks TLS. */
  direct: boolean;
};

/** `tls` is null where nothing is encrypted. `bare` is the URL without what was read from it. */
export type PostgresUrl = { bare: string; tls: PostgresTls | null };

const expectedModes = 'expected disable, require, verify-ca or verify-full';

/** `error` is a phrase without secrets. */
export function parsePostgresUrl(text: string): PostgresUrl | { error: string } {
  if (!URL.canParse(text))
    return { error: 'it is no valid URL; expected postgres://user:password@host/name' };
  const url = new URL(text);
  const take = (name: string) => {
    const value = url.searchParams.get(name);
    url.searchParams.delete(name);
    return value;
  };
  if (take('ssl') !== null) return { error: '"ssl" is not known in it; expected "sslmode"' };
  const mode = take('sslmode');
  const files = { sslrootcert: take('sslrootcert'), sslcert: take('sslcert'), sslkey: take('sslkey') };
  const negotiation = take('sslnegotiation') ?? 'postgres';
  // Asks for what is done here in any case.
  take('uselibpqcompat');

  const error = unkeptFault(take) ?? modeFault(mode, files.sslrootcert) ?? filesFault(files, mode);
  if (error !== null) return { error };
  if (negotiation !== 'postgres' && negotiation !== 'direct')
    return { error: 'its sslnegotiation is not known; expected postgres or direct' };
  if (mode === null || mode === 'disable') return { bare: url.href, tls: null };
  const rootCert = files.sslrootcert === 'system' ? null : files.sslrootcert;
  const tls: PostgresTls = {
    checkAuthority: mode !== 'require' || rootCert !== null,
    checkHost: mode === 'verify-full',
    rootCert,
    cert: files.sslcert,
    key: files.sslkey,
    direct: negotiation === 'direct',
  };
  return { bare: url.href, tls };
}

/**
 * What libpq would insist on and `pg` takes without a word, each with the values that insist on nothing. Whoever writes one of them
 * believes to be protected by it.
 */
const unkept: Readonly<Record<string, readonly string[]>> = {
  channel_binding: ['prefer', 'disable'],
  gssencmode: ['prefer', 'disable'],
  sslcertmode: ['allow', 'disable'],
  require_auth: [''],
  sslcrl: [''],
  sslcrldir: [''],
  sslpassword: [''],
  ssl_min_protocol_version: ['', 'TLSv1', 'TLSv1.1', 'TLSv1.2'],
  ssl_max_protocol_version: ['', 'TLSv1.3'],
};

function unkeptFault(take: (name: string) => string | null): string | null {
  for (const [name, harmless] of Object.entries(unkept)) {
    const value = take(name);
    if (value !== null && !harmless.includes(value))
      return `its ${name} would be ignored; leave it out, with sslmode=verify-full, which lets nobody else pretend to be the server`;
  }
  return null;
}

function modeFault(mode: string | null, rootCert: string | null): string | null {
  switch (mode) {
    case null:
    case 'disable':
    case 'verify-full':
      return null;
    case 'require':
      // Anybody may have a certificate of a public authority, for a host of their own.
      return rootCert === 'system' ? 'sslrootcert=system needs sslmode=verify-full' : null;
    case 'verify-ca':
      return rootCert === null || rootCert === 'system'
        ? 'sslmode=verify-ca needs the sslrootcert of an authority of your own; without one expected verify-full'
        : null;
    case 'prefer':
    case 'allow':
      return `sslmode=${mode} would do without encryption when somebody on the way asks for that; ${expectedModes}`;
    default:
      return `sslmode=${/^[\w-]{1,30}$/.test(mode) ? mode : '…'} is not known; ${expectedModes}`;
  }
}

function filesFault(files: Readonly<Record<string, string | null>>, mode: string | null): string | null {
  for (const [name, path] of Object.entries(files)) {
    if (path === null || path === 'system') continue;
    if (mode === null) return `${name} needs an sslmode beside it; expected verify-full`;
    if (!path.startsWith('/')) return `${name} is no absolute path; expected that of a PEM file`;
  }
  const { sslcert, sslkey } = files;
  return (sslcert === null) === (sslkey === null) ? null : 'sslcert and sslkey are needed together';
}
