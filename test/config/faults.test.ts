import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { closest } from '../../src/config/faults.ts';
import { anyText } from '../support/text.ts';
import { faultsOf, faultsOfText, minimal, parse } from './support.ts';

describe('a configuration with ten mistakes', () => {
  test('is told all ten at once, each with its path, what was found and what is expected', () => {
    const faults = faultsOf({
      publicUrl: 'pay.example.com',
      adminToken: 'short',
      listen: { host: '127.0.0.1', prot: 8080 },
      database: 'mysql://root:hunter2hunter2@db/pay',
      payments: { lifetimeSeconds: 1, late: 'maybe' },
      rates: { fixed: { bnb: -5 } },
      chains: { bsc: { rpc: ['https://b.example'], pollSecond: 1, tokens: { usdt: 'yes' } } },
      log: 'debug',
    });
    expect(faults).toEqual([
      'publicUrl: found "pay.example.com"; expected the https:// or http:// address of this service, without user name, query or fragment',
      'listen.prot: unknown key; did you mean "port"?',
      'database: found a text of 34 characters (not shown); expected "sqlite:" and the path of a file, or a postgres:// URL',
      'adminToken: found a text of 5 characters (not shown); expected at least 16 characters, such as the output of "openssl rand -hex 32"',
      'payments.lifetimeSeconds: found 1; expected a whole number from 5 to 2592000',
      'payments.late: found "maybe"; expected one of "flag", "confirm"',
      'rates.fixed.bnb: found -5; expected US dollars as a positive decimal in quotes, like "612.50"',
      'chains.bsc.tokens.usdt: found "yes"; expected true, false, or an object with "address" and "decimals"',
      'chains.bsc.pollSecond: unknown key; did you mean "pollSeconds"?',
      'log: found "debug"; expected an object',
    ]);
  });

  test('names what is missing', () => {
    expect(faultsOfText('{}').map((fault) => fault.split(';')[0])).toEqual([
      'publicUrl: missing',
      'adminToken: missing',
      'chains: missing',
    ]);
  });

  test('names the keys that are possible when none is similar', () => {
    expect(faultsOf({ api: { zebra: 1 } })).toEqual([
      'api.zebra: unknown key; expected one of requestsPerSecond',
    ]);
  });

  test('wants another place for the dashboard than for customers, where it has one of its own', () => {
    expect(faultsOf({ dashboard: { listen: { port: 8080 } } })).toEqual([
      'dashboard.listen: is where "listen" is; give it another port',
    ]);
    expect(parse({ dashboard: { listen: { port: 8081 } } }).dashboard).toEqual({
      listen: { host: '127.0.0.1', port: 8081 },
    });
  });
});

describe('the environment', () => {
  test('fills every text, also in the middle of it and in lists', () => {
    const config = parse(
      {
        adminToken: fromEnv('TOKEN'),
        chains: { bsc: { rpc: [`https://${fromEnv('HOST')}/v1/${fromEnv('KEY')}`] } },
      },
      { TOKEN: 'a-token-from-outside', HOST: 'b.example', KEY: 'k' },
    );
    expect([config.adminToken, config.chains.bsc?.rpc[0]?.url]).toEqual([
      'a-token-from-outside',
      'https://b.example/v1/k',
    ]);
  });

  test('lacking a variable is a fault that names the key and the variable, for each of them and once', () => {
    expect(
      faultsOf(
        { adminToken: fromEnv('TOKEN'), chains: { bsc: { rpc: [fromEnv('NODE')] } }, log: { level: 'x' } },
        {},
      ),
    ).toEqual([
      'adminToken: the environment variable TOKEN is not set, nor in the file .env beside the configuration',
      'chains.bsc.rpc[0]: the environment variable NODE is not set, nor in the file .env beside the configuration',
      'log.level: found "x"; expected one of "fatal", "error", "warn", "info", "debug"',
    ]);
  });

  test('is never shown, wherever it was put', () => {
    expect(faultsOf({ log: { level: fromEnv('SECRET') } }, { SECRET: 'hunter2' })).toEqual([
      'log.level: found a text of 7 characters (not shown); expected one of "fatal", "error", "warn", "info", "debug"',
    ]);
  });

  test('does not lend what every object inherits', () => {
    expect(faultsOf({ adminToken: fromEnv('constructor') })).toEqual([
      'adminToken: the environment variable constructor is not set, nor in the file .env beside the configuration',
    ]);
  });
});

