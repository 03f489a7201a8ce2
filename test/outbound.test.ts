import { createServer as createTcpServer, type Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createOutbound, type OutboundCall, type OutboundOptions } from '../src/outbound.ts';
import { checkTarget } from '../src/target.ts';
import { startDns } from './support/dns.ts';
import { respond, startLoopback } from './support/loopback.ts';
import { refusedHosts } from './support/refused-hosts.ts';

function outboundWith(options: Partial<OutboundOptions> = {}) {
  const outbound = createOutbound({ allowHosts: [], userAgent: 'depositd/test', ...options });
  onTestFinished(() => outbound.close());
  return outbound;
}

function post(url: string, more: Partial<OutboundCall> = {}): OutboundCall {
  return {
    method: 'POST',
    url,
    headers: { 'content-type': 'application/json' },
    body: Buffer.from('{"a":1}'),
    timeoutMs: 5_000,
    maxBodyBytes: 2_048,
    ...more,
  };
}

/** A server below HTTP, for answers that no HTTP server gives. */
async function startTcp(onConnection: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createTcpServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    onConnection(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as { port: number }).port;
}

const loopback = { allowHosts: ['127.0.0.1'] };

describe('an outbound call', () => {
  test('carries method, headers, user agent and the exact bytes, and brings back the answer', async () => {
    const server = await startLoopback(respond(202, { 'x-answer': 'yes' }, 'thanks'));
    const body = Buffer.from([0xff, 0x00, 0x7b, 0xc3, 0x28]);
    const result = await outboundWith(loopback).send(post(`${server.url}/hook?a=b%20c`, { body }));
    expect(result).toMatchObject({ kind: 'answer', status: 202, complete: true });
    expect(result.kind === 'answer' && result.body.toString()).toBe('thanks');
    expect(result.kind === 'answer' && result.headers['x-answer']).toBe('yes');
    expect(server.requests).toHaveLength(1);
    expect(server.requests[0]).toMatchObject({ method: 'POST', path: '/hook?a=b%20c', body });
    expect(server.requests[0]?.headers).toMatchObject({
      'user-agent': 'depositd/test',
      'content-type': 'application/json',
    });
  });

  test('brings back the first of headers that are repeated', async () => {
    const server = await startLoopback((_request, response) => {
      response.setHeader('retry-after', ['1', '2']).setHeader('x-answer', ['yes', 'no']).end();
    });
    const result = await outboundWith(loopback).send(post(server.url));
    expect(result).toMatchObject({ headers: { 'retry-after': '1', 'x-answer': 'yes' } });
  });

  test('S43: a redirect is an answer and is not followed, wherever it points to', async () => {
    const inner = await startLoopback(respond(200));
    const server = await startLoopback(respond(307, { location: `${inner.url}/secret` }));
    const result = await outboundWith(loopback).send(post(server.url));
    expect(result).toMatchObject({ kind: 'answer', status: 307 });
    expect(inner.connections()).toBe(0);
  });

  test('connections are used again', async () => {
    const server = await startLoopback(respond(200));
    const outbound = outboundWith(loopback);
    for (let i = 0; i < 20; i++) await outbound.send(post(server.url));
    expect(server.connections()).toBeLessThanOrEqual(2);
  });

  test('calls to one host do not wait for each other', async () => {
    const held: (() => void)[] = [];
    const server = await startLoopback((request, response) => {
      if (request.path === '/fast') response.end('ok');
      else held.push(() => response.end('late'));
    });
    const outbound = outboundWith(loopback);
    const slow = Array.from({ length: 20 }, () => outbound.send(post(`${server.url}/slow`)));
    await server.arrived(20);
    expect(await outbound.send(post(`${server.url}/fast`))).toMatchObject({ kind: 'answer', status: 200 });
    for (const release of held) release();
    for (const result of await Promise.all(slow)) expect(result).toMatchObject({ status: 200 });
  });

  test('S49: a header with a line break in its name or value is refused and nothing is sent', async () => {
    const server = await startLoopback(respond(200));
    for (const headers of [{ 'x-a': 'b\r\nx-c: d' }, { 'x-a': 'b\nx-c: d' }, { 'x-a\r\nx-c': 'd' }]) {
      const result = await outboundWith(loopback).send(post(server.url, { headers }));
      expect(result).toMatchObject({ kind: 'failure', error: 'http' });
    }
    expect(server.requests).toHaveLength(0);
  });
});

