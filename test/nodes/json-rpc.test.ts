import { expect, onTestFinished, test } from 'vitest';
import type { RpcEndpoint } from '../../src/config.ts';
import { NodeError } from '../../src/nodes/fault.ts';
import { createRpcClient, type RpcAnswer, type RpcCall, type RpcClient } from '../../src/nodes/json-rpc.ts';
import { endpointOf, type TestClock, testClock } from '../support/evm.ts';
import { type FaultProxy, faultProxyForTest } from '../support/fault-proxy.ts';
import { respond, startLoopback } from '../support/loopback.ts';
import { Refusal, startStubNode } from '../support/stub-node.ts';

const never = new AbortController().signal;
const calls: RpcCall[] = ['a', 'b', 'c', 'd'].map((method) => ({ method, params: [method] }));

test('several calls are one request, and answers come in the order of the calls', async () => {
  const { proxy, client } = await open();
  proxy.inject({ kind: 'reverse-batch' });
  expect(await client.send(calls, never)).toEqual(results('a', 'b', 'c', 'd'));
  expect(proxy.traffic()).toMatchObject({ requests: 1, calls: 4 });
  expect(client.latencyMs()).toBeGreaterThan(0);
});

test('one call is sent by itself, none not at all', async () => {
  const node = await startStubNode(echo);
  const client = openClient(node.url);
  expect(await client.send(calls.slice(0, 1), never)).toEqual(results('a'));
  expect(JSON.parse(String(node.requests[0]?.body))).toMatchObject({
    jsonrpc: '2.0',
    method: 'a',
    params: ['a'],
  });
  expect(await client.send([], never)).toEqual([]);
  expect(node.requests).toHaveLength(1);
});

test('a refused call does not take the others with it', async () => {
  const { client } = await open((method) => {
    if (method === 'b') throw new Refusal(-32005, 'eth_getLogs is limited to a 50 blocks range');
    return method;
  });
  const [first, second, third] = await client.send(calls, never);
  expect([first, third]).toEqual(results('a', 'c'));
  expect(faultOf(second)).toEqual({ kind: 'too-wide', blocks: 50 });
});

test('a node that refuses batches is asked call by call, in order, and is not offered another batch soon', async () => {
  const { proxy, client, clock, asked } = await open();
  proxy.inject({ kind: 'refuse-batch' });
  expect(await client.send(calls, never)).toEqual(results('a', 'b', 'c', 'd'));
  expect(asked.join('')).toBe('abcd');
  proxy.resetTraffic();
  await client.send(calls, never);
  expect(proxy.traffic().requests).toBe(4);
  proxy.clear();
  proxy.resetTraffic();
  clock.advance(61 * 60_000);
  await client.send(calls, never);
  expect(proxy.traffic().requests).toBe(1);
});

test('a node that takes small batches gets small batches', async () => {
  const { proxy, client } = await open();
  proxy.inject({ kind: 'limit-batch', calls: 3 });
  expect(await client.send(calls, never)).toEqual(results('a', 'b', 'c', 'd'));
  proxy.resetTraffic();
  await client.send(calls, never);
  expect(proxy.traffic().requests).toBe(2);
});

test("geth's refusal of a batch, which looks like the answer to its first call, is understood", async () => {
  const node = await startLoopback((request, response) => {
    const asked = JSON.parse(String(request.body)) as { id: number; method: string }[];
    const [first] = asked;
    const error = { code: -32600, message: 'batch too large' };
    const answers =
      asked.length > 2
        ? [{ jsonrpc: '2.0', id: first?.id, error }]
        : asked.map(({ id, method }) => ({ jsonrpc: '2.0', id, result: method }));
    respond(200, {}, JSON.stringify(answers))(request, response);
  });
  const client = openClient(node.url);
  expect(await client.send(calls, never)).toEqual(results('a', 'b', 'c', 'd'));
  expect(client.callsPerRequest()).toBe(2);
});

test.each([
  [500, 'TypeError: list indices must be integers'],
  [400, '{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}'],
  [200, '{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Invalid Request"}}'],
])('a server that does not know batches and says %i is asked call by call', async (status, body) => {
  const node = await startLoopback((request, response) => {
    const call = JSON.parse(String(request.body)) as { id: number; method: string };
    if (Array.isArray(call)) respond(status, {}, body)(request, response);
    else
      respond(
        200,
        {},
        JSON.stringify({ jsonrpc: '2.0', id: call.id, result: call.method }),
      )(request, response);
  });
  expect(await openClient(node.url).send(calls, never)).toEqual(results('a', 'b', 'c', 'd'));
});

test('a node that is out of order keeps its batches', async () => {
  const { proxy, client } = await open();
  proxy.inject({ kind: 'status', status: 500 }, { times: 2 });
  await expect(client.send(calls, never)).rejects.toThrow('HTTP 500');
  proxy.resetTraffic();
  await client.send(calls, never);
  expect(proxy.traffic().requests).toBe(1);
});

