import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';

const root = join(import.meta.dirname, '..');
const run = promisify(execFile);

/** Installing needs npm's cache or a registry, and half a minute. */
const wanted = process.env.DEPOSITD_PACK === '1';

/** What an installation may take, bytes. */
const mostBytes = 60 * 1024 ** 2;

test.runIf(wanted)(
  'the packed program installs with its production dependencies alone, takes less than 60 MB, and its doctor runs (DEPOSITD_PACK=1)',
  async () => {
    const home = mkdtempSync(join(tmpdir(), 'depositd-packed-'));
    onTestFinished(() => rmSync(home, { recursive: true, force: true }));
    await run('npm', ['pack', '--pack-destination', home], { cwd: root });
    const tarball = readdirSync(home).find((name) => name.endsWith('.tgz')) ?? '';
    writeFileSync(join(home, 'package.json'), '{"private":true}');
    await run(
      'npm',
      ['install', '--omit=dev', '--prefer-offline', '--no-audit', '--no-fund', `./${tarball}`],
      {
        cwd: home,
      },
    );
    expect(sizeOf(join(home, 'node_modules'))).toBeLessThan(mostBytes);
    const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
      dependencies: Record<string, string>;
    };
    const installed = readdirSync(join(home, 'node_modules'));
    expect(installed).toEqual(
      expect.arrayContaining(Object.keys(dependencies).map((name) => name.split('/')[0])),
    );
    for (const development of ['vitest', 'typescript', 'tronweb', 'solc'])
      expect(installed).not.toContain(development);

    const config = {
      publicUrl: 'http://127.0.0.1:1',
      database: 'sqlite:./depositd.db',
      adminToken: 'a-token-of-the-package-test',
      rates: { sources: ['fixed'], fixed: { usdt: '1', bnb: '600' } },
      chains: { bsc: { rpc: ['http://127.0.0.1:1/'] } },
    };
    writeFileSync(join(home, 'config.json'), JSON.stringify(config));
    const env = { PATH: `${dirname(process.execPath)}:/usr/bin:/bin` };
    const program = join(home, 'node_modules/.bin/depositd');
    // It runs, and finds that nothing listens where the node should be.
    const found = await run(program, ['doctor', '--json'], { cwd: home, env }).catch((error) => error);
    expect(found.code).toBe(1);
    expect(JSON.parse(found.stdout)).toMatchObject({
      well: false,
      nodes: [{ network: 'bsc', checks: [{ name: 'chain', outcome: 'danger' }] }],
    });
  },
  300_000,
);

function sizeOf(folder: string): number {
  return readdirSync(folder, { withFileTypes: true }).reduce((sum, entry) => {
    const path = join(folder, entry.name);
    return sum + (entry.isDirectory() ? sizeOf(path) : entry.isFile() ? statSync(path).size : 0);
  }, 0);
}
