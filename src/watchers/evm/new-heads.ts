import { Agent, buildConnector, WebSocket } from 'undici';
import type { RpcEndpoint } from '../../config.ts';
import { doubled } from '../../core/backoff.ts';
import type { Logger } from '../../log.ts';
import { runLoop, type Sleep } from '../../loop.ts';
import { basicAuthorization } from '../../nodes/http.ts';
import { isRecord } from '../../nodes/json-rpc.ts';

/*
 * News of new blocks by websocket. What it says is never believed: it only makes the next poll due at once, so that
 * one that is dead, late or lying costs nothing but the wait for that poll.
 */

export type HeadsOptions = {
  rpc: readonly RpcEndpoint[];
  /** Called when there may be a new block. */
  onHead: () => void;
  log: Logger;
  /** For tests: without news for this long a connection is taken for dead, ms. */
  staleMs?: number;
  sleep?: Sleep;
};

export type Heads = {
  /** Closes every connection. */
  stop(): Promise<void>;
};

/** Longer than any chain goes without a block on a bad day. */
const defaultStaleMs = 60_000;

/** The first wait before a connection is tried again, and the longest, ms; it doubles in between. */
const firstWaitMs = 1_000;
const longestWaitMs = 60_000;

/** How long the other side may take to say goodbye, ms. */
const closingMs = 1_000;

/** News of a block is about a kilobyte. */
const maxPayloadSize = 1024 * 1024;

const subscribe = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'eth_subscribe', params: ['newHeads'] });

/** Listens to every node that has a websocket, and connects again whenever it must. */
export function listenForHeads(options: HeadsOptions): Heads {
  const { rpc, onHead, log, staleMs = defaultStaleMs, sleep } = options;
  const loops = rpc.flatMap(({ wsUrl, headers }) => {
    if (wsUrl === null) return [];
    const step = createStep({ wsUrl, headers, onHead, log, staleMs });
    // A step lasts as long as its connection, which is given up when it brings no news.
    const loop = { name: 'heads', step, delay: (ms: number) => ms, limitMs: null, log };
    return [runLoop(sleep === undefined ? loop : { ...loop, sleep })];
  });
  return {
    stop: async () => {
      await Promise.all(loops.map((loop) => loop.stop()));
    },
  };
}

type ListenOptions = Pick<RpcEndpoint, 'headers'> &
  Pick<HeadsOptions, 'onHead' | 'log'> & { wsUrl: string; staleMs: number };

/** A step is one connection from its beginning to its end; it returns the wait before the next, ms. */
function createStep(options: ListenOptions): (signal: AbortSignal) => Promise<number> {
  const { host } = new URL(options.wsUrl);
  const { log } = options;
  let failures = 0;
  return async (signal) => {
    const { heads, reason } = await listen(options, signal);
    if (signal.aborted) return 0;
    failures = heads > 0 ? 0 : failures + 1;
    const waitMs = doubled(firstWaitMs, failures, longestWaitMs);
    const fields = { host, reason, retry_in_ms: waitMs };
    // Once when it begins to be of no use. Without it the chain is read as before, only later.
    if (failures === 1) log.warn(fields, 'websocket failed');
    else log.debug({ ...fields, heads }, 'websocket closed');
    return waitMs;
  };
}

/** Connects, subscribes and listens until the connection ends, says nothing any more, or `signal` aborts. */
async function listen(
  { wsUrl, headers, onHead, staleMs }: ListenOptions,
  signal: AbortSignal,
): Promise<{ heads: number; reason: string }> {
  const { url, authorization } = withoutCredentials(wsUrl);
  const { agent, cut } = createAgent();
  const socket = new WebSocket(url, { headers: { ...authorization, ...headers }, dispatcher: agent });
  const closed = new Promise<void>((resolve) => socket.addEventListener('close', () => resolve()));
  let heads = 0;
  let stopped: () => void = () => {};
  const reason = await new Promise<string>((resolve) => {
    const stale = setTimeout(() => resolve(`no news for ${staleMs} ms`), staleMs);
    const end = (why: string) => {
      clearTimeout(stale);
      resolve(why);
    };
    stopped = () => end('stopped');
    signal.addEventListener('abort', stopped, { once: true });
    socket.addEventListener('open', () => socket.send(subscribe));
    socket.addEventListener('error', () => end('cannot be reached'));
    socket.addEventListener('close', ({ code }) => end(`closed with code ${code}`));
    socket.addEventListener('message', ({ data }) => {
      switch (kindOf(data)) {
        case 'head':
          heads += 1;
          stale.refresh();
          return onHead();
        case 'refusal':
          return end('it tells of no new blocks');
        default:
      }
    });
    if (signal.aborted) end('stopped');
  });
  // The signal outlives this connection, and many after it.
  signal.removeEventListener('abort', stopped);
  socket.close();
  await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, closingMs).unref())]);
  await cut();
  return { heads, reason };
}

function kindOf(data: unknown): 'head' | 'refusal' | 'other' {
  let message: unknown;
  try {
    message = JSON.parse(String(data));
  } catch {
    return 'other';
  }
  if (!isRecord(message)) return 'other';
  if (message.method === 'eth_subscription') return 'head';
  return message.error === undefined ? 'other' : 'refusal';
}

/** An agent whose connections can be cut: a websocket waits for the other side's goodbye, perhaps for ever. */
function createAgent(): { agent: Agent; cut: () => Promise<void> } {
  const connect = buildConnector({});
  const connections = new Set<{ destroy(): void }>();
  const agent = new Agent({
    webSocket: { maxPayloadSize },
    connect: (options, done) =>
      connect(options, (error, connection) => {
        if (error !== null) return done(error, null);
        connections.add(connection);
        done(null, connection);
      }),
  });
  return {
    agent,
    cut: async () => {
      for (const connection of connections) connection.destroy();
      await agent.destroy();
    },
  };
}

/** The password in a URL goes into a header, as it does for requests. */
function withoutCredentials(wsUrl: string): { url: URL; authorization: Record<string, string> } {
  const url = new URL(wsUrl);
  const authorization = basicAuthorization(url.username, url.password);
  url.username = '';
  url.password = '';
  url.hash = '';
  return { url, authorization };
}
