import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parsePostgresUrl } from '../../src/core/postgres-url.ts';

const base = 'postgres://shop:se%40cret@db.example.com:5432/depositd';

describe('the URL of a PostgreSQL database', () => {
  test.each([
    ['', null],
    ['?sslmode=disable', null],
    ['?sslmode=require', { checkAuthority: false, checkHost: false, rootCert: null }],
    ['?sslmode=require&sslrootcert=/ca.pem', { checkAuthority: true, checkHost: false, rootCert: '/ca.pem' }],
    [
      '?sslmode=verify-ca&sslrootcert=/ca.pem',
      { checkAuthority: true, checkHost: false, rootCert: '/ca.pem' },
    ],
    ['?sslmode=verify-full', { checkAuthority: true, checkHost: true, rootCert: null }],
    ['?sslmode=verify-full&sslrootcert=system', { checkAuthority: true, checkHost: true, rootCert: null }],
    [
      '?sslmode=verify-full&sslcert=/c.pem&sslkey=/k.pem&sslnegotiation=direct',
      { checkHost: true, cert: '/c.pem', key: '/k.pem', direct: true },
    ],
    ['?sslmode=verify-full&channel_binding=prefer', { checkAuthority: true, checkHost: true }],
    ['?sslmode=verify-full&ssl_min_protocol_version=TLSv1.2', { checkAuthority: true, checkHost: true }],
  ])('means with "%s" what libpq means', (query, tls) => {
    const parsed = parsePostgresUrl(`${base}${query}`);
    expect(parsed).toMatchObject({ bare: base, tls });
  });

  test.each([
    ['?sslmode=prefer', /would do without encryption.*expected disable, require, verify-ca or verify-full/],
    ['?sslmode=allow', /would do without encryption/],
    ['?sslmode=verify-all', /sslmode=verify-all is not known; expected disable, require/],
    ['?sslmode=no-verify', /is not known/],
    ['?sslmode=', /is not known/],
    ['?ssl=true', /"ssl" is not known in it; expected "sslmode"/],
    ['?sslrootcert=/ca.pem', /sslrootcert needs an sslmode beside it; expected verify-full/],
    ['?sslmode=verify-full&sslrootcert=ca.pem', /no absolute path/],
    ['?sslmode=verify-ca', /needs the sslrootcert of an authority of your own/],
    ['?sslmode=verify-ca&sslrootcert=system', /needs the sslrootcert/],
    ['?sslmode=require&sslrootcert=system', /needs sslmode=verify-full/],
    ['?sslmode=verify-full&sslcert=/c.pem', /needed together/],
    ['?sslmode=verify-full&sslnegotiation=plain', /sslnegotiation is not known/],
    [
      '?sslmode=require&channel_binding=require',
      /channel_binding would be ignored; leave it out, with sslmode=verify-full/,
    ],
    ['?sslmode=verify-full&require_auth=scram-sha-256', /require_auth would be ignored/],
    ['?sslmode=verify-full&sslcrl=/revoked.pem', /sslcrl would be ignored/],
    ['?sslmode=verify-full&ssl_min_protocol_version=TLSv1.3', /ssl_min_protocol_version would be ignored/],
    ['?gssencmode=require', /gssencmode would be ignored/],
  ])('is refused with "%s"', (query, error) => {
    expect(parsePostgresUrl(`${base}${query}`)).toEqual({ error: expect.stringMatching(error) });
  });

  test('leaves everything else of it as it was, and no fault shows the password', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (mode, other) => {
        const url = new URL(base);
        url.searchParams.set('application_name', other);
        const plain = url.href;
        url.searchParams.set('sslmode', mode);
        const parsed = parsePostgresUrl(url.href);
        if ('error' in parsed) expect(parsed.error).not.toContain('cret');
        else
          expect(new URL(parsed.bare).searchParams.get('application_name')).toBe(
            new URL(plain).searchParams.get('application_name'),
          );
      }),
    );
  });
});
