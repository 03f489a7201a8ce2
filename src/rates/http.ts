import type { Clock } from '../clock.ts';
import { parseJsonExactly } from '../core/exact-json.ts';
import { createOutbound, type OutboundError } from '../outbound.ts';

/** JSON with numbers as text, or a phrase that names neither path nor content. */
export type JsonAnswer =
  | { kind: 'json'; body: unknown; observedAt: number }
  | { kind: 'failed'; reason: string; retryAfterMs: number | null };

export type TextAnswer = { kind: 'text'; body: string; observedAt: number } | Failed;

type Failed = Extract<JsonAnswer, { kind: 'failed' }>;

export type PriceClient = {
  /** Never throws, never follows a redirect, ends within the time-out. */
  get(url: string, signal: AbortSignal): Promise<JsonAnswer>;
  /** The same of what is not JSON. */
  getText(url: string, signal: AbortSignal): Promise<TextAnswer>;
  close(): Promise<void>;
};

export type PriceClientOptions = {
  clock: Clock;
  /** For a whole request, from the name's resolution to the last byte. */
  timeoutMs: number;
  /** Private hosts that may be asked, in tests. */
  allowHosts: readonly string[];
};

const maxBodyBytes = 256 * 1024;

/** After a refusal that names no delay. */
const refusedRestMs = 60_000;
const longestRestMs = 600_000;

/** Asks price sources. */
export function createPriceClient({ clock, timeoutMs, allowHosts }: PriceClientOptions): PriceClient {
  const outbound = createOutbound({ allowHosts, userAgent: 'depositd' });

  async function ask(url: string, accept: string, signal: AbortSignal): Promise<TextAnswer> {
    const askedAt = clock();
    const headers = { accept };
    const result = await outbound.send({ method: 'GET', url, headers, timeoutMs, maxBodyBytes, signal });
    if (result.kind === 'failure') return failed(phraseOf(result.error, timeoutMs));
    if (result.status !== 200) return refusal(result.status, result.headers['retry-after'], askedAt);
    if (!result.complete) return failed('the answer is too large or never ended');
    const observedAt = askedAt - ageMs(result.headers.age);
    return { kind: 'text', body: result.body.toString('utf8'), observedAt };
  }

  return {
    get: async (url, signal) => {
      const answer = await ask(url, 'application/json', signal);
      if (answer.kind === 'failed') return answer;
      const body = parseJsonExactly(answer.body);
      if (body === undefined) return failed('the answer is not JSON');
      return { kind: 'json', body, observedAt: answer.observedAt };
    },
    getText: (url, signal) => ask(url, 'application/xml, text/xml', signal),
    close: outbound.close,
  };
}

function failed(reason: string, retryAfterMs: number | null = null): Failed {
  return { kind: 'failed', reason, retryAfterMs };
}

function refusal(status: number, retryAfter: string | undefined, now: number): Failed {
  if (status >= 300 && status < 400) return failed(`HTTP ${status}, a redirect`);
  // 418 is how Binance answers who went on after a 429; 403 and 451 come from countries it does not serve.
  const wantsRest = [403, 418, 429, 451, 503].includes(status);
  return failed(`HTTP ${status}`, wantsRest ? restMs(retryAfter, now) : null);
}

/** Seconds or a date. */
function restMs(retryAfter: string | undefined, now: number): number {
  if (retryAfter === undefined) return refusedRestMs;
  const ms = /^[0-9]+$/.test(retryAfter) ? Number(retryAfter) * 1000 : Date.parse(retryAfter) - now;
  return Number.isNaN(ms) ? refusedRestMs : Math.min(longestRestMs, Math.max(0, ms));
}

/** How long the answer lay in a cache on its way. */
function ageMs(age: string | undefined): number {
  return age !== undefined && /^[0-9]{1,9}$/.test(age) ? Number(age) * 1000 : 0;
}

function phraseOf(error: OutboundError, timeoutMs: number): string {
  switch (error) {
    case 'dns':
      return 'host name not found';
    case 'refused':
      return 'connection refused';
    case 'reset':
      return 'connection closed';
    case 'tls':
      return 'no trustworthy TLS connection';
    case 'timeout':
      return `no answer within ${timeoutMs} ms`;
    case 'blocked':
      return 'the host name leads to a private address';
    case 'http':
      return 'not an HTTP answer';
    default:
      return error satisfies never;
  }
}
