import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { onTestFinished } from 'vitest';
import {
  type BatchFault,
  type CallFault,
  type Fault,
  postRpc,
  type RequestFault,
  type RpcRequest,
  type RpcResponse,
  refusal,
  spoilAnswer,
} from './faults.ts';

/** When a fault happens. Without any of these: always. */
export type When = {
  /** Only to calls of this method, or to requests that hold one. */
  method?: string;
  /** Only to calls for which this holds, or to requests that hold one. */
  matches?: (call: RpcRequest) => boolean;
  /** Spares this many first. */
  skip?: number;
  /** Ends after this many. */
  times?: number;
  /** Happens this often, from 0 to 1, by the proxy's own dice. */
  chance?: number;
};

export type Injection = {
  /** How often it has happened. */
  readonly hits: number;
  remove(): void;
};

/** What went through. Bytes are those of bodies, as they were sent. */
export type Traffic = {
  requests: number;
  calls: number;
  byMethod: Record<string, number>;
  bytesIn: number;
  bytesOut: number;
};

/** A node's double: what it is asked goes to the node, and what comes back can be made wrong. */
export type FaultProxy = {
  url: string;
  /** Makes something wrong from now on. Faults of one kind are applied in the order they were injected. */
  inject(fault: Fault, when?: When): Injection;
  /** Takes every fault back, and lets hanging requests go. */
  clear(): void;
  traffic(): Traffic;
  resetTraffic(): void;
  close(): Promise<void>;
};

export type FaultProxyOptions = {
  /** Of the dice; the same seed and the same requests give the same faults. */
  seed?: number;
  /** Compresses answers for clients that accept it. */
  gzip?: boolean;
};

type Armed = { fault: Fault; when: When; seen: number; hits: number };

export async function faultProxyForTest(
  upstream: string,
  options: FaultProxyOptions = {},
): Promise<FaultProxy> {
  const proxy = await startFaultProxy(upstream, options);
  onTestFinished(proxy.close);
  return proxy;
}

