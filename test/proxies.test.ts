import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import { request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { certify, createAuthority } from './support/certificates.ts';
import { findProgram, freePort } from './support/programs.ts';
import { scratchRoot } from './support/scratch.ts';
import { waitFor } from './support/wait.ts';

/*
 * The examples of deploy/ in the programs that they are for, where this machine has them (`apt-get install nginx-light caddy`; no
 * package of npm brings them).
 */

const authority = createAuthority('Ours');
const certificate = certify(authority, { hosts: ['pay.example.com'] });
const read = (name: string) => readFileSync(join(import.meta.dirname, '../deploy', name), 'utf8');

type Files = { folder: string; port: number; upstream: number };

/** The files, and how it is started with them. */
const proxies = {
  nginx({ folder, port, upstream }: Files) {
    const server = read('nginx.conf')
      .replace('listen 443 ssl', `listen 127.0.0.1:${port} ssl`)
      .replaceAll('/etc/letsencrypt/live/pay.example.com/fullchain.pem', join(folder, 'cert.pem'))
      .replaceAll('/etc/letsencrypt/live/pay.example.com/privkey.pem', join(folder, 'key.pem'))
      .replaceAll('127.0.0.1:8080', `127.0.0.1:${upstream}`);
    const places = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
      (name) => `${name}_temp_path ${join(folder, name)};`,
    );
    const root = process.getuid?.() === 0 ? 'user root;' : '';
    const log = join(folder, 'access.log');
    writeFileSync(
      join(folder, 'nginx.conf'),
      `${root} daemon off; master_process off; pid ${join(folder, 'pid')}; events {} http { access_log ${log}; ${places.join(' ')} ${server} }`,
    );
    return ['-p', folder, '-e', 'stderr', '-c', join(folder, 'nginx.conf')];
  },
  caddy({ folder, port, upstream }: Files) {
    const site = read('Caddyfile')
      .replace(
        'pay.example.com {',
        `https://pay.example.com:${port} {\n\ttls ${join(folder, 'cert.pem')} ${join(folder, 'key.pem')}`,
      )
      .replaceAll('127.0.0.1:8080', `127.0.0.1:${upstream}`);
    writeFileSync(join(folder, 'Caddyfile'), `{\n\tadmin off\n\tauto_https disable_redirects\n}\n${site}`);
    return ['run', '--adapter', 'caddyfile', '--config', join(folder, 'Caddyfile')];
  },
};

const programs = (['nginx', 'caddy'] as const).map((name) => ({ name, program: findProgram(name) }));

for (const { name, program } of programs)
  describe.skipIf(program === null)(`${name} with the example of deploy/`, () => {
    let port: number;
    let running: ChildProcess;
    const folder = mkdtempSync(join(scratchRoot(), `depositd-${name}-`));
    const reached: string[] = [];
    /** Sends more to the page that is open. */
    let more: (line: string) => void = () => {};
    const daemon = createServer((request, response) => {
      reached.push(request.url ?? '');
      if (!request.url?.endsWith('/events')) {
        request.resume().on('end', () => response.end(JSON.stringify(request.headers)));
        return;
      }
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: first\n\n');
      more = (line) => response.write(line);
    });

    beforeAll(async () => {
      await once(daemon.listen(0, '127.0.0.1'), 'listening');
      port = await freePort();
      writeFileSync(join(folder, 'cert.pem'), certificate.certificate);
      writeFileSync(join(folder, 'key.pem'), certificate.key);
      const args = proxies[name]({ folder, port, upstream: (daemon.address() as AddressInfo).port });
      running = spawn(String(program), args, {
        cwd: folder,
        stdio: 'ignore',
        env: { HOME: folder, XDG_DATA_HOME: folder },
      });
      await waitFor(`${name} to listen`, () => ask('/').then(drained, () => false), { timeoutMs: 20_000 });
    });
    afterAll(async () => {
      const ended = once(running, 'exit');
      // Caddy waits for pages that are open.
      running.kill('SIGKILL');
      await ended;
      daemon.closeAllConnections();
      daemon.close();
      rmSync(folder, { recursive: true, force: true });
    });

    type Asking = { method?: string; headers?: Record<string, string>; body?: string; from?: string };

    async function ask(path: string, { method = 'GET', headers = {}, body, from }: Asking = {}) {
      const sent = request({
        host: '127.0.0.1',
        port,
        path,
        method,
        headers: { host: 'pay.example.com', ...headers },
        servername: 'pay.example.com',
        ca: authority.certificate,
        agent: false,
        ...(from === undefined ? {} : { localAddress: from }),
      });
      sent.end(body);
      const [answer] = (await once(sent, 'response')) as [IncomingMessage];
      return answer;
    }

    async function drained(answer: IncomingMessage): Promise<true> {
      await text(answer);
      return true;
    }

    const status = async (path: string, asking?: Asking) => {
      const answer = await ask(path, asking);
      await drained(answer);
      return answer.statusCode;
    };

    test('lets through what payers, shops and providers need, and nothing else', async () => {
      const through = ['/api/v1/payments/', '/pay/tok', '/pay/tok/look', '/checkout/tok', '/in/cards/hook'];
      for (const path of through) expect(await status(path), path).toBe(200);
      reached.length = 0;
      const inside = [
        '/',
        '/admin/v1/payments/',
        '/dashboard/',
        '/metrics',
        '/healthz',
        '/readyz',
        '/apix/v1/',
      ];
      const tricks = ['/api/../admin/v1/payments/', '/api/%2e%2e/admin/v1/', '//admin/v1/', '/ADMIN/v1/'];
      for (const path of [...inside, ...tricks]) expect(await status(path), path).toBeGreaterThanOrEqual(400);
      expect(reached).toEqual([]);
      // Whoever has the token of a page sees what it shows.
      const log = join(folder, 'access.log');
      if (existsSync(log)) expect(readFileSync(log, 'utf8')).not.toContain('/tok');
    });

    test('tells the daemon whose request it is, whatever the client says of itself', async () => {
      const forged = { 'x-forwarded-for': '203.0.113.7', 'x-forwarded-proto': 'http' };
      const answer = await ask('/pay/tok', { headers: forged, from: '127.0.0.2' });
      expect(JSON.parse(await text(answer))).toMatchObject({
        host: 'pay.example.com',
        'x-forwarded-for': '127.0.0.2',
        'x-forwarded-proto': 'https',
      });
    });

    test('passes on each event of an open page at once', async () => {
      const answer = await ask('/pay/tok/events');
      const parts = answer[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
      expect(String((await parts.next()).value)).toBe('data: first\n\n');
      more('data: second\n\n');
      expect(String((await parts.next()).value)).toBe('data: second\n\n');
      answer.destroy();
    });

    test('takes the largest body that the daemon takes, and not much more', async () => {
      const post = (kib: number) =>
        status('/api/v1/payments/', { method: 'POST', body: 'x'.repeat(kib * 1024) });
      expect(await post(64)).toBe(200);
      // Caddy 2.6 calls it a bad gateway.
      expect([413, 502]).toContain(await post(256));
    });
  });
