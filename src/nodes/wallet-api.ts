import type { Clock } from '../clock.ts';
import { createScrubber } from '../config/scrub.ts';
import type { RpcEndpoint } from '../config.ts';
import { parseLossless } from '../core/lossless-json.ts';
import type { Sleep } from '../loop.ts';
import { NodeError, type NodeFault, unavailable } from './fault.ts';
import { createNodeHttp, type NodeAnswer, type NodeHttp } from './http.ts';
import { isRecord, secretsOf } from './json-rpc.ts';
import { createRequestRate } from './rate-limit.ts';
import type { CountCall } from './usage.ts';

/**
 * Which state of the chain is asked: `wallet` is the head's, `walletsolidity` that of the last solid block. `simulated` is
 * how the simulated chain of a sandbox is played with; no real node has it.
 */
export type View = 'wallet' | 'walletsolidity' | 'simulated';

/** The HTTP API of one java-tron node. */
export type WalletApi = {
  /**
   * What a method answers: a record or a list, of whatever shape.
   *
   * @throws NodeError when it refuses, or what it says is no answer; `signal`'s reason when that aborts.
   */
  call(view: View, method: string, body: object, signal: AbortSignal): Promise<unknown>;
  /** How long it takes to answer, smoothed; null before the first answer. */
  latencyMs(): number | null;
  close(): Promise<void>;
};

export type WalletApiOptions = {
  endpoint: RpcEndpoint;
  clock: Clock;
  sleep: Sleep;
  timeoutMs?: number;
  /** Told of each call. */
  count?: CountCall;
  /** Told how long each answer took, ms. */
  answered?: (ms: number) => void;
};

/** A node that wants fewer requests answers late, not in other words: a second for each that it holds back. */
const requestTimeoutMs = 20_000;

/** Ten blocks of the largest size, printed. */
const maxBytes = 64 * 1024 * 1024;

export function createWalletApi(options: WalletApiOptions): WalletApi {
  const { endpoint, clock, sleep, timeoutMs = requestTimeoutMs, count, answered } = options;
  const http = (url: string) =>
    createNodeHttp({ url, headers: endpoint.headers, timeoutMs, maxBytes, clock });
  const wallet = http(endpoint.url);
  // One server for both where a provider answers, two ports of a node of one's own.
  const solid = endpoint.solidityUrl === null ? wallet : http(endpoint.solidityUrl);
  const servers: Record<View, NodeHttp> = { wallet, walletsolidity: solid, simulated: wallet };
  const rate = createRequestRate({ perSecond: endpoint.requestsPerSecond, clock, sleep });
  const clean = createScrubber(secretsOf(endpoint));
  let latency: number | null = null;

  return {
    async call(view, method, body, signal) {
      await rate.take(signal);
      const startedAt = performance.now();
      const text = JSON.stringify(body);
      let bytes = Buffer.byteLength(text);
      let answer: NodeAnswer;
      try {
        answer = await servers[view].post(text, signal, `/${view}/${method}`);
        bytes += answer.bytes;
      } finally {
        count?.(method, bytes);
      }
      const took = performance.now() - startedAt;
      latency = latency === null ? took : latency * 0.8 + took * 0.2;
      answered?.(took);
      return readAnswer(answer, clean);
    },
    latencyMs: () => latency,
    async close() {
      await Promise.all([...new Set(Object.values(servers))].map((server) => server.close()));
    },
  };
}

type Clean = (text: string) => string;

function readAnswer({ status, text, retryAfterMs }: NodeAnswer, clean: Clean): unknown {
  const body = parse(text);
  const words = clean(wordsOf(body, text)).replace(/\s+/g, ' ').trim().slice(0, 200);
  const refused = status < 200 || status >= 300 || isRefusal(body);
  if (refused) throw new NodeError(faultOf(status, words, retryAfterMs), describe(status, words));
  if (typeof body === 'object' && body !== null) return body;
  // A lite node says in bare text that it has no history, and calls it JSON.
  if (lite.test(text)) throw new NodeError({ kind: 'unsupported' }, words);
  throw unavailable('the answer is not JSON');
}

function parse(text: string): unknown {
  try {
    return parseLossless(text);
  } catch {
    return undefined;
  }
}

/** Exceptions of the node, and refusals of the servers before it, come with status 200 too. */
function isRefusal(body: unknown): boolean {
  if (!isRecord(body)) return false;
  return typeof body.Error === 'string' || typeof body.error === 'string' || body.Success === false;
}

function wordsOf(body: unknown, text: string): string {
  const said = isRecord(body) ? (body.Error ?? body.error ?? body.message) : undefined;
  if (typeof said === 'string') return said;
  return text.trimStart().startsWith('<') ? '' : text.slice(0, 400);
}

const lite = /lite full ?node/i;
const busy = /lack of computing resources|frequency|rate.?limit|exceed|too many|suspend|throttl|quota/i;
const switchedOff = /unavailable due to config|is closed because/i;

/** For how long nobody asks who refuses for the number of requests, if it does not say: less makes it worse. */
const busyMs = 30_000;

function faultOf(status: number, words: string, retryAfterMs: number | null): NodeFault {
  const suspended = /suspended for (\d+) ?s/i.exec(words)?.[1];
  const wait = retryAfterMs ?? (suspended === undefined ? null : Number(suspended) * 1000);
  const fault = { kind: 'unavailable', retryAfterMs: wait } as const;
  if (status === 429) return { ...fault, throttled: true };
  if (status === 403 && busy.test(words))
    return { ...fault, retryAfterMs: Math.max(wait ?? 0, busyMs), throttled: true };
  if (switchedOff.test(words)) return { kind: 'unsupported' };
  if (status === 413) return { kind: 'too-much' };
  if (busy.test(words)) return { ...fault, throttled: true };
  // A key that is refused may be one that was changed a moment ago: it is tried again, ever more seldom.
  return status >= 400 && status < 500 ? { kind: 'unsupported' } : fault;
}

function describe(status: number, words: string): string {
  const parts = [status === 200 ? '' : `HTTP ${status}`, words];
  return parts.filter((part) => part !== '').join(', ') || 'no reason given';
}