/** Starts a proxy on 127.0.0.1 before the node at `upstream`. */
export async function startFaultProxy(
  upstream: string,
  options: FaultProxyOptions = {},
): Promise<FaultProxy> {
  const { seed = 1, gzip = false } = options;
  const random = dice(seed);
  let armed: Armed[] = [];
  let traffic = noTraffic();
  const hanging = new Set<ServerResponse>();

  const server = createServer((request, response) => {
    handle(request, response).catch(() => response.destroy());
  });

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const text = await readBody(request);
    const parsed = JSON.parse(text) as RpcRequest | RpcRequest[];
    const calls = Array.isArray(parsed) ? parsed : [parsed];
    count(traffic, calls, text);

    const fault = pick(requestKinds, calls) as RequestFault | undefined;
    if (fault?.kind === 'hang') return void hanging.add(response);
    if (fault?.kind === 'drop') return void response.destroy();
    if (fault?.kind === 'html') return send(request, response, 200, page, { 'content-type': 'text/html' });
    if (fault?.kind === 'status') {
      return send(request, response, fault.status, fault.body ?? page, {
        'content-type': 'text/html',
        ...fault.headers,
      });
    }
    const answer = JSON.stringify(
      Array.isArray(parsed) ? await answerBatch(parsed) : (await answerCalls([parsed]))[0],
    );
    const body = fault?.kind === 'truncate' ? answer.slice(0, Math.floor(answer.length / 2)) : answer;
    send(request, response, 200, body, { 'content-type': 'application/json' });
  }

  async function answerBatch(calls: RpcRequest[]): Promise<unknown> {
    const fault = pick(batchKinds, calls) as BatchFault | undefined;
    switch (fault?.kind) {
      case undefined:
        return answerCalls(calls);
      case 'refuse-batch':
        return refusal({ ...nobody, id: null }, -32600, fault.message ?? 'Batch requests are not supported');
      case 'limit-batch':
        if (calls.length <= fault.calls) return answerCalls(calls);
        return refusal(
          { ...nobody, id: null },
          -32600,
          fault.message ?? `Batch of more than ${fault.calls} requests is not allowed`,
        );
      case 'split-batch':
        return Promise.all(
          calls.map((call, i) => postRpc(fault.urls[i % fault.urls.length] ?? upstream, call)),
        );
      case 'reverse-batch':
        return (await answerCalls(calls)).toReversed();
      default:
        return fault satisfies never;
    }
  }

  /** As the node answers them, in one request, then each with its faults. */
  async function answerCalls(calls: RpcRequest[]): Promise<RpcResponse[]> {
    const single = calls.length === 1;
    const posted = await postRpc(upstream, single ? calls[0] : calls);
    const answers = (single ? [posted] : posted) as RpcResponse[];
    const spoiled = await Promise.all(calls.map((call, i) => spoil(call, answers[i] as RpcResponse)));
    return spoiled.flat();
  }

  async function spoil(call: RpcRequest, answer: RpcResponse): Promise<RpcResponse[]> {
    let answers = [answer];
    for (const fault of pickAll(call)) {
      const [first] = answers;
      if (first !== undefined) answers = await spoilAnswer(fault, call, first, askUpstream);
    }
    return answers;
  }

  async function askUpstream(method: string, params: unknown[]): Promise<unknown> {
    const answer = (await postRpc(upstream, { jsonrpc: '2.0', id: 1, method, params })) as RpcResponse;
    return answer.result;
  }

  /** The first armed fault of these kinds that befalls the request. */
  function pick(kinds: ReadonlySet<string>, calls: readonly RpcRequest[]): Fault | undefined {
    return armed.find(
      (one) => kinds.has(one.fault.kind) && calls.some((call) => concerns(one.when, call)) && strikes(one),
    )?.fault;
  }

  function pickAll(call: RpcRequest): CallFault[] {
    return armed
      .filter((one) => !requestKinds.has(one.fault.kind) && !batchKinds.has(one.fault.kind))
      .filter((one) => concerns(one.when, call) && strikes(one))
      .map((one) => one.fault as CallFault);
  }

  function strikes(one: Armed): boolean {
    const { skip = 0, times = Number.POSITIVE_INFINITY, chance = 1 } = one.when;
    one.seen += 1;
    if (one.seen <= skip || one.hits >= times || (chance < 1 && random() >= chance)) return false;
    one.hits += 1;
    return true;
  }

  function send(
    request: IncomingMessage,
    response: ServerResponse,
    status: number,
    body: string,
    headers: Record<string, string>,
  ): void {
    const compress = gzip && /\bgzip\b/.test(request.headers['accept-encoding'] ?? '');
    const bytes = compress ? gzipSync(body) : Buffer.from(body);
    traffic.bytesOut += bytes.length;
    response.writeHead(status, {
      ...headers,
      'content-length': bytes.length,
      ...(compress ? { 'content-encoding': 'gzip' } : {}),
    });
    response.end(bytes);
  }

  function release(): void {
    for (const response of hanging) response.destroy();
    hanging.clear();
  }

  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    inject(fault, when = {}) {
      const one: Armed = { fault, when, seen: 0, hits: 0 };
      armed.push(one);
      return {
        get hits() {
          return one.hits;
        },
        remove: () => {
          armed = armed.filter((other) => other !== one);
        },
      };
    },
    clear: () => {
      armed = [];
      release();
    },
    traffic: () => structuredClone(traffic),
    resetTraffic: () => {
      traffic = noTraffic();
    },
    close: async () => {
      release();
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
}

const requestKinds: ReadonlySet<string> = new Set<RequestFault['kind']>([
  'status',
  'hang',
  'drop',
  'html',
  'truncate',
]);
const batchKinds: ReadonlySet<string> = new Set<BatchFault['kind']>([
  'refuse-batch',
  'limit-batch',
  'split-batch',
  'reverse-batch',
]);

const page = '<html><body><h1>Bad Gateway</h1></body></html>';
const nobody: RpcRequest = { id: null, method: '', params: [] };

function concerns({ method, matches }: When, call: RpcRequest): boolean {
  return (method === undefined || call.method === method) && (matches === undefined || matches(call));
}

function noTraffic(): Traffic {
  return { requests: 0, calls: 0, byMethod: {}, bytesIn: 0, bytesOut: 0 };
}

function count(traffic: Traffic, calls: readonly RpcRequest[], text: string): void {
  traffic.requests += 1;
  traffic.calls += calls.length;
  traffic.bytesIn += Buffer.byteLength(text);
  for (const { method } of calls) traffic.byMethod[method] = (traffic.byMethod[method] ?? 0) + 1;
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

/** Random numbers from 0 to 1 that a seed repeats (mulberry32). */
export function dice(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
