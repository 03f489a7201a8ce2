import { setImmediate } from 'node:timers/promises';
import type { Clock } from '../clock.ts';
import { createScrubber } from '../config/scrub.ts';
import type { RpcEndpoint } from '../config.ts';
import type { Sleep } from '../loop.ts';
import { type NodeError, unavailable } from './fault.ts';
import { createNodeHttp, type NodeAnswer } from './http.ts';
import { createRequestRate } from './rate-limit.ts';
import { batchLimit, classifyRefusal } from './refusals.ts';
import type { CountCall } from './usage.ts';

export type RpcCall = { method: string; params: readonly unknown[] };

/** The `result` of one call, of whatever shape, or why there is none. */
export type RpcAnswer = { result: unknown } | { error: NodeError };

/** JSON-RPC to one node. */
export type RpcClient = {
  /**
   * Asks several things at once: one HTTP request where the node takes batches, else as few as it allows, in
   * the order given. Answers come in that order too.
   *
   * @throws NodeError when the node fails as a whole; `signal`'s reason when that aborts.
   */
  send(calls: readonly RpcCall[], signal: AbortSignal): Promise<RpcAnswer[]>;
  /** How long it takes to answer, smoothed; null before the first answer. */
  latencyMs(): number | null;
  /** Calls that it takes in one request, as far as is known. */
  callsPerRequest(): number;
  close(): Promise<void>;
};

export type RpcClientOptions = {
  endpoint: RpcEndpoint;
  clock: Clock;
  sleep: Sleep;
  timeoutMs?: number;
  maxBytes?: number;
  /** Told of each call. */
  count?: CountCall;
  /** Told how long each answer took, ms. */
  answered?: (ms: number) => void;
};

/** How long one request may take, ms. */
export const requestTimeoutMs = 10_000;

/** Some 50,000 logs. More at once costs memory without saving time. */
const defaultMaxBytes = 32 * 1024 * 1024;

/** Characters. */
const largeAnswer = 512 * 1024;

/** Erigon's default limit; geth takes 1,000. */
const mostCalls = 100;

/** A limit on batches may have been the mood of one machine behind a balancer: it is tried again. */
const batchLimitMs = 60 * 60 * 1000;

/** What servers that cannot read an array answer, besides words about batches. */
const confusedStatuses = new Set([200, 400, 404, 405, 415, 422, 500, 501]);
const confusedCodes = new Set([0, -32600, -32603, -32700]);

export function createRpcClient(options: RpcClientOptions): RpcClient {
  const { endpoint, clock, sleep, timeoutMs = requestTimeoutMs, maxBytes = defaultMaxBytes } = options;
  const { count, answered } = options;
  const http = createNodeHttp({ url: endpoint.url, headers: endpoint.headers, timeoutMs, maxBytes, clock });
  const rate = createRequestRate({ perSecond: endpoint.requestsPerSecond, clock, sleep });
  // Some nodes repeat the key they were given in what they complain about.
  const clean = createScrubber(secretsOf(endpoint));
  let nextId = 1;
  let latency: number | null = null;
  let maxCalls = mostCalls;
  let limitedAt = Number.NEGATIVE_INFINITY;

  async function send(calls: readonly RpcCall[], signal: AbortSignal): Promise<RpcAnswer[]> {
    if (clock() - limitedAt > batchLimitMs) maxCalls = mostCalls;
    const answers: RpcAnswer[] = [];
    for (let at = 0; at < calls.length; ) {
      const chunk = calls.slice(at, at + maxCalls);
      const outcome = await post(chunk, signal);
      if (outcome.kind === 'answers') {
        answers.push(...outcome.answers);
        at += chunk.length;
        continue;
      }
      if (chunk.length === 1 && outcome.error.fault.kind === 'unsupported') {
        // Said of this call alone: the others may be served.
        answers.push({ error: outcome.error });
        at += 1;
        continue;
      }
      await shrink(chunk, outcome, signal);
    }
    return answers;
  }

  /** Learns that the node takes fewer calls at once; throws its refusal where that is not the reason. */
  async function shrink(chunk: readonly RpcCall[], refusal: Refusal, signal: AbortSignal): Promise<void> {
    const [first] = chunk;
    if (chunk.length === 1 || first === undefined) throw refusal.error;
    const limit = batchLimit(refusal.error.message, chunk.length);
    if (limit === null) {
      if (!looksConfused(refusal)) throw refusal.error;
      // It may just be out of order: one call by itself tells.
      const alone = await post([first], signal);
      if (alone.kind === 'refused') throw refusal.error;
    }
    maxCalls = Math.min(limit ?? 1, chunk.length - 1);
    limitedAt = clock();
  }

  async function post(calls: readonly RpcCall[], signal: AbortSignal): Promise<Posted> {
    await rate.take(signal);
    // Numbers that were never used before: an answer to an older question is not taken for one to this.
    const firstId = nextId;
    nextId += calls.length;
    const requests = calls.map(({ method, params }, i) => ({
      jsonrpc: '2.0',
      id: firstId + i,
      method,
      params,
    }));
    const startedAt = performance.now();
    const body = JSON.stringify(calls.length === 1 ? requests[0] : requests);
    let bytes = Buffer.byteLength(body);
    let answer: NodeAnswer;
    try {
      answer = await http.post(body, signal);
      bytes += answer.bytes;
    } finally {
      // Who sends a bill counts what was asked, answered or not.
      for (const { method } of calls) count?.(method, Math.round(bytes / calls.length));
    }
    const took = performance.now() - startedAt;
    latency = latency === null ? took : latency * 0.8 + took * 0.2;
    answered?.(took);
    const posted = readPosted(answer, calls, firstId, clean);
    // Thousands of logs take long to parse, and as long again to judge: others have their turn in between.
    if (answer.text.length > largeAnswer) await setImmediate();
    return posted;
  }

  return {
    send,
    latencyMs: () => latency,
    callsPerRequest: () => maxCalls,
    close: () => http.close(),
  };
}

