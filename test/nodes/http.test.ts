import { gzipSync } from 'node:zlib';
import { expect, onTestFinished, test } from 'vitest';
import { NodeError } from '../../src/nodes/fault.ts';
import { createNodeHttp, type NodeHttp, type NodeHttpOptions } from '../../src/nodes/http.ts';
import { testClock } from '../support/evm.ts';
import { respond, startLoopback } from '../support/loopback.ts';

const never = new AbortController().signal;

test('posts JSON with the configured headers to the whole URL, over connections that stay', async () => {
  const node = await startLoopback(respond(200, {}, '{"a":1}'));
  const http = client(`${node.url}/v2/key?x=1`, { headers: { 'x-token': 'abc' } });
  for (let i = 0; i < 3; i++)
    expect(await http.post('{}', never)).toMatchObject({ status: 200, text: '{"a":1}' });
  expect(node.requests[0]).toMatchObject({ method: 'POST', path: '/v2/key?x=1' });
  expect(node.requests[0]?.headers).toMatchObject({ 'x-token': 'abc', 'content-type': 'application/json' });
  expect(node.connections()).toBeLessThanOrEqual(2);
});

test('sends the user and password of a URL as credentials', async () => {
  const node = await startLoopback(respond(200));
  const { host } = new URL(node.url);
  await client(`http://user:p%40ss@${host}/`).post('{}', never);
  const expected = Buffer.from('user:p@ss').toString('base64');
  expect(node.requests[0]?.headers.authorization).toBe(`Basic ${expected}`);
});

test('reads compressed answers', async () => {
  const node = await startLoopback((_, response) => {
    response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('{"long":"äöü"}'));
  });
  expect((await client(node.url).post('{}', never)).text).toBe('{"long":"äöü"}');
  expect(node.requests[0]?.headers['accept-encoding']).toBe('gzip');
});

test('any status is an answer, with what it asks us to wait', async () => {
  const node = await startLoopback(respond(429, { 'retry-after': '7' }, 'slow down'));
  expect(await client(node.url).post('{}', never)).toEqual({
    status: 429,
    text: 'slow down',
    bytes: 9,
    retryAfterMs: 7000,
  });
});

test('redirects are not followed', async () => {
  const elsewhere = await startLoopback(respond(200));
  const node = await startLoopback(respond(302, { location: elsewhere.url }));
  expect((await client(node.url).post('{}', never)).status).toBe(302);
  expect(elsewhere.requests).toEqual([]);
});

test.each([
  ['as it comes', (bytes: Buffer) => ({ body: bytes, headers: {} })],
  ['once unpacked', (bytes: Buffer) => ({ body: gzipSync(bytes), headers: { 'content-encoding': 'gzip' } })],
])('an answer that is too large %s is refused', async (_, pack) => {
  const { body, headers } = pack(Buffer.alloc(200_000, ' '));
  const node = await startLoopback((_request, response) => void response.writeHead(200, headers).end(body));
  const error = await failureOf(client(node.url, { maxBytes: 100_000 }).post('{}', never));
  expect(error.fault).toEqual({ kind: 'too-much' });
});

test.each([
  ['objects', `[${'{},'.repeat(300_000)}0]`],
  ['lists in lists', '['.repeat(400_000) + ']'.repeat(400_000)],
])(
  'an answer of so many %s that its parts would take far more memory than its text is refused',
  async (_, text) => {
    const node = await startLoopback(respond(200, {}, text));
    const error = await failureOf(client(node.url).post('{}', never));
    expect(error.fault).toEqual({ kind: 'too-much' });
  },
);

test.each([
  [
    'the shortest frames of a trace',
    { from: hex(40), gas: '0x1', to: hex(40), input: '0x', type: 'CALL', calls: [] },
  ],
  ['entries of access lists', { address: hex(40), storageKeys: [] }],
  ['what TRON tells of plain transfers', { id: hex(64), contractResult: [''], receipt: { net_usage: 268 } }],
  ['transfers', { address: hex(40), topics: [hex(64), hex(64), hex(64)], data: hex(64), blockHash: hex(64) }],
])('an answer of nothing but %s is taken, however many there are', async (_, part) => {
  const text = JSON.stringify(Array.from({ length: 30_000 }, () => part));
  const node = await startLoopback(respond(200, {}, text));
  const answer = await client(node.url, { maxBytes: 100_000_000 }).post('{}', never);
  expect(answer.text).toHaveLength(text.length);
});

test.each([
  ['never answers', () => {}],
  ['never ends its answer', (response: { write(text: string): void }) => response.write('{"a":')],
])('a node that %s is given up after the time-out', async (_, answer) => {
  const node = await startLoopback((_request, response) => answer(response));
  const error = await failureOf(client(node.url, { timeoutMs: 50 }).post('{}', never));
  expect(error.fault).toEqual({ kind: 'unavailable', retryAfterMs: null, late: true });
  expect(error.message).toBe('no answer within 50 ms');
});

test('a damaged compressed answer, a broken connection and a closed port are said without addresses', async () => {
  const damaged = await startLoopback((_, response) => {
    response.writeHead(200, { 'content-encoding': 'gzip' }).end('not gzip');
  });
  const broken = await startLoopback((_, response) => response.destroy());
  const closed = await startLoopback(respond(200));
  await closed.close();
  for (const { url } of [damaged, broken, closed]) {
    const error = await failureOf(client(`${url}/secret-path`).post('{}', never));
    expect(error.fault).toEqual({ kind: 'unavailable', retryAfterMs: null });
    expect(error.message).not.toMatch(/secret|127\.0\.0\.1/);
  }
});

test('being stopped is not the fault of the node', async () => {
  const node = await startLoopback(() => {});
  const stopping = new AbortController();
  const waiting = client(node.url).post('{}', stopping.signal);
  await node.arrived(1);
  stopping.abort(new Error('stopped'));
  await expect(waiting).rejects.toThrow('stopped');
});

function hex(digits: number): string {
  return `0x${'a'.repeat(digits)}`;
}

function client(url: string, options: Partial<NodeHttpOptions> = {}): NodeHttp {
  const http = createNodeHttp({
    url,
    headers: {},
    timeoutMs: 5000,
    maxBytes: 1_000_000,
    clock: testClock(),
    ...options,
  });
  onTestFinished(() => http.close());
  return http;
}

async function failureOf(promise: Promise<unknown>): Promise<NodeError> {
  const error = await promise.then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(NodeError);
  return error as NodeError;
}