describe('a file that is not JSON', () => {
  test.each([
    ['{\n  "publicUrl": "x",\n}', 'line 3, column 1: a comma too many before this bracket'],
    ['{\n  "a": 1 // why\n}', 'line 2, column 10: JSON has no comments'],
    ["{ 'a': 1 }", 'line 1, column 3: JSON wants double quotation marks'],
    ['{ "a": 1 "b": 2 }', 'line 1, column 10: a comma or colon is missing before this text'],
    ['{ "a": "never closed }', 'line 1, column 8: a broken text'],
    ['{ "a": tru }', 'line 1, column 8: this does not belong here'],
    ['{ "a": [1, 2', 'line 1, column 13: the file ends too early'],
    ['', 'line 1, column 1: the file ends too early'],
  ])('%j: says where, and what is wrong there', (text, fault) => {
    expect(faultsOfText(text)).toEqual([`not valid JSON at ${fault}`]);
  });

  test('a key that stands twice is a fault, for the first of them would silently be lost', () => {
    const text = JSON.stringify(minimal).replace('"bsc":', '"bsc":{"rpc":["https://lost.example"]},"bsc":');
    expect(faultsOfText(text)).toEqual(['chains.bsc: stands twice; keep one']);
  });

  test('a byte order mark at its beginning is no fault', () => {
    expect(faultsOfText(`\uFEFF${JSON.stringify(minimal)}`)).toEqual([]);
  });
});

describe('whatever the file holds', () => {
  test('garbage is answered with faults, never with a crash', () => {
    const anyFile = fc.oneof(
      anyText(),
      fc.json(),
      fc.jsonValue().map((value) => JSON.stringify(value)),
    );
    fc.assert(
      fc.property(anyFile, (text) => {
        expect(faultsOfText(text).length).toBeGreaterThan(0);
      }),
      { numRuns: 500 },
    );
  });

  test('any value in the place of any other is answered with faults or accepted, never with a crash', () => {
    const full = {
      ...minimal,
      listen: { host: 'h', port: 1 },
      payments: { lifetimeSeconds: 5, late: 'flag' },
      rates: { sources: ['fixed'], fixed: { usdt: '1' } },
      chains: {
        bsc: {
          rpc: [{ url: 'https://b.example', headers: { a: 'b' } }],
          headers: {},
          tokens: { usdt: { address: '0x', decimals: 1 } },
          startBlock: 1,
        },
      },
      webhooks: { allowHosts: ['h'] },
      providers: {},
    };
    const paths = pathsOf(full);
    fc.assert(
      fc.property(fc.constantFrom(...paths), fc.jsonValue(), (path, value) => {
        for (const fault of faultsOfText(JSON.stringify(replaceAt(full, path, value))))
          expect(fault).toMatch(/^\S.*: ./);
      }),
      { numRuns: 1000 },
    );
  });

  test('the syntax check agrees with JSON.parse about what is JSON', () => {
    const almostJson = fc
      .tuple(
        fc.json(),
        fc.nat(),
        fc.constantFrom('', ',', '}', ']', '"', '\\', '0', '-', 'e', ' ', 'null', ':'),
      )
      .map(([text, at, extra]) => {
        const where = at % (text.length + 1);
        return text.slice(0, where) + extra + text.slice(where + 1);
      });
    fc.assert(
      fc.property(almostJson, (text) => {
        const claims = faultsOfText(text).some((fault) => fault.startsWith('not valid JSON'));
        expect(claims).toBe(!isJson(text));
      }),
      { numRuns: 1000 },
    );
  });

  test('no secret appears in a fault, whatever is wrong with it or beside it', () => {
    const secret = fc.string({
      minLength: 8,
      maxLength: 60,
      unit: fc.constantFrom(...'ABCDEFGHJKLMNPQRSTUVWXYZ'),
    });
    fc.assert(
      fc.property(secret, (text) => {
        const faults = faultsOf({
          publicUrl: `ftp://user:${text}@pay.example.com/${text}`,
          adminToken: `${text} `,
          database: `mysql://root:${text}@db`,
          webhooks: { secretKey: text },
          chains: {
            bsc: {
              rpc: [
                `ftp://node.example/${text}`,
                { url: `${text}://x`, headers: { key: `${text}\n`, 'bad name': text }, wsUrl: text },
                { url: 5, headers: text },
              ],
              headers: { key: `${text}\n` },
            },
          },
        });
        expect(faults.length).toBeGreaterThan(8);
        expect(faults.join('\n')).not.toContain(text);
        expect(faultsOfText(`{"adminToken": ${text}}`).join('\n')).not.toContain(text);
      }),
      { numRuns: 50 },
    );
  });
});

test.each([
  ['publicURL', 'publicUrl'],
  ['public_url', 'publicUrl'],
  ['chain', 'chains'],
  ['loglevel', null],
])('%s is taken for a misspelling of %s', (word, meant) => {
  expect(closest(word, ['publicUrl', 'chains', 'database', 'log'])).toBe(meant);
});

/** As it is written into a configuration. */
function fromEnv(name: string): string {
  return `$\{${name}}`;
}

type Path = (string | number)[];

function pathsOf(value: unknown, path: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [path];
  const entries: [string | number, unknown][] = Array.isArray(value)
    ? [...value.entries()]
    : Object.entries(value);
  return [path, ...entries.flatMap(([key, inner]) => pathsOf(inner, [...path, key]))];
}

function replaceAt(value: unknown, path: Path, replacement: unknown): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return replacement;
  const copy = structuredClone(value) as Record<string | number, unknown>;
  copy[key] = replaceAt(copy[key], rest, replacement);
  return copy;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
