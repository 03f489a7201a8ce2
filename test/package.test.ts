import { execFile } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { productionPackages } from '../scripts/production-packages.ts';
import { programVersion } from '../src/version.ts';

const root = join(import.meta.dirname, '..');
const run = promisify(execFile);

/** The packed program, unpacked as an installation would be, beside nothing but its dependencies. */
let home: string;
let files: string[];
let tarball: string;

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'depositd-package-'));
  const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', home], { cwd: root });
  // What the build prints comes first.
  const [packed] = JSON.parse(stdout.slice(stdout.indexOf('[\n'))) as [
    { filename: string; files: { path: string }[] },
  ];
  files = packed.files.map((file) => file.path);
  tarball = join(home, packed.filename);

  const target = join(home, 'node_modules/depositd');
  mkdirSync(target, { recursive: true });
  await run('tar', ['-xzf', tarball, '-C', target, '--strip-components=1']);
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

/** Bytes of the files of a folder; of packages within packages nothing. */
function sizeOf(folder: string): number {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  const own = names.filter((name) => !/(^|\/)node_modules(\/|$)/.test(name));
  const sizes = own.map((name) => statSync(join(folder, name))).map((at) => (at.isFile() ? at.size : 0));
  return sizes.reduce((sum, size) => sum + size, 0);
}

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
        'dist/dashboard/dist/licenses.md',
        'config.example.json',
        'config.schema.json',
        'docs/configuration.md',
        'package.json',
      ]),
    );
    const places =
      /^(dist\/(src|migrations)\/.*\.js|dist\/src\/checkout\/assets\/checkout\.css|dist\/dashboard\/dist\/(index\.html|licenses\.md|assets\/[\w-]+\.(js|css))|(docs|deploy)\/.*|config\.(example|schema)\.json|package\.json|README\.md|LICENSE|CHANGELOG\.md)$/;
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

  test('takes less than 60 MB with all that it depends on', () => {
    const program = sizeOf(join(home, 'node_modules/depositd'));
    const others = productionPackages().map(({ folder }) => sizeOf(folder));
    const all = others.reduce((sum, size) => sum + size, program);
    expect(all / 2 ** 20).toBeLessThan(60);
  });

  test('looks its nodes over where it is installed, and says what is wrong', async () => {
    const config = join(home, 'config.json');
    const chains = { bsc: { rpc: ['http://127.0.0.1:9/'] } };
    writeFileSync(
      config,
      JSON.stringify({
        publicUrl: 'https://pay.example.com',
        database: 'sqlite:./other.db',
        adminToken: 'a-token-of-the-package-test',
        rates: { sources: ['fixed'], fixed: { usdt: '1', usdc: '1', busd: '1', bnb: '600' } },
        chains,
      }),
    );
    const refused = depositd('doctor', '-c', config, '--json').catch(
      (error: { code: number; stdout: string }) => error,
    );
    const { code, stdout } = (await refused) as { code: number; stdout: string };
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({
      well: false,
      nodes: [{ network: 'bsc', host: '127.0.0.1:9', checks: [{ name: 'chain', outcome: 'danger' }] }],
      findings: expect.arrayContaining([expect.objectContaining({ part: 'disk' })]),
    });
  });

  test('names all that is installed with it in its bill of materials', async () => {
    const { stdout } = await run('npm', ['run', '--silent', 'sbom'], { cwd: root });
    const { components } = JSON.parse(stdout) as { components: { name: string; version: string }[] };
    const named = new Set(components.map(({ name, version }) => `${name}@${version}`));
    const installed = productionPackages().map(({ name, version }) => `${name}@${version}`);
    expect([...named].toSorted()).toEqual([...new Set(installed)].toSorted());
  });

  // Asks the registry, or what npm has kept of it.
  test.skipIf(process.env.DEPOSITD_TEST_INSTALL !== '1')(
    'is installed by npm, and runs',
    async () => {
      const folder = mkdtempSync(join(tmpdir(), 'depositd-install-'));
      try {
        writeFileSync(join(folder, 'package.json'), '{"private":true}');
        await run('npm', ['install', '--omit=dev', '--prefer-offline', '--no-audit', tarball], {
          cwd: folder,
        });
        const program = join(folder, 'node_modules/.bin/depositd');
        const env = { PATH: `${dirname(process.execPath)}:/usr/bin:/bin` };
        const { stdout } = await run(program, ['doctor', '--help'], { cwd: folder, env });
        expect(stdout).toMatch(/^Usage: depositd doctor/);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    },
    300_000,
  );
});
