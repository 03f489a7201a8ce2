import { isIP } from 'node:net';
import { z } from 'zod';
import { parsePostgresUrl } from '../core/postgres-url.ts';
import { parseSecretKey } from '../core/secret-key.ts';

/*
 * Kinds of values that a configuration holds. Each `error` is the phrase after "expected" in a fault.
 */

export function text(expected: string, isRight: (value: string) => boolean) {
  return z.string({ error: expected }).refine(isRight, { error: expected });
}

export function number(least: number, most: number, unit = '') {
  const error = `a number${unit} from ${least} to ${most}`;
  return z.number({ error }).min(least, { error }).max(most, { error });
}

export function wholeNumber(least: number, most: number, unit = '') {
  const error = `a whole number${unit} from ${least} to ${most}`;
  return z.number({ error }).int({ error }).min(least, { error }).max(most, { error });
}

export function oneOf<const T extends readonly string[]>(values: T) {
  return z.enum(values, { error: `one of ${values.map((value) => `"${value}"`).join(', ')}` });
}

export function section<T extends z.ZodRawShape>(shape: T) {
  return z.strictObject(shape, { error: 'an object' });
}

export function url(schemes: readonly string[]) {
  const expected = `a URL that begins with ${schemes.map((scheme) => `${scheme}//`).join(' or ')}`;
  return text(expected, (value) => URL.canParse(value) && schemes.includes(new URL(value).protocol));
}

export const publicUrl = text(
  'the https:// or http:// address of this service, without user name, query or fragment',
  (value) => {
    if (!URL.canParse(value)) return false;
    const { protocol, username, password, search, hash } = new URL(value);
    return /^https?:$/.test(protocol) && username + password + search + hash === '';
  },
);

const databaseExpected = '"sqlite:" and the path of a file, or a postgres:// URL';

export const database = z.string({ error: databaseExpected }).superRefine((value, context) => {
  const message = databaseFault(value);
  if (message !== null) context.addIssue({ code: 'custom', message });
});

function databaseFault(value: string): string | null {
  if (/^sqlite:.+$/.test(value) && value !== 'sqlite::memory:') return null;
  return postgresFault(value, databaseExpected);
}

function postgresFault(value: string, expected: string): string | null {
  if (!/^postgres(ql)?:\/\//.test(value) || !URL.canParse(value)) return expected;
  const parsed = parsePostgresUrl(value);
  return 'error' in parsed ? `a URL that can be used: ${parsed.error}` : null;
}

const directExpected = 'the postgres:// URL of the database without its pooler';

export const directDatabase = z.string({ error: directExpected }).superRefine((value, context) => {
  const message = postgresFault(value, directExpected);
  if (message !== null) context.addIssue({ code: 'custom', message });
});

export const host = text(
  'a host name or an IP address, without a port',
  (value) => isIP(value) !== 0 || /^[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?$/.test(value),
);

const tokenAdvice = 'such as the output of "openssl rand -hex 32"';

export const adminToken = z
  .string({ error: `a random text, ${tokenAdvice}` })
  .superRefine((value, context) => {
    const message = adminTokenFault(value);
    if (message !== null) context.addIssue({ code: 'custom', message });
  });

/** Says what is missing of this one: a long token is not told that it is too short. */
function adminTokenFault(value: string): string | null {
  if (/[^\x21-\x7e]/.test(value)) return `a text of ASCII characters without spaces, ${tokenAdvice}`;
  if (value.length < 16) return `at least 16 characters, ${tokenAdvice}`;
  return isPlaceholder(value) ? `a random text and not that of an example, ${tokenAdvice}` : null;
}

export const secretKey = text(
  '32 random bytes as 64 hex digits or in base64, such as the output of "openssl rand -hex 32"',
  (value) => parseSecretKey(value) !== null,
);

/** What people leave standing from an example. */
function isPlaceholder(value: string): boolean {
  return /^(change[-_ ]?(me|this)|replace[-_ ]?(me|this)|your[-_ ])/i.test(value) || new Set(value).size < 4;
}

const headerName = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

export const headers = z
  .record(
    z.string(),
    text('a text in one line', (value) => /^[\t\x20-\x7e]*$/.test(value)),
    { error: 'an object of header names and values' },
  )
  .superRefine((value, context) => {
    for (const name of Object.keys(value)) {
      if (!headerName.test(name)) {
        context.addIssue({ code: 'custom', path: [name], message: 'the name of an HTTP header' });
      }
    }
  });
