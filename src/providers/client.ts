import { type Clock, steadyClock } from '../clock.ts';
import type { Sleep } from '../loop.ts';
import { createRequestRate } from '../nodes/rate-limit.ts';
import type { Outbound, OutboundResult } from '../outbound.ts';
import type { Call, Result } from './provider.ts';

/** Asks one provider. */
export type ProviderClient = {
  /** Never throws, never repeats, never follows a redirect, ends within the time-out. */
  call<T>(call: Call<T>, signal?: AbortSignal): Promise<Result<T>>;
};

export type ProviderClientOptions = {
  outbound: Outbound;
  baseUrl: string;
  requestsPerSecond: number;
  timeoutMs: number;
  /** Hides what gives access from the words of a stranger. */
  scrub: (text: string) => string;
  /** Told of each result. */
  observe: (result: Result<unknown>) => void;
  clock: Clock;
  sleep: Sleep;
};

const maxBodyBytes = 1024 * 1024;

/** After a 429 that names no delay, ms. */
const unnamedDelayMs = 10_000;

/**
 * Keeps to the provider's rate ahead of time, and to the delay that it names after a 429: until then nothing is sent,
 * and every call is `limited`.
 */
export function createProviderClient(options: ProviderClientOptions): ProviderClient {
  const { outbound, baseUrl, timeoutMs, requestsPerSecond, scrub, observe, sleep } = options;
  const clock = steadyClock(options.clock);
  const rate = createRequestRate({ perSecond: requestsPerSecond, clock, sleep });
  let restingUntil = Number.NEGATIVE_INFINITY;

  async function ask<T>({ request, read }: Call<T>, signal: AbortSignal): Promise<Result<T>> {
    const left = restingUntil - clock();
    if (left > 0) return { outcome: 'limited', retryAfterMs: left };
    try {
      await rate.take(signal);
    } catch {
      return { outcome: 'not_sent', reason: 'stopped' };
    }
    const { method, path, headers, body } = request;
    const result = await outbound.send({
      method,
      url: baseUrl + path,
      headers,
      ...(body === undefined ? {} : { body: Buffer.from(body) }),
      timeoutMs,
      maxBodyBytes,
      signal,
    });
    if (result.kind === 'failure') return failureOf(result);
    if (!result.complete) return { outcome: 'unknown', reason: 'the answer is too large or never ended' };
    const answer = read({ status: result.status, headers: result.headers, body: result.body });
    if (answer.outcome === 'limited') restingUntil = clock() + (answer.retryAfterMs ?? unnamedDelayMs);
    return answer;
  }

  return {
    async call(call, signal = new AbortController().signal) {
      const result = await ask(call, signal);
      const clean = 'reason' in result ? { ...result, reason: scrub(result.reason) } : result;
      observe(clean);
      return clean;
    },
  };
}

/** A connection that was never made has sent nothing; one that broke or was silent may have. */
function failureOf({ error }: Extract<OutboundResult, { kind: 'failure' }>): Result<never> {
  switch (error) {
    case 'dns':
      return { outcome: 'not_sent', reason: 'its host name cannot be resolved' };
    case 'refused':
      return { outcome: 'not_sent', reason: 'it refuses connections' };
    case 'tls':
      return { outcome: 'not_sent', reason: 'no trustworthy TLS connection' };
    case 'blocked':
      return { outcome: 'not_sent', reason: 'its host leads to a private address' };
    case 'timeout':
      return { outcome: 'unknown', reason: 'no answer in time' };
    case 'reset':
      return { outcome: 'unknown', reason: 'the connection broke' };
    case 'http':
      return { outcome: 'unknown', reason: 'not an HTTP answer' };
    default:
      return error satisfies never;
  }
}