describe('the guard of outbound calls', () => {
  test('S40: refuses every spelling of a private target, with zero connections seen', async () => {
    const server = await startLoopback(respond(200));
    const outbound = outboundWith();
    const results = await Promise.all(
      refusedHosts.map((host) => outbound.send(post(`http://${host}:${server.port}/`))),
    );
    for (const [index, result] of results.entries()) {
      expect(result, refusedHosts[index]).toMatchObject({ kind: 'failure', error: 'blocked' });
    }
    const overTls = await outbound.send(post(`https://127.0.0.1:${server.port}/`));
    expect(overTls).toMatchObject({ kind: 'failure', error: 'blocked' });
    expect(server.connections()).toBe(0);
  });

  test('S40: refuses a name that resolves to a private address, be it of a single label', async () => {
    const server = await startLoopback(respond(200));
    const dns = await startDns(() => ['127.0.0.1']);
    const outbound = outboundWith({ dnsServers: [dns.server] });
    for (const name of ['shop.example', 'intranet', 'metadata.']) {
      const result = await outbound.send(post(`http://${name}:${server.port}/`));
      expect(result).toMatchObject({ kind: 'failure', error: 'blocked' });
      expect(result.kind === 'failure' && result.detail).toContain(`${name} resolves to a refused address`);
    }
    expect(server.connections()).toBe(0);
  });

  test.each([
    ['IPv4', ['93.184.216.34', '127.0.0.1']],
    ['IPv6', ['2606:2800:220:1:248:1893:25c8:1946', '::1']],
    ['both', ['93.184.216.34', '::ffff:127.0.0.1']],
  ])('S41: refuses a name with one public and one private address (%s)', async (_family, addresses) => {
    const server = await startLoopback(respond(200));
    const dns = await startDns(() => addresses);
    const outbound = outboundWith({ dnsServers: [dns.server] });
    const result = await outbound.send(post(`http://shop.example:${server.port}/`));
    expect(result).toMatchObject({ kind: 'failure', error: 'blocked' });
    expect(server.connections()).toBe(0);
  });

  test('S42: refuses a name that was fine when it was added and is private when it is sent to, with zero connections seen', async () => {
    const server = await startLoopback(respond(200));
    const url = `http://shop.example:${server.port}/`;
    let addresses = ['93.184.216.34'];
    const dns = await startDns(() => addresses);
    expect(checkTarget(url, [])).toBeNull();
    addresses = ['127.0.0.1'];
    expect(await outboundWith({ dnsServers: [dns.server] }).send(post(url))).toMatchObject({
      error: 'blocked',
    });
    expect(server.connections()).toBe(0);
  });

  test('S42: refuses a name that was allowed once and is private now', async () => {
    const server = await startLoopback(respond(200, { connection: 'close' }));
    const dns = await startDns((_name, nth) => (nth === 0 ? ['127.0.0.1'] : ['127.0.0.2']));
    const outbound = outboundWith({ ...loopback, dnsServers: [dns.server] });
    const url = `http://shop.example:${server.port}/`;
    expect(await outbound.send(post(url))).toMatchObject({ status: 200 });
    expect(await outbound.send(post(url))).toMatchObject({ kind: 'failure', error: 'blocked' });
    expect(server.connections()).toBe(1);
  });

  test('S42: connects to the very addresses it checked: the name server is asked once for each connection', async () => {
    const server = await startLoopback(respond(200));
    // A rebinding name server: the second answer would be another machine.
    const dns = await startDns((_name, nth) => (nth === 0 ? ['127.0.0.1'] : ['127.0.0.2']));
    const outbound = outboundWith({ ...loopback, dnsServers: [dns.server] });
    expect(await outbound.send(post(`http://shop.example:${server.port}/`))).toMatchObject({ status: 200 });
    expect(dns.questions.sort()).toEqual(['A shop.example', 'AAAA shop.example']);
    expect(server.requests[0]?.headers.host).toBe(`shop.example:${server.port}`);
  });

  test('S44: a connection that was allowed is not used by a client that no longer allows it', async () => {
    const server = await startLoopback(respond(200));
    const before = outboundWith(loopback);
    expect(await before.send(post(server.url))).toMatchObject({ status: 200 });
    const after = outboundWith({ allowHosts: ['127.0.0.2'] });
    expect(await after.send(post(server.url))).toMatchObject({ kind: 'failure', error: 'blocked' });
    expect(server.connections()).toBe(1);
    expect(server.requests).toHaveLength(1);
  });

  test('a listed name is resolved by the system and called', async () => {
    const server = await startLoopback(respond(200));
    const dns = await startDns(() => ['127.0.0.2']);
    const outbound = outboundWith({ allowHosts: ['localhost'], dnsServers: [dns.server] });
    expect(await outbound.send(post(`http://localhost:${server.port}/`))).toMatchObject({ status: 200 });
    expect(dns.questions).toEqual([]);
  });
});

