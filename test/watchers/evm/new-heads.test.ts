import { expect, onTestFinished, test, vi } from 'vitest';
import type { Sleep } from '../../../src/loop.ts';
import { listenForHeads } from '../../../src/watchers/evm/new-heads.ts';
import { anvilForTest } from '../../support/anvil.ts';
import { endpointOf } from '../../support/evm.ts';
import { captureLog } from '../../support/log.ts';
import { waitFor } from '../../support/wait.ts';
import { type WebSocketServer, webSocketForTest } from '../../support/websocket.ts';

const block = { jsonrpc: '2.0', method: 'eth_subscription', params: { subscription: '0x1', result: {} } };

test('blocks of a real node are told, none of them twice', async () => {
  const anvil = await anvilForTest();
  const listener = listen([`ws://127.0.0.1:${anvil.port}`]);
  let mined = 0;
  for (let blocks = 1; blocks <= 4; blocks++) {
    // The first ones may be made before it has subscribed.
    await waitFor('a block', async () => {
      if (listener.told() >= blocks) return true;
      await anvil.mine();
      mined += 1;
      return false;
    });
  }
  await listener.stop();
  expect(listener.told()).toBeLessThanOrEqual(mined);
});

test('only news of blocks counts, whatever it says', async () => {
  const server = await webSocketForTest();
  const listener = listen([server.url]);
  const connection = await connected(server);
  expect(JSON.parse(connection.received[0] ?? '')).toEqual({
    jsonrpc: '2.0',
    id: 1,
    method: 'eth_subscribe',
    params: ['newHeads'],
  });
  connection.send({ jsonrpc: '2.0', id: 1, result: '0x1' });
  connection.send('nonsense');
  connection.send(null);
  connection.send([block]);
  connection.send(block);
  await waitFor('the block', () => listener.told() > 0);
  connection.send({ ...block, params: { result: { number: '0xffffffffffff', hash: 'none' } } });
  await waitFor('the next', () => listener.told() === 2);
});

test('a connection that ends is made again, later each time it was of no use, and at once when it was', async () => {
  const server = await webSocketForTest();
  server.refuseWith = 503;
  const listener = listen([server.url]);
  for (const waitMs of [2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]) {
    expect(await listener.nextWait()).toBe(waitMs);
  }
  expect(listener.lines.filter(({ level }) => level === 'warn')).toMatchObject([
    { msg: 'websocket failed', host: new URL(server.url).host, retry_in_ms: 2_000 },
  ]);
  server.refuseWith = null;
  listener.release();
  const connection = await connected(server);
  connection.send(block);
  await waitFor('the block', () => listener.told() === 1);
  connection.cut();
  expect(await listener.nextWait()).toBe(1_000);
});

test('one that tells of no blocks any more is taken for dead', async () => {
  const server = await webSocketForTest();
  const listener = listen([server.url], { staleMs: 1_000 });
  const connection = await connected(server);
  const chatter = setInterval(() => connection.send({ jsonrpc: '2.0', method: 'ping' }), 20);
  onTestFinished(() => clearInterval(chatter));
  expect(await listener.nextWait()).toBe(2_000);
  clearInterval(chatter);
  await waitFor('its end', () => !connection.open);
  expect(listener.lines.at(-1)).toMatchObject({ reason: 'no news for 1000 ms' });
});

test('one that tells of no blocks at all is left alone for longer and longer', async () => {
  const server = await webSocketForTest();
  const listener = listen([server.url]);
  for (const [n, waitMs] of [2_000, 4_000].entries()) {
    const connection = await connected(server, n);
    connection.send({
      jsonrpc: '2.0',
      id: 1,
      error: { code: -32601, message: 'notifications not supported' },
    });
    expect(await listener.nextWait()).toBe(waitMs);
    listener.release();
  }
});

