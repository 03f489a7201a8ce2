import { Agent, request } from 'undici';
import type { Clock } from '../clock.ts';
import { parseJsonExactly } from './json.ts';

/** JSON with numbers as text, or a phrase that names neither path nor content. */
export type JsonAnswer =
  | { kind: 'json'; body: unknown; observedAt: number }
  | { kind: 'failed'; reason: string; retryAfterMs: number | null };

export type PriceClient = {
  /** Never throws, never follows a redirect, ends within the time-out. */
  get(url: string, signal: AbortSignal): Promise<JsonAnswer>;
  close(): Promise<void>;
};

const maxAnswerBytes = 256 * 1024;

/** After a refusal that names no delay. */
const refusedRestMs = 60_000;
const longestRestMs = 600_000;

/** Asks price sources. `timeoutMs` bounds a whole request, from the name's resolution to the last byte. */
export function createPriceClient({ clock, timeoutMs }: { clock: Clock; timeoutMs: number }): PriceClient {
  const agent = new Agent({ maxResponseSize: maxAnswerBytes, connect: { timeout: timeoutMs } });
  return {
    get: async (url, signal) => {
      const askedAt = clock();
      const limit = AbortSignal.timeout(timeoutMs);
      try {
        const { statusCode, headers, body } = await request(url, {
          dispatcher: agent,
          signal: AbortSignal.any([signal, limit]),
          headers: { accept: 'application/json', 'user-agent': 'depositd' },
        });
        if (statusCode !== 200) {
          // The status is the answer; what follows it may be endless.
          body.once('error', () => {}).destroy();
          return refusal(statusCode, headers['retry-after'], askedAt);
        }
        const parsed = parseJsonExactly(await body.text());
        if (parsed === undefined) return failed('the answer is not JSON');
        return { kind: 'json', body: parsed, observedAt: askedAt - ageMs(headers.age) };
      } catch (error) {
        return failed(limit.aborted ? `no answer within ${timeoutMs} ms` : phraseOf(error));
      }
    },
    close: () => agent.destroy(),
  };
}

type Header = string | string[] | undefined;

function failed(reason: string, retryAfterMs: number | null = null): JsonAnswer {
  return { kind: 'failed', reason, retryAfterMs };
}

function refusal(status: number, retryAfter: Header, now: number): JsonAnswer {
  if (status >= 300 && status < 400) return failed(`HTTP ${status}, a redirect`);
  // 418 is how Binance answers who went on after a 429; 403 and 451 come from countries it does not serve.
  const wantsRest = [403, 418, 429, 451, 503].includes(status);
  return failed(`HTTP ${status}`, wantsRest ? restMs(retryAfter, now) : null);
}

/** Seconds or a date. */
function restMs(retryAfter: Header, now: number): number {
  if (typeof retryAfter !== 'string') return refusedRestMs;
  const ms = /^[0-9]+$/.test(retryAfter) ? Number(retryAfter) * 1000 : Date.parse(retryAfter) - now;
  return Number.isNaN(ms) ? refusedRestMs : Math.min(longestRestMs, Math.max(0, ms));
}

/** How long the answer lay in a cache on its way. */
function ageMs(age: Header): number {
  return typeof age === 'string' && /^[0-9]{1,9}$/.test(age) ? Number(age) * 1000 : 0;
}

function phraseOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  switch (code) {
    case 'UND_ERR_RES_EXCEEDED_MAX_SIZE':
      return 'the answer is too large';
    case 'ECONNREFUSED':
      return 'connection refused';
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'host name not found';
    case 'ECONNRESET':
    case 'UND_ERR_SOCKET':
      return 'connection closed';
    default:
      return typeof code === 'string' ? `request failed (${code})` : 'request failed';
  }
}
