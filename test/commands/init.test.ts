import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, rmdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { cli, compileCache } from '../support/commands.ts';
import { testFolder } from '../support/databases.ts';
import { findProgram } from '../support/programs.ts';
import { depositd } from './support.ts';

const nodes = [
  '--rpc',
  'bsc=https://a.example',
  '--rpc',
  'bsc=https://b.example/key',
  '--rpc',
  'tron=https://t.example',
];

function folder() {
  const path = testFolder();
  const config = join(path, 'config.json');
  const init = (...args: string[]) => depositd('init', '-c', config, ...args);
  return { config, env: join(path, '.env'), init };
}

test('init writes a configuration that is right, with a token that only its owner can read', async () => {
  const { config, env, init } = folder();
  const { code, stdout } = await init(...nodes, '--public-url', 'https://pay.example.com');
  expect(code).toBe(0);
  expect(stdout).toContain('check-config --online');
  const { chains, publicUrl, adminToken } = loadConfig(config, {});
  expect(publicUrl).toBe('https://pay.example.com');
  expect(Object.values(chains).map((chain) => [chain?.network, chain?.rpc.map(({ url }) => url)])).toEqual([
    ['bsc', ['https://a.example/', 'https://b.example/key']],
    ['tron', [expect.stringContaining('https://t.example')]],
  ]);
  expect(readFileSync(env, 'utf8')).toBe(`DEPOSITD_ADMIN_TOKEN=${adminToken}\n`);
  expect(adminToken).toMatch(/^[0-9a-f]{64}$/);
  for (const path of [config, env]) expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(stdout).not.toContain(adminToken);
});

test('init overwrites neither a configuration nor a token', async () => {
  const { config, env, init } = folder();
  writeFileSync(env, 'OTHER=1\nDEPOSITD_ADMIN_TOKEN=chosen-by-hand-0123456789');
  expect((await init(...nodes)).code).toBe(0);
  expect(loadConfig(config, {}).adminToken).toBe('chosen-by-hand-0123456789');
  const before = readFileSync(config, 'utf8');
  const again = await init('--rpc', 'ethereum=https://c.example');
  expect([again.code, again.stderr]).toEqual([
    1,
    expect.stringContaining('is there already, and stays as it is'),
  ]);
  expect(readFileSync(config, 'utf8')).toBe(before);
});

test('init adds a token to a file that has none, or an empty one, and hides it from strangers', async () => {
  for (const present of ['OTHER=1', 'DEPOSITD_ADMIN_TOKEN=\n']) {
    const { config, env, init } = folder();
    writeFileSync(env, present, { mode: 0o644 });
    expect((await init(...nodes)).code).toBe(0);
    expect(loadConfig(config, {}).adminToken).toMatch(/^[0-9a-f]{64}$/);
    expect(readFileSync(env, 'utf8')).toContain(present);
    expect(statSync(env).mode & 0o777).toBe(0o640);
  }
});

test('init that cannot write the token leaves no configuration, so that the next one can', async () => {
  const { config, env, init } = folder();
  mkdirSync(env);
  expect((await init(...nodes)).code).toBe(1);
  expect(existsSync(config)).toBe(false);
  rmdirSync(env);
  expect((await init(...nodes)).code).toBe(0);
});

/** Runs a command on a terminal, which util-linux's `script` makes, and answers each question with its line. */
async function onTerminal(args: string[], answers: readonly (readonly [question: string, line: string])[]) {
  const quoted = [process.execPath, cli, ...args].map((part) => `'${part}'`).join(' ');
  const child = spawn('script', ['-qec', quoted, '/dev/null'], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...compileCache, PATH: '/usr/bin:/bin', TERM: 'dumb' },
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  let shown = '';
  let asked = 0;
  child.stdout.on('data', (chunk: Buffer) => {
    shown += chunk.toString();
    const [question, line] = answers[asked] ?? [];
    if (question === undefined || !shown.includes(question)) return;
    asked += 1;
    child.stdin.write(line);
  });
  const [code] = (await once(child, 'close')) as [number];
  return { code, shown, asked };
}

describe.skipIf(findProgram('script') === null)('init on a terminal', () => {
  test('asks for what nobody said, and writes the same', async () => {
    const { config } = folder();
    const { code, asked } = await onTerminal(
      ['init', '-c', config],
      [
        ['Where do customers reach this service? [http://127.0.0.1:8080]: ', 'https://pay.example.com\r'],
        ['bsc, one URL or more: ', 'https://a.example, https://b.example/key\r'],
        ['ethereum, one URL or more: ', '\r'],
        ['tron, one URL or more: ', 'https://t.example\r'],
      ],
    );
    expect({ code, asked }).toEqual({ code: 0, asked: 4 });
    const { chains, publicUrl } = loadConfig(config, {});
    expect(publicUrl).toBe('https://pay.example.com');
    expect(Object.keys(chains)).toEqual(['bsc', 'tron']);
    expect(chains.bsc?.rpc.map(({ url }) => url)).toEqual(['https://a.example/', 'https://b.example/key']);
  });

  test('writes nothing where the questions are left, or no chain is named', async () => {
    const { config, env } = folder();
    const first = 'Where do customers reach this service?';
    const left = await onTerminal(['init', '-c', config], [[first, '\u0004']]);
    expect(left).toMatchObject({ code: 1, shown: expect.stringContaining('nothing was written') });
    const chains = ['bsc', 'ethereum', 'tron'].map((name) => [`${name}, one URL`, '\r'] as const);
    const none = await onTerminal(['init', '-c', config], [[first, '\r'], ...chains]);
    expect(none).toMatchObject({ code: 1, shown: expect.stringContaining('there is nothing to watch') });
    expect([config, env].map((path) => existsSync(path))).toEqual([false, false]);
  });
});

test.each([
  [['--rpc', 'bsc'], 'expected <network>=<url>'],
  [['--rpc', 'bsc=ftp://a.example'], 'chains.bsc.rpc'],
  [['--rpc', 'bcs=https://a.example'], 'bcs'],
  [[...nodes, '--public-url', 'pay.example.com'], 'publicUrl'],
  [[...nodes, '--database', 'mysql://a'], 'database'],
  [[], 'name a node for each chain'],
])('init %j writes nothing, and says what is wrong', async (args, said) => {
  const { config, env, init } = folder();
  const { code, stderr } = await init(...args);
  expect([1, 78]).toContain(code);
  expect(stderr).toContain(said);
  expect([config, env].map((path) => existsSync(path))).toEqual([false, false]);
});
