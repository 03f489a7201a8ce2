import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createScrubber } from '../src/config/scrub.ts';
import { InvariantError, RpcError } from '../src/errors.ts';
import { createLogger } from '../src/log.ts';
import { captureLog } from './support/log.ts';

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