type Refusal = { kind: 'refused'; error: NodeError; status: number; code: number };
type Posted = { kind: 'answers'; answers: RpcAnswer[] } | Refusal;

type Clean = (text: string) => string;

function readPosted(answer: NodeAnswer, calls: readonly RpcCall[], firstId: number, clean: Clean): Posted {
  const body = parseJson(answer.text);
  const ok = answer.status >= 200 && answer.status < 300;
  if (!ok) return refused(answer, body, clean);
  if (body === undefined) throw unavailable('the answer is not JSON');
  if (calls.length === 1) {
    if (!isRecord(body)) throw unavailable('the answer is not a JSON-RPC response');
    return { kind: 'answers', answers: [readAnswer(body, firstId, answer, clean)] };
  }
  if (!Array.isArray(body)) return refused(answer, body, clean);
  // Erigon and others put the refusal of the whole batch into an array of one; geth names the first call there.
  const [only] = body as unknown[];
  if (body.length === 1 && isRecord(only) && (only.id == null || only.error != null))
    return refused(answer, only, clean);
  return { kind: 'answers', answers: readBatch(body, calls, firstId, answer, clean) };
}

function readBatch(
  body: readonly unknown[],
  calls: readonly RpcCall[],
  firstId: number,
  answer: NodeAnswer,
  clean: Clean,
): RpcAnswer[] {
  const byId = new Map<unknown, Record<string, unknown>>();
  const twice = new Set<unknown>();
  // There may be millions, of whatever kind.
  for (const item of body) {
    if (!isRecord(item)) continue;
    const id = idOf(item);
    if (byId.has(id)) twice.add(id);
    else byId.set(id, item);
  }
  return calls.map(({ method }, i) => {
    const item = byId.get(firstId + i);
    if (item === undefined) return { error: unavailable(`${method} was not answered`) };
    if (twice.has(firstId + i)) return { error: unavailable(`${method} was answered twice`) };
    return readAnswer(item, firstId + i, answer, clean);
  });
}

/** Some nodes answer with the number that they were asked with as text. Null for what is neither. */
function idOf({ id }: Record<string, unknown>): number | null {
  return typeof id === 'number' || typeof id === 'string' ? Number(id) : null;
}

function readAnswer(item: Record<string, unknown>, id: number, answer: NodeAnswer, clean: Clean): RpcAnswer {
  if (item.error !== undefined && item.error !== null) {
    return { error: refused(answer, item, clean).error };
  }
  if (idOf(item) !== id) return { error: unavailable('the answer is to another question') };
  if (item.result === undefined) return { error: unavailable('the answer has no result') };
  return { result: item.result };
}

/** The node's own words, from wherever it put them. */
function refused({ status, retryAfterMs }: NodeAnswer, body: unknown, clean: Clean): Refusal {
  const said = isRecord(body) ? (body.error ?? body) : body;
  const code = isRecord(said) && typeof said.code === 'number' ? said.code : 0;
  const message = isRecord(said) ? said.message : said;
  const words = typeof message === 'string' ? clean(message) : '';
  return {
    kind: 'refused',
    error: classifyRefusal({ status, code, message: words, retryAfterMs }),
    status,
    code,
  };
}

function looksConfused({ error, status, code }: Refusal): boolean {
  return error.fault.kind === 'unavailable' && confusedStatuses.has(status) && confusedCodes.has(code);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Whatever in an endpoint can be a key: parts of the path, values of the query and of headers, a password. */
export function secretsOf({ url, solidityUrl, headers }: RpcEndpoint): string[] {
  const inUrls = [url, ...(solidityUrl === null ? [] : [solidityUrl])].flatMap((text) => {
    const { pathname, searchParams, username, password } = new URL(text);
    return [...pathname.split('/'), ...searchParams.values(), username, password];
  });
  return [...inUrls, ...Object.values(headers)];
}
