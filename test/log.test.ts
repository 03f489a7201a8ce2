import { Writable } from 'node:stream';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createScrubber } from '../src/config/scrub.ts';
import { InvariantError, RpcError } from '../src/errors.ts';
import { createLogger, type LogFields } from '../src/log.ts';
import { captureLog } from './support/log.ts';
import { anyText } from './support/text.ts';

describe('a line of the log', () => {
  test('is one JSON object with the level as a word, an ISO time, the fields and a constant message', () => {
    const { log, lines, text } = captureLog();
    log.info({ network: 'bsc', height: 12 }, 'chain behind');

    expect(text().endsWith('\n')).toBe(true);
    expect(lines).toEqual([
      {
        level: 'info',
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
        network: 'bsc',
        height: 12,
        msg: 'chain behind',
      },
    ]);
  });

  test('carries the fields of every child logger above it', () => {
    const { log, lines } = captureLog();
    log.child({ loop: 'bsc' }).child({ host: 'node.example' }).warn('rpc endpoint switched');
    expect(lines[0]).toMatchObject({
      level: 'warn',
      loop: 'bsc',
      host: 'node.example',
      msg: 'rpc endpoint switched',
    });
  });

  test('shows a bigint as its digits, exactly', () => {
    const { log, lines } = captureLog();
    log.info({ amount: 50_000_000_000_000_000_001n }, 'deposit seen');
    expect(lines[0]?.amount).toBe('50000000000000000001');
  });

  test('below the configured level is not written', () => {
    const written: string[] = [];
    const log = createLogger({ level: 'warn', write: (line) => written.push(line) });
    log.info('ready');
    expect(written).toEqual([]);
  });

  test('tells an expected error by its message and causes, and a bug of ours with its stack', () => {
    const { log, lines } = captureLog();
    const cause = new Error('connect ECONNREFUSED', { cause: new Error('socket closed') });
    log.warn(
      { err: new RpcError('unreachable', 'node.example does not answer', { cause }) },
      'loop step failed',
    );
    log.error({ err: new InvariantError('two live locks') }, 'loop step failed');

    expect(lines[0]?.err).toEqual({
      type: 'RpcError',
      code: 'unreachable',
      message: 'node.example does not answer',
      cause: 'connect ECONNREFUSED: socket closed',
    });
    expect(lines[1]?.err).toMatchObject({
      type: 'InvariantError',
      stack: expect.stringContaining('two live locks'),
    });
  });
});

