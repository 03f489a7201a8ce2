import { type ExecFileException, execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePort } from './support/programs.ts';
import { scratchRoot } from './support/scratch.ts';
import { waitFor } from './support/wait.ts';

/*
 * The Dockerfile and deploy/compose.yaml in a container engine: `DEPOSITD_TEST_CONTAINERS=1 npx vitest run containers`, where
 * `docker compose` answers and the images that they begin with are there or can be fetched. It takes a minute. Grafana
 * stays out: what it shows is tested with the metrics (deploy.test.ts).
 */

const root = join(import.meta.dirname, '..');
const run = promisify(execFile);

test('of the sources only what the build reads goes into the image, no configuration and no key', () => {
  const [everything, ...rest] = readFileSync(join(root, '.dockerignore'), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
  expect(everything).toBe('*');
  const letIn = rest.filter((line) => line.startsWith('!')).map((line) => line.slice(1));
  expect(letIn).toEqual([
    'package.json',
    'package-lock.json',
    '.npmrc',
    'tsconfig.json',
    'tsconfig.build.json',
    'scripts',
    'src',
    'migrations',
    'dashboard',
  ]);
  for (const name of letIn) expect(existsSync(join(root, name)), name).toBe(true);
  // Over an older layer the build could not put a new one in its place.
  expect(rest).toContain('dashboard/dist');
});

describe.skipIf(process.env.DEPOSITD_TEST_CONTAINERS !== '1')('compose', () => {
  const folder = join(scratchRoot(), `depositd-test-containers-${process.pid}`);
  let port = 0;

  async function compose(...args: string[]): Promise<{ code: number; output: string }> {
    try {
      const { stdout, stderr } = await run('docker', ['compose', ...args], {
        cwd: join(folder, 'deploy'),
        env: { ...process.env, DEPOSITD_PORT: String(port) },
        timeout: 300_000,
      });
      return { code: 0, output: stdout + stderr };
    } catch (error) {
      const { code, stdout, stderr } = error as ExecFileException & { stdout: string; stderr: string };
      return { code: Number(code ?? -1), output: stdout + stderr };
    }
  }

  async function done(...args: string[]): Promise<string> {
    const { code, output } = await compose(...args);
    expect(code, output).toBe(0);
    return output;
  }

  const inContainer = (...command: string[]) => done('exec', '-T', 'depositd', ...command);

  beforeAll(async () => {
    await run('git', ['clone', '--quiet', root, folder]);
    const config = join(folder, 'deploy/config.json');
    writeFileSync(
      config,
      JSON.stringify({
        publicUrl: 'http://127.0.0.1:8080',
        listen: { host: '0.0.0.0', port: 8080 },
        checkout: { trustedProxies: ['172.16.0.0/12'] },
        // biome-ignore-start lint/suspicious/noTemplateCurlyInString: of the environment, not ours.
        database: '${DEPOSITD_DATABASE}',
        adminToken: '${DEPOSITD_ADMIN_TOKEN}',
        webhooks: { secretKey: '${DEPOSITD_SECRET_KEY}' },
        // biome-ignore-end lint/suspicious/noTemplateCurlyInString: as above.
        rates: { sources: ['fixed'], fixed: { usdt: '1', usdc: '1', busd: '1', bnb: '600' } },
        chains: { bsc: { rpc: ['http://127.0.0.1:1/'] } },
      }),
    );
    chmodSync(config, 0o644);
    const secret = () => randomBytes(32).toString('hex');
    writeFileSync(
      join(folder, 'deploy/.env'),
      `DEPOSITD_ADMIN_TOKEN=${secret()}\nDEPOSITD_SECRET_KEY=${secret()}\nPOSTGRES_PASSWORD=${secret()}\n`,
    );
    await done('build', 'depositd');
  }, 600_000);

  afterAll(async () => {
    await compose('down', '--volumes', '--timeout', '10');
    rmSync(folder, { recursive: true, force: true });
  }, 60_000);

  test('where the port is taken it says so, and takes the one that .env names', {
    timeout: 120_000,
  }, async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    port = (other.address() as { port: number }).port;
    const refused = await compose('up', '--detach', 'depositd', 'postgres');
    expect(refused.code).not.toBe(0);
    expect(refused.output).toMatch(/address already in use|port is already allocated/);
    other.close();

    port = await freePort();
    await done('up', '--detach', 'depositd', 'postgres', 'prometheus');
    await waitFor('an answer', async () => {
      const answer = await fetch(`http://127.0.0.1:${port}/healthz`).catch(() => null);
      return answer?.status === 200;
    });
  });

  test('the daemon is nobody in particular, may do nothing in particular, and writes to /tmp alone', async () => {
    expect(await inContainer('id', '-un')).toBe('node\n');
    expect(await inContainer('grep', 'CapEff', '/proc/1/status')).toMatch(/\b0+$/m);
    expect((await compose('exec', '-T', 'depositd', 'touch', '/app/x')).output).toContain(
      'Read-only file system',
    );
    await inContainer('touch', '/tmp/x');
  });

  test('the check of its health is what the image says', async () => {
    await inContainer('depositd', 'health');
    expect(await inContainer('depositd', 'status', '--json')).toContain('"chains"');
  });

  test('Prometheus reads it, and every rule of ours can be evaluated', async () => {
    const ask = async (path: string) => {
      const asked = `fetch('http://prometheus:9090${path}').then(async (answer) => console.log(await answer.text()))`;
      return JSON.parse(await inContainer('node', '-e', asked)) as { data: Record<string, unknown[]> };
    };
    type Target = { health: string };
    await waitFor(
      'the first reading',
      async () =>
        ((await ask('/api/v1/targets')).data.activeTargets as Target[]).every(
          ({ health }) => health === 'up',
        ),
      { timeoutMs: 60_000 },
    );
    type Group = { rules: { name: string; health: string }[] };
    const rules = await waitFor(
      'the first evaluation',
      async () => {
        const groups = (await ask('/api/v1/rules')).data.groups as Group[];
        const all = groups.flatMap((group) => group.rules);
        return all.every(({ health }) => health !== 'unknown') && all;
      },
      { timeoutMs: 60_000 },
    );
    expect(rules.length).toBeGreaterThan(10);
    expect(rules.filter(({ health }) => health !== 'ok')).toEqual([]);
  }, 130_000);

  test('told to stop, it ends by itself within ten seconds', async () => {
    await done('stop', '--timeout', '10', 'depositd');
    expect(await done('ps', '--all', '--format', 'json', 'depositd')).toMatch(/"ExitCode":0\b/);
  }, 30_000);
});