describe('the time of an outbound call', () => {
  test('S47: is limited in all, however slowly the headers drip', async () => {
    const port = await startTcp((socket) => {
      socket.write('HTTP/1.1 200 OK\r\n');
      const drip = setInterval(() => socket.write('x-a: b\r\n'), 20);
      socket.once('close', () => clearInterval(drip));
    });
    const result = await outboundWith(loopback).send(post(`http://127.0.0.1:${port}/`, { timeoutMs: 300 }));
    expect(result).toMatchObject({ kind: 'failure', error: 'timeout', detail: 'no answer within 300 ms' });
  });

  test('S47: is limited when nothing answers at all, when connecting too', async () => {
    const server = await startLoopback(() => {});
    const outbound = outboundWith({ ...loopback, dnsServers: ['127.0.0.1:9'] });
    expect(await outbound.send(post(server.url, { timeoutMs: 200 }))).toMatchObject({ error: 'timeout' });
  });

  test('S47: counts the name server, too', async () => {
    // Accepts questions and never answers.
    const dns = await startSilentDns();
    const outbound = outboundWith({ dnsServers: [dns] });
    const result = await outbound.send(post('http://shop.example/', { timeoutMs: 300 }));
    expect(result).toMatchObject({ kind: 'failure', error: 'timeout' });
  });

  test('a call that was given up is not sent once the name server answers after all', async () => {
    const server = await startLoopback(respond(200));
    let answer: (addresses: string[]) => void = () => {};
    const late = new Promise<string[]>((resolve) => {
      answer = resolve;
    });
    const dns = await startDns(() => late);
    const outbound = outboundWith({ ...loopback, dnsServers: [dns.server] });
    const url = `http://shop.example:${server.port}`;
    expect(await outbound.send(post(`${url}/first`, { timeoutMs: 100 }))).toMatchObject({ error: 'timeout' });
    answer(['127.0.0.1']);
    expect(await outbound.send(post(`${url}/second`))).toMatchObject({ status: 200 });
    expect(server.requests.map((request) => request.path)).toEqual(['/second']);
  });

  test('S47: a body that never ends does not undo the status', async () => {
    const server = await startLoopback((_request, response) => {
      response.writeHead(200).write('thank');
      const drip = setInterval(() => response.write('s'), 20);
      response.once('close', () => clearInterval(drip));
    });
    const outbound = outboundWith(loopback);
    const result = await outbound.send(post(server.url, { timeoutMs: 5_000, bodyTimeoutMs: 200 }));
    expect(result).toMatchObject({ kind: 'answer', status: 200, complete: false });
    expect(result.kind === 'answer' && result.body.toString()).toMatch(/^thanks*$/);
  });

  test('a caller can end it', async () => {
    const server = await startLoopback(() => {});
    const stop = new AbortController();
    const result = outboundWith(loopback).send(post(server.url, { signal: stop.signal }));
    await server.arrived(1);
    stop.abort();
    expect(await result).toMatchObject({ kind: 'failure', error: 'reset', detail: 'stopped' });
  });
});

