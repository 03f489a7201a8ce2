import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { type Dispatcher, Pool } from 'undici';
import type { Clock } from '../clock.ts';
import { parseRetryAfter } from '../core/http-time.ts';
import { NodeError, unavailable } from './fault.ts';

export type NodeHttpOptions = {
  url: string;
  headers: Readonly<Record<string, string>>;
  /** For everything from connecting to the last byte. */
  timeoutMs: number;
  /** Of the answer, before and after decompression. */
  maxBytes: number;
  clock: Clock;
};

export type NodeAnswer = {
  status: number;
  text: string;
  /** As they came. */
  bytes: number;
  /** What `Retry-After` asks for, in ms from now. */
  retryAfterMs: number | null;
};

/** HTTP to one node over connections that stay open. */
export type NodeHttp = {
  /**
   * Any status is an answer. `suffix` follows the path of the URL.
   *
   * @throws NodeError `unavailable` when the node cannot be reached or does not finish in time, `too-much` when
   * its answer is too large, or would be once it is parsed; `signal`'s reason when that aborts.
   */
  post(body: string, signal: AbortSignal, suffix?: string): Promise<NodeAnswer>;
  close(): Promise<void>;
};

const decompress = promisify(gunzip);

/** Longer than the slowest pace of polling, so that an idle chain does not reconnect each time. */
const keepAliveMs = 60_000;

export function createNodeHttp(options: NodeHttpOptions): NodeHttp {
  const { origin, pathname, search, username, password } = new URL(options.url);
  // The total time-out governs; undici's own limits would cut a slow but living answer.
  const pool = new Pool(origin, {
    connections: 8,
    keepAliveTimeout: keepAliveMs,
    keepAliveMaxTimeout: keepAliveMs,
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  const headers = {
    'content-type': 'application/json',
    'accept-encoding': 'gzip',
    ...basicAuthorization(username, password),
    ...options.headers,
  };

  async function post(body: string, signal: AbortSignal, suffix = ''): Promise<NodeAnswer> {
    signal.throwIfAborted();
    const deadline = AbortSignal.timeout(options.timeoutMs);
    try {
      const answer = await pool.request({
        method: 'POST',
        path: (suffix === '' ? pathname : pathname.replace(/\/+$/, '') + suffix) + search,
        headers,
        body,
        signal: AbortSignal.any([signal, deadline]),
      });
      const { text, bytes } = await readText(answer, options.maxBytes);
      if (hasTooManyParts(text)) throw new NodeError({ kind: 'too-much' }, 'the answer has too many parts');
      return {
        status: answer.statusCode,
        text,
        bytes,
        retryAfterMs: parseRetryAfter(header(answer, 'retry-after'), options.clock()),
      };
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof NodeError) throw error;
      if (deadline.aborted) throw late(options.timeoutMs);
      throw unavailable(describe(error), { cause: error });
    }
  }

  return { post, close: () => pool.destroy() };
}

async function readText(
  answer: Dispatcher.ResponseData,
  maxBytes: number,
): Promise<{ text: string; bytes: number }> {
  const chunks: Buffer[] = [];
  let size = 0;
  // Leaving the loop early closes the connection: the rest is not read.
  for await (const chunk of answer.body as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    size += chunk.length;
    if (size > maxBytes) throw tooMuch(maxBytes);
  }
  const bytes = Buffer.concat(chunks);
  if (header(answer, 'content-encoding')?.toLowerCase() !== 'gzip')
    return { text: bytes.toString('utf8'), bytes: size };
  try {
    const text = (await decompress(bytes, { maxOutputLength: maxBytes })).toString('utf8');
    return { text, bytes: size };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') throw tooMuch(maxBytes);
    throw unavailable('the answer is damaged', { cause: error });
  }
}

/** An answer of so many parts takes little memory, whatever its length. */
const harmlessParts = 10_000;

/** In what nodes tell of chains, hashes and addresses make each object and list at least half as long again. */
const bytesPerPart = 24;

/**
 * Whether a JSON text has more objects and lists than any answer of its length. Each takes a hundred bytes of memory once it is
 * parsed: 32 MB of `[[[[…` or `{},{},…` become more than a gigabyte, and nothing else happens for seconds meanwhile.
 */
function hasTooManyParts(text: string): boolean {
  const most = harmlessParts + text.length / bytesPerPart;
  let parts = 0;
  for (const opening of ['{', '[']) {
    for (let at = text.indexOf(opening); at !== -1; at = text.indexOf(opening, at + 1)) {
      parts += 1;
      if (parts > most) return true;
    }
  }
  return false;
}

function late(timeoutMs: number): NodeError {
  const fault = { kind: 'unavailable', retryAfterMs: null, late: true } as const;
  return new NodeError(fault, `no answer within ${timeoutMs} ms`);
}

function tooMuch(maxBytes: number): NodeError {
  return new NodeError({ kind: 'too-much' }, `the answer is larger than ${maxBytes} bytes`);
}

function header(answer: Dispatcher.ResponseData, name: string): string | undefined {
  const value = answer.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

export function basicAuthorization(username: string, password: string): Record<string, string> {
  if (username === '' && password === '') return {};
  const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return { authorization: `Basic ${Buffer.from(credentials).toString('base64')}` };
}

/** A system's error code, never its message: that can repeat an address with a key in it. */
function describe(error: unknown): string {
  const { code, name } = error as { code?: unknown; name?: unknown };
  return `cannot be reached (${typeof code === 'string' ? code : typeof name === 'string' ? name : 'unknown'})`;
}
