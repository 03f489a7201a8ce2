import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { describe, expect, onTestFinished, test } from 'vitest';
import { freePort } from '../../src/demo/daemon.ts';
import { evmAddress } from '../support/addresses.ts';
import { createApi } from '../support/api.ts';
import { cli, compileCache } from '../support/commands.ts';
import { adminToken, type DaemonHome } from '../support/daemon.ts';
import { faultProxyForTest } from '../support/fault-proxy.ts';
import type { LogLine } from '../support/log.ts';
import { startReceiver } from '../support/receiver.ts';
import { waitFor } from '../support/wait.ts';
import { commandHome, offline, onChain } from './support.ts';

const settings = { listen: { port: 0 }, webhooks: { allowHosts: ['127.0.0.1'] } };

async function servingHome(changes: object = {}): Promise<DaemonHome> {
  return commandHome({ ...(await onChain()), ...settings, ...changes });
}

describe('serve', () => {
  test('logs JSON lines on stdout, "ready" with host and port, and answers there', async () => {
    const home = await servingHome();
    const daemon = await home.start();
    const ready = home.logs.find((line) => line.msg === 'ready');
    expect(ready).toMatchObject({ level: 'info', host: '127.0.0.1', port: expect.any(Number) });
    expect(daemon.url).toBe(`http://127.0.0.1:${ready?.port}`);
    expect((await fetch(`${daemon.url}/healthz`)).status).toBe(200);
    expect(home.stray).toEqual([]);
  });

  test('prints a link for the first operator beside its log, until there is one', async () => {
    const home = await servingHome();
    const first = await home.start();
    await waitFor('the link', async () => home.firstLinks[0] ?? null);
    expect(home.firstLinks[0]).toMatch(
      new RegExp(`^No operator yet\\. .* 15 minutes .*: ${first.url}/dashboard/#/setup/[\\w-]{43}$`),
    );
    expect(JSON.stringify(home.logs)).not.toContain('/setup/');
    await first.stop();
    const added = await home.runJson<{ name: string; link: string }>('user', 'add', 'ada', '--json');
    expect(added).toMatchObject({ name: 'ada', link: expect.stringContaining('/dashboard/#/password/') });
    await (await home.start()).stop();
    expect(home.firstLinks).toHaveLength(1);
  });

  test('serves operators where the configuration says, and nowhere else', async () => {
    const port = await freePort();
    const home = commandHome({ ...offline, ...settings, dashboard: { listen: { port } } });
    const { url } = await home.start();
    const own = `http://127.0.0.1:${port}`;
    const statusOf = async (address: string) =>
      (await fetch(address, { headers: { authorization: `Bearer ${adminToken}` } })).status;
    expect(await waitFor('the link', async () => home.firstLinks[0] ?? null)).toContain(
      `${own}/dashboard/#/setup/`,
    );
    for (const path of ['/dashboard/', '/admin/v1/merchants/', '/admin/v1/schema/']) {
      expect([path, await statusOf(url + path), await statusOf(own + path)]).toEqual([path, 404, 200]);
    }
    for (const path of ['/api/v1/schema/', '/pay/some-token/', '/in/cards/']) {
      expect([path, await statusOf(own + path)]).toEqual([path, 404]);
    }
    expect([await statusOf(`${url}/api/v1/schema/`), await statusOf(`${own}/healthz`)]).toEqual([200, 200]);
    const metrics = await (await fetch(`${url}/metrics`)).text();
    expect(metrics).toContain(
      'depositd_http_requests_total{method="GET",route="/admin/v1/merchants/",status="200"} 1',
    );
  });

  test.each(['SIGTERM', 'SIGINT'] as const)(
    'ends with 0 after %s, even while its node cannot be reached',
    async (signal) => {
      const home = commandHome({ ...offline, ...settings });
      const daemon = await home.start();
      process.kill(daemon.pid, signal);
      expect(await daemon.ended).toBe(0);
      expect(home.logs.map((line) => line.msg)).toEqual(expect.arrayContaining(['stopping', 'stopped']));
    },
  );

  test('is ready once its chains were read, and makes a payment that was asked for before', async () => {
    const { chains, ...rest } = await onChain();
    const proxy = await faultProxyForTest(chains.bsc.rpc[0] as string);
    const port = await freePort();
    const listen = { host: '127.0.0.1', port };
    const home = commandHome({ ...rest, ...settings, listen, chains: { bsc: { rpc: [proxy.url] } } });
    const added = await home.runJson<{ id: string; api_key: string }>('merchant', 'add', 'Shop');
    await home.run('address', 'add', '--merchant', added.id, '--network', 'bsc', evmAddress(1));
    proxy.inject({ kind: 'hang' });
    const ready = home.start();
    const url = `http://127.0.0.1:${port}`;
    await waitFor('the API', () =>
      fetch(`${url}/healthz`).then(
        ({ ok }) => ok,
        () => false,
      ),
    );
    const made = createApi(() => url, added.api_key).create({
      amount_usd_cents: 5000,
      network: 'bsc',
      currency: 'usdt',
    });
    expect(home.logs.filter(({ msg }) => msg === 'ready')).toEqual([]);
    proxy.clear();
    expect(await made).toMatchObject({ status: 201 });
    await ready;
  });

  test('told to stop a second time while a delivery still runs, ends at once with 130', async () => {
    const home = await servingHome();
    const receiver = await startReceiver();
    onTestFinished(() => receiver.stop());
    receiver.answerAlways('hang');
    const { id } = await home.runJson<{ id: string }>('merchant', 'add', 'Shop');
    const hook = await home.runJson<{ id: string }>('webhook', 'add', receiver.url(), '--merchant', id);
    const daemon = await home.start();
    await home.run('webhook', 'test', hook.id);
    await waitFor('the delivery to begin', () => receiver.requests.length > 0);

    process.kill(daemon.pid, 'SIGTERM');
    await waitFor('the first signal to be noticed', () => home.logs.some((line) => line.msg === 'stopping'));
    process.kill(daemon.pid, 'SIGTERM');
    expect(await daemon.ended).toBe(130);
  });

  test('refuses to serve a database that another daemon serves, and leaves that one alone', async () => {
    const home = await servingHome();
    const daemon = await home.start();
    const second = await home.run('serve');
    expect(second.code).toBe(1);
    expect(second.stderr).toMatch(
      /^depositd: another depositd already serves the database .*; stop it first\n$/,
    );
    expect((await fetch(`${daemon.url}/healthz`)).status).toBe(200);
  });

  test('on SQLite has every role: fewer are refused with the way out, and a misspelt one is wrong usage', async () => {
    const home = commandHome({ ...offline, ...settings });
    const some = await home.run('serve', '--roles', 'api,watch');
    expect(some.code).toBe(1);
    expect(some.stderr).toBe(
      'depositd: a SQLite database belongs to one process, which has every role; leave out --roles, or take PostgreSQL ("depositd copy")\n',
    );
    for (const [roles, found] of [
      ['api,watcher', '"watcher"'],
      ['api,,notify', 'an empty name'],
      ['', 'an empty name'],
    ] as const) {
      const { code, stdout, stderr } = await home.run('serve', '--roles', roles);
      expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
      expect(stderr).toContain(
        `expected some of api, watch, notify, providers, with commas between them; found ${found}`,
      );
    }
  });

  test('on a port that is taken ends with 1 and says so in one sentence', async () => {
    const home = await servingHome();
    const taken = Number(new URL((await home.start()).url).port);
    const other = commandHome({ ...offline, listen: { port: taken } });
    const { code, stderr } = await other.run('serve');
    expect(code).toBe(1);
    expect(stderr).toMatch(
      new RegExp(
        `^depositd: cannot listen on 127\\.0\\.0\\.1:${taken} \\("listen" in the configuration\\): another program listens there \\(EADDRINUSE\\)\\n$`,
      ),
    );
  });

  test('logs for people where the configuration says so, and JSON to a pipe where it says nothing', async () => {
    const home = await servingHome();
    const { port } = new URL((await home.start()).url);
    for (const [log, line] of [
      [{ format: 'text' }, /^\d\d:\d\d:\d\d info {2}starting {2}version=/],
      [{}, /^\{"level":"info",/],
    ] as const) {
      const other = commandHome({ ...offline, log, listen: { port: Number(port) } });
      const { stdout } = await other.run('serve');
      expect(stdout).toMatch(line);
      expect(stdout).toMatch(/not started/);
    }
  });

  test('is shown as running with its prices by status, and as gone since when after it', async () => {
    const home = await servingHome({ listen: { port: await freePort() } });
    const daemon = await home.start();
    expect(await home.run('health')).toMatchObject({ code: 0, stderr: '' });
    expect(await home.runJson('status')).toMatchObject({
      daemon: { running: true, processes: 1 },
      prices: expect.arrayContaining([{ coin: 'usdt', usd: '1', sources: ['fixed'], reason: null }]),
    });
    await daemon.stop();
    expect(await home.run('health')).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^depositd: the daemon does not answer: /),
    });
    const { code, stdout, stderr } = await home.run('status', '--json');
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^depositd: no daemon is running since \d{4}-[^ ]+Z; what is shown is what it left\n$/,
    );
    expect(JSON.parse(stdout)).toMatchObject({
      daemon: { running: false },
      chains: [{ available: false, reason: 'no daemon reads it' }],
      prices: [],
    });
  });

  test('notices what commands change beside it: a merchant, its key and its revocation', async () => {
    const home = await servingHome();
    const daemon = await home.start();
    const merchant = await home.runJson<{ id: string; api_key: string }>('merchant', 'add', 'Shop');
    await home.run('address', 'add', '--merchant', merchant.id, '--network', 'bsc', evmAddress(1));
    const api = createApi(() => daemon.url, merchant.api_key);
    expect(await api.get('/api/v1/methods/')).toMatchObject({
      status: 200,
      body: { data: expect.arrayContaining([]) },
    });

    const { data } = await home.runJson<{ data: { id: string }[] }>('key', 'list', '--merchant', merchant.id);
    await home.run('key', 'revoke', data[0]?.id ?? '');
    await waitFor('the key to be refused', async () => (await api.get('/api/v1/methods/')).status === 401);
  });

  test('dies of an error that nobody handled: fatal in the log, exit code 1', async () => {
    const home = await servingHome();
    // A bug of ours, planted where a test can set it off.
    const bug = "process.on('SIGUSR2', () => { Promise.reject(new Error('planted')); });";
    const child = spawn(
      process.execPath,
      ['--import', `data:text/javascript,${encodeURIComponent(bug)}`, cli, 'serve', '-c', home.configPath],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
        env: { DEPOSITD_ADMIN_TOKEN: adminToken, ...compileCache },
      },
    );
    const ended = once(child, 'close');
    const lines: LogLine[] = [];
    createInterface({ input: child.stdout }).on('line', (line) => lines.push(JSON.parse(line)));
    await waitFor('it to be ready', () => lines.some((line) => line.msg === 'ready'));
    child.kill('SIGUSR2');
    expect((await ended)[0]).toBe(1);
    expect(lines.at(-1)).toMatchObject({ level: 'fatal', msg: 'crashed', err: { message: 'planted' } });
  });

  test('logs neither its token nor a key in the URL of its node', async () => {
    const key = 'a-key-in-the-path-0123456789';
    const home = commandHome({
      ...offline,
      ...settings,
      chains: { bsc: { rpc: [`http://127.0.0.1:1/${key}`], pollSeconds: 0.1 } },
    });
    const daemon = await home.start();
    await waitFor('the node to have failed', () => home.logs.some((line) => line.level === 'warn'));
    await daemon.stop();
    expect(JSON.stringify(home.logs)).not.toMatch(new RegExp(`${key}|${adminToken}`));
  });
});