describe('the body of an answer', () => {
  test('S48: is read to the limit and no further, and the connection is dropped', async () => {
    let sent = 0;
    let closed: () => void = () => {};
    const dropped = new Promise<void>((resolve) => {
      closed = resolve;
    });
    const server = await startLoopback((_request, response) => {
      response.once('close', closed);
      response.writeHead(200);
      const flood = (): void => {
        if (response.destroyed) return;
        sent += 65_536;
        response.write(Buffer.alloc(65_536, 0x61), flood);
      };
      flood();
    });
    const result = await outboundWith(loopback).send(post(server.url));
    expect(result).toMatchObject({ kind: 'answer', status: 200, complete: false });
    expect(result.kind === 'answer' && result.body.length).toBe(2_048);
    await dropped;
    // What fits into the sockets' buffers, not what flows in five seconds.
    expect(sent).toBeLessThan(20_000_000);
  });

  test('S48: is never unpacked: a gzip bomb stays small', async () => {
    const bomb = gzipSync(Buffer.alloc(50_000_000));
    const server = await startLoopback((_request, response) =>
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb),
    );
    const result = await outboundWith(loopback).send(post(server.url));
    expect(result.kind === 'answer' && result.body).toEqual(bomb.subarray(0, 2_048));
  });

  test('that breaks off does not undo the status', async () => {
    const port = await startTcp((socket) => {
      socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf'));
    });
    const result = await outboundWith(loopback).send(post(`http://127.0.0.1:${port}/`));
    expect(result).toMatchObject({ kind: 'answer', status: 200, complete: false });
    expect(result.kind === 'answer' && result.body.toString()).toBe('half');
  });
});

describe('a failed call is classed', () => {
  test('dns: the name does not exist', async () => {
    const dns = await startDns(() => null);
    const result = await outboundWith({ dnsServers: [dns.server] }).send(post('http://nobody.invalid/'));
    expect(result).toMatchObject({ kind: 'failure', error: 'dns' });
    expect(result.kind === 'failure' && result.detail).toContain('nobody.invalid cannot be resolved');
  });

  test('refused: nothing listens there', async () => {
    const server = await startLoopback(respond(200));
    await server.close();
    expect(await outboundWith(loopback).send(post(server.url))).toMatchObject({ error: 'refused' });
  });

  test('reset: the connection ends before an answer', async () => {
    const hangsUp = await startTcp((socket) => socket.once('data', () => socket.end()));
    const resets = await startTcp((socket) => socket.once('data', () => socket.resetAndDestroy()));
    const outbound = outboundWith(loopback);
    expect(await outbound.send(post(`http://127.0.0.1:${hangsUp}/`))).toMatchObject({ error: 'reset' });
    expect(await outbound.send(post(`http://127.0.0.1:${resets}/`))).toMatchObject({ error: 'reset' });
  });

  test('tls: the other side does not speak it', async () => {
    const server = await startLoopback(respond(200));
    const result = await outboundWith(loopback).send(post(`https://127.0.0.1:${server.port}/`));
    expect(result).toMatchObject({ kind: 'failure', error: 'tls' });
  });

  test('http: the answer is not HTTP, or has absurd headers', async () => {
    const nonsense = await startTcp((socket) => socket.once('data', () => socket.end('hello there\r\n\r\n')));
    const huge = await startTcp((socket) =>
      socket.once('data', () => socket.end(`HTTP/1.1 200 OK\r\nx-a: ${'a'.repeat(200_000)}\r\n\r\n`)),
    );
    const outbound = outboundWith(loopback);
    expect(await outbound.send(post(`http://127.0.0.1:${nonsense}/`))).toMatchObject({ error: 'http' });
    expect(await outbound.send(post(`http://127.0.0.1:${huge}/`))).toMatchObject({ error: 'http' });
  });
});

async function startSilentDns(): Promise<string> {
  const { createSocket } = await import('node:dgram');
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    socket.close();
  });
  return `127.0.0.1:${socket.address().port}`;
}