test('connections that ended leave nothing behind with what stops the listening', async () => {
  const added = vi.spyOn(AbortSignal.prototype, 'addEventListener');
  const removed = vi.spyOn(AbortSignal.prototype, 'removeEventListener');
  onTestFinished(() => void vi.restoreAllMocks());
  const server = await webSocketForTest();
  server.refuseWith = 503;
  const listener = listen([server.url]);
  const ofStop = (mock: typeof added) =>
    mock.mock.contexts.filter(
      (signal, i) => signal === added.mock.contexts[0] && mock.mock.calls[i]?.[0] === 'abort',
    );
  await listener.nextWait();
  const held = ofStop(added).length - ofStop(removed).length;
  for (let i = 0; i < 5; i++) await listener.nextWait();
  expect(ofStop(added).length - ofStop(removed).length).toBe(held);
});

test('stopping closes what is open, also where the other side never says goodbye', async () => {
  const server = await webSocketForTest();
  const listener = listen([server.url]);
  const connection = await connected(server);
  await listener.stop();
  await waitFor('its end', () => !connection.open);
  expect(server.connections).toHaveLength(1);
});

test('stopping ends a connection that is still being made', async () => {
  // Accepts connections and says nothing.
  const { createServer } = await import('node:net');
  const silent = createServer(() => {});
  await new Promise<void>((listening) => silent.listen(0, '127.0.0.1', listening));
  onTestFinished(() => void silent.close());
  const { port } = silent.address() as { port: number };
  const listener = listen([`ws://127.0.0.1:${port}`]);
  await new Promise<void>((accepted) => silent.once('connection', () => accepted()));
  await listener.stop();
  await new Promise<void>((closed) => silent.close(() => closed()));
});

test('keys in the path, a password and headers reach the node and no log', async () => {
  const server = await webSocketForTest();
  const { host } = new URL(server.url);
  const url = `ws://user:pass-5678@${host}/v3/key-1234?token=secret-9`;
  const listener = listen([{ url, headers: { 'x-api-key': 'header-42' } }]);
  const connection = await connected(server);
  expect(connection.path).toBe('/v3/key-1234?token=secret-9');
  expect(connection.headers).toMatchObject({
    'x-api-key': 'header-42',
    authorization: `Basic ${Buffer.from('user:pass-5678').toString('base64')}`,
  });
  connection.cut();
  await listener.nextWait();
  expect(listener.text()).toContain(host);
  for (const secret of ['key-1234', 'pass-5678', 'secret-9', 'header-42', 'user:']) {
    expect(listener.text()).not.toContain(secret);
  }
});

type Target = string | { url: string; headers: Record<string, string> };

/** Listens until the test ends. Waits between connections last until the test lets them pass. */
function listen(targets: readonly Target[], more: { staleMs?: number } = {}) {
  const { log, lines, text } = captureLog();
  const waits: number[] = [];
  let release: () => void = () => {};
  const sleep: Sleep = async (ms, signal) => {
    if (signal.aborted) return;
    waits.push(ms);
    await new Promise<void>((done) => {
      release = done;
      signal.addEventListener('abort', () => done(), { once: true });
    });
  };
  let told = 0;
  const rpc = targets.map((target) => {
    const { url, headers } = typeof target === 'string' ? { url: target, headers: {} } : target;
    return endpointOf('http://127.0.0.1:1', { wsUrl: url, headers });
  });
  const onHead = () => {
    told += 1;
  };
  const heads = listenForHeads({ rpc, onHead, log, sleep, ...more });
  onTestFinished(() => heads.stop());
  return {
    lines,
    text,
    told: () => told,
    stop: () => heads.stop(),
    release: () => release(),
    /** The next wait between connections, ms; the one before it passes. */
    async nextWait(): Promise<number> {
      release();
      return waitFor('a wait', () => waits.shift());
    },
  };
}

/** The nth connection, from 0, once it has subscribed. */
async function connected(server: WebSocketServer, n = 0) {
  return waitFor('a subscription', () => {
    const connection = server.connections[n];
    return connection !== undefined && connection.received.length > 0 && connection;
  });
}