test('a node that wants fewer requests is not asked again at once', async () => {
  const { proxy, client } = await open();
  proxy.inject({ kind: 'status', status: 429, headers: { 'retry-after': '3' } });
  const error = await client.send(calls, never).catch((reason: unknown) => reason);
  expect((error as NodeError).fault).toEqual({
    kind: 'unavailable',
    retryAfterMs: 3000,
    throttled: true,
  });
  expect(proxy.traffic().requests).toBe(1);
});

test.each(['lose-answer', 'repeat-answer', 'wrong-id', 'object-id'] as const)(
  '%s: the call counts as not answered',
  async (kind) => {
    const { proxy, client } = await open();
    proxy.inject({ kind }, { method: 'b' });
    const [first, second, third] = await client.send(calls, never);
    expect([first, third]).toEqual(results('a', 'c'));
    expect(faultOf(second)).toEqual({ kind: 'unavailable', retryAfterMs: null });
  },
);

test.each(['wrong-id', 'object-id'] as const)('a single answer with a %s is none', async (kind) => {
  const { proxy, client } = await open();
  proxy.inject({ kind });
  const [answer] = await client.send(calls.slice(0, 1), never);
  expect(faultOf(answer)).toEqual({ kind: 'unavailable', retryAfterMs: null });
});

test('millions of answers that nobody asked for are passed over at once', async () => {
  const node = await startLoopback(respond(200, {}, `[${'0,'.repeat(2_000_000)}0]`));
  const answers = await openClient(node.url).send(calls, never);
  expect(answers.map(faultOf)).toEqual(calls.map(() => ({ kind: 'unavailable', retryAfterMs: null })));
});

test.each([
  ['HTML', respond(200, {}, '<html></html>')],
  ['cut JSON', respond(200, {}, '[{"jsonrpc":"2.0","id":1,"result":')],
  ['nothing', respond(200, {}, '')],
  ['a number', respond(200, {}, '7')],
  ['null', respond(200, {}, 'null')],
  [
    'words of its own',
    respond(
      200,
      {},
      '{"status":"0","message":"NOTOK","result":"Free API access is temporarily unavailable"}',
    ),
  ],
])('%s is not an answer', async (_, answer) => {
  const node = await startLoopback(answer);
  for (const asked of [calls, calls.slice(0, 1)]) {
    const outcome = await openClient(node.url)
      .send(asked, never)
      .catch((reason: unknown) => [{ error: reason }]);
    expect(faultOf((outcome as RpcAnswer[])[0]).kind).toBe('unavailable');
  }
});

test('a key that the node repeats is not passed on', async () => {
  const key = 'a1b2c3d4e5f6a7b8c9d0';
  const node = await startLoopback(
    respond(401, {}, `{"error":{"code":-32000,"message":"invalid key ${key} or token-0123456789"}}`),
  );
  const client = openClient({
    ...endpointOf(`${node.url}/v3/${key}`),
    headers: { 'x-token': 'token-0123456789' },
  });
  const error = await client.send(calls, never).catch((reason: unknown) => reason as Error);
  expect((error as Error).message).toBe('HTTP 401, code -32000, invalid key [hidden] or [hidden]');
});

test('no more requests are sent than the endpoint allows', async () => {
  const node = await startStubNode(echo);
  const clock = testClock();
  const slept: number[] = [];
  const sleep = async (ms: number) => {
    slept.push(ms);
    clock.advance(ms);
  };
  const client = createRpcClient({ endpoint: endpointOf(node.url, { requestsPerSecond: 2 }), clock, sleep });
  onTestFinished(() => client.close());
  for (let i = 0; i < 5; i++) await client.send(calls, never);
  expect(slept).toEqual([500, 500, 500]);
});

function echo(method: string): unknown {
  return method;
}

/** A node that answers each call with its method, a proxy before it, and a client of that. */
async function open(answer: (method: string) => unknown = echo): Promise<{
  proxy: FaultProxy;
  client: RpcClient;
  clock: TestClock;
  asked: string[];
}> {
  const asked: string[] = [];
  const node = await startStubNode((method) => {
    asked.push(method);
    return answer(method);
  });
  const proxy = await faultProxyForTest(node.url);
  const clock = testClock();
  return { proxy, client: openClient(proxy.url, clock), clock, asked };
}

function openClient(endpoint: string | RpcEndpoint, clock = testClock()): RpcClient {
  const client = createRpcClient({
    endpoint: typeof endpoint === 'string' ? endpointOf(endpoint) : endpoint,
    clock,
    sleep: async () => {},
  });
  onTestFinished(() => client.close());
  return client;
}

function results(...values: string[]): RpcAnswer[] {
  return values.map((result) => ({ result }));
}

function faultOf(answer: RpcAnswer | undefined) {
  if (answer === undefined || !('error' in answer)) throw new Error('the call was answered');
  expect(answer.error).toBeInstanceOf(NodeError);
  return answer.error.fault;
}
