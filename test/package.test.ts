import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { programVersion } from '../src/version.ts';

const root = join(import.meta.dirname, '..');
const run = promisify(execFile);

/** The packed program, unpacked as an installation would be, beside nothing but its dependencies. */
let home: string;
let files: string[];

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'depositd-package-'));
  const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', home], { cwd: root });
  // What the build prints comes first.
  const [packed] = JSON.parse(stdout.slice(stdout.indexOf('[\n'))) as [
    { filename: string; files: { path: string }[] },
  ];
  files = packed.files.map((file) => file.path);

  const target = join(home, 'node_modules/depositd');
  mkdirSync(target, { recursive: true });
  await run('tar', ['-xzf', join(home, packed.filename), '-C', target, '--strip-components=1']);
  const { dependencies, bin } = JSON.parse(readFileSync(join(target, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>;
    bin: { depositd: string };
  };
  for (const name of Object.keys(dependencies)) {
    mkdirSync(dirname(join(home, 'node_modules', name)), { recursive: true });
    symlinkSync(join(root, 'node_modules', name), join(home, 'node_modules', name));
  }
  mkdirSync(join(home, 'node_modules/.bin'));
  chmodSync(join(target, bin.depositd), 0o755);
  symlinkSync(join('../depositd', bin.depositd), join(home, 'node_modules/.bin/depositd'));
}, 120_000);

afterAll(() => rmSync(home, { recursive: true, force: true }));

/** By its shebang, with the Node that runs these tests. */
async function depositd(...args: string[]): Promise<string> {
  const { stdout } = await run(join(home, 'node_modules/.bin/depositd'), args, {
    cwd: home,
    env: {
      PATH: `${dirname(process.execPath)}:/usr/bin:/bin`,
      DEPOSITD_ADMIN_TOKEN: 'a-token-of-the-package-test',
    },
  });
  return stdout;
}

describe('the packed program', () => {
  test('holds the built program and what its users read, and nothing else', () => {
    expect(files).toEqual(
      expect.arrayContaining([
        'dist/src/cli.js',
        'dist/migrations/0001_initial.js',
        'dist/src/checkout/assets/checkout.css',
        'dist/src/checkout/assets/checkout.js',
        'dist/dashboard/dist/index.html',
        'config.example.json',
        'config.schema.json',
        'docs/configuration.md',
        'package.json',
      ]),
    );
    const places =
      /^(dist\/(src|migrations)\/.*\.js|dist\/src\/checkout\/assets\/checkout\.css|dist\/dashboard\/dist\/(index\.html|assets\/[\w-]+\.(js|css))|(docs|deploy)\/.*|config\.(example|schema)\.json|package\.json|README\.md|LICENSE|CHANGELOG\.md)$/;
    expect(files.filter((file) => !places.test(file))).toEqual([]);
  });

  test('runs elsewhere and knows its version', async () => {
    expect(await depositd('--version')).toBe(`${programVersion()}\n`);
  });

  test('accepts the example configuration that it brings', async () => {
    expect(await depositd('check-config', '-c', 'node_modules/depositd/config.example.json')).toMatch(
      /config\.example\.json is right/,
    );
  });

  test('makes its database and works on it', async () => {
    const config = ['-c', 'node_modules/depositd/config.example.json', '--json'];
    const merchant = JSON.parse(await depositd('merchant', 'add', 'Shop', ...config)) as { id: string };
    expect(JSON.parse(await depositd('merchant', 'list', ...config))).toMatchObject({
      data: [{ id: merchant.id }],
    });
  });
});