describe('secrets in a line of the log', () => {
  test.each([
    ['a key in the path', 'https://bsc.example/v1/SECRETSECRET', 'https://bsc.example/…'],
    ['a key in the query', 'https://bsc.example?apikey=SECRETSECRET', 'https://bsc.example/…'],
    [
      'a user name and password',
      'postgres://depositd:SECRETSECRET@db.example:5432/depositd',
      'postgres://db.example:5432/…',
    ],
    [
      'a password with an unescaped slash',
      'postgres://depositd:12/SECRETSECRET@db.example/depositd',
      'postgres://…',
    ],
    ['an API key of a merchant', `pk_SECRETSECRET${'0'.repeat(52)}`, 'pk_[hidden]'],
    ['a webhook secret', 'whsec_SECRETSECRET/+=', 'whsec_[hidden]'],
  ])('%s is hidden, and what is no secret stays readable', (_, secret, shown) => {
    const { log, lines, text } = captureLog();
    log.warn({ err: new Error(`asking ${secret} failed`), target: secret }, 'loop step failed');

    expect(text()).not.toContain('SECRETSECRET');
    expect(lines[0]?.target).toBe(shown);
    expect(lines[0]?.err).toMatchObject({ message: `asking ${shown} failed` });
  });

  test('an address without path, query or user is left as it is', () => {
    expect(createScrubber([])('listening on http://127.0.0.1:8080 now')).toBe(
      'listening on http://127.0.0.1:8080 now',
    );
  });

  test('the lines of a stack still say where in our code they are', () => {
    const { log, lines } = captureLog();
    log.error({ err: new Error('broken') }, 'loop step failed');
    expect(lines[0]?.err).toMatchObject({ stack: expect.stringContaining('log.test.ts') });
    expect(createScrubber([])('at run (file:///opt/depositd/dist/src/cli.js:3:1)')).toContain(
      '/src/cli.js:3:1',
    );
  });

  test('a named secret is hidden in any field, message or stack, whatever characters it has', () => {
    const anySecret = fc
      .string({ minLength: 6, unit: 'grapheme' })
      .filter((text) => !/^[\w\s.:…[\]{},"]*$/.test(text));
    fc.assert(
      fc.property(anySecret, (secret) => {
        const { log, text } = captureLog([secret]);
        log.error({ err: new Error(`bad token ${secret}`), header: `Bearer ${secret}` }, 'loop step failed');
        expect(text()).not.toContain(JSON.stringify(secret).slice(1, -1));
      }),
    );
  });
});

describe('a line of the log for people', () => {
  const plain = new Writable() as unknown as NodeJS.WriteStream;
  const coloured = Object.assign(new Writable(), { isTTY: true }) as unknown as NodeJS.WriteStream;

  // Whoever runs the tests may have said which.
  beforeEach(() => {
    for (const name of ['FORCE_COLOR', 'NO_COLOR', 'NODE_DISABLE_COLORS']) vi.stubEnv(name, undefined);
  });
  afterEach(() => vi.unstubAllEnvs());

  /** What one line becomes. */
  function textOf(fields: LogFields, msg: string, stream = plain, secrets: string[] = []): string {
    let text = '';
    const write = (line: string) => {
      text += line;
    };
    createLogger({ level: 'info', write, textFor: stream, secrets }).warn(fields, msg);
    return text;
  }

  test('is the time, the level, the message and the fields', () => {
    const fields = { network: 'bsc', lag: 12n, reason: 'no answer', host: 'node.example:8545', gaps: [1] };
    expect(textOf(fields, 'chain behind')).toMatch(
      /^\d\d:\d\d:\d\d warn {2}chain behind {2}network=bsc lag=12 reason="no answer" host=node\.example:8545 gaps=\[1\]\n$/,
    );
  });

  test('tells an expected error in a phrase, and shows the stack of a bug below', () => {
    const cause = new Error('ECONNREFUSED');
    const expected = textOf({ err: new RpcError('unreachable', 'no answer', { cause }) }, 'failed');
    expect(expected).toMatch(/warn {2}failed {2}err="no answer: ECONNREFUSED" code=unreachable\n$/);
    const bug = textOf({ err: new InvariantError('two live locks') }, 'failed');
    expect(bug).toMatch(/\n {4}InvariantError: two live locks\n {4} +at /);
  });

  test('is in colours where the stream has them, and nowhere else', () => {
    expect(textOf({ network: 'bsc' }, 'chain behind', coloured)).toContain('\u001b[33m');
    expect(textOf({ network: 'bsc' }, 'chain behind')).not.toContain('\u001b');
  });

  test('lets nothing that others say move the cursor, change colours or begin a line of its own', () => {
    const nasty = fc.string({
      unit: fc.oneof(anyText({ maxLength: 1 }), fc.constantFrom('\u001b[2J', '\n', '\u009b', '\u202e', '\r')),
    });
    fc.assert(
      fc.property(nasty, nasty, (value, message) => {
        const fields = { reason: value, [`k${value}`]: { inner: value }, err: new Error(message) };
        const lines = textOf(fields, 'failed').split('\n');
        expect(lines.pop()).toBe('');
        expect(lines.filter((line) => /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(line))).toEqual([]);
        expect(lines.slice(1).filter((line) => !line.startsWith('    '))).toEqual([]);
      }),
    );
  });

  test('hides secrets, also those that JSON writes in other characters', () => {
    const secret = 'a"secret\\with/quotes';
    expect(textOf({ target: `x ${secret}` }, 'failed', plain, [secret])).not.toMatch(/secret.*with/);
    expect(textOf({ target: 'https://bsc.example/v1/SECRETSECRET' }, 'failed')).not.toContain('SECRET');
  });
});
