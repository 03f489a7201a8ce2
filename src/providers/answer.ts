import { z } from 'zod';
import { parseJsonExactly } from '../core/exact-json.ts';
import { type FiatCode, parseFiatAmount, parseFiatCode } from '../core/fiat.ts';
import type { ProviderAnswer, Result } from './provider.ts';

/*
 * How answers are read, the same for all providers: what a status means, and numbers as text, never as floats.
 */

/** The body as JSON with numbers as text; undefined for anything else, such as a page of a proxy. */
export function jsonOf(body: Uint8Array): unknown {
  try {
    return parseJsonExactly(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body));
  } catch {
    return undefined;
  }
}

/** What may be anything, or missing: whoever needs it reads it. (In zod 4 a field that may be anything must be there.) */
export const anything = z.unknown().optional();

export type Expected<S> = {
  schema: S;
  /** Finds the provider's own words in an error's body. */
  refusal: (body: unknown) => string | null;
  /** Whether it may say no with HTTP 200. */
  sayNoWith200?: true;
};

/** Reads an answer. One that says yes and cannot be read leaves open what happened. */
export function readAnswer<S extends z.ZodType, T>(
  answer: ProviderAnswer,
  { schema, refusal, sayNoWith200 }: Expected<S>,
  toValue: (body: z.output<S>) => T | null,
): Result<T> {
  const body = jsonOf(answer.body);
  const words = refusal(body);
  if (answer.status !== 200 && answer.status !== 201) return refused(answer, words);
  const read = schema.safeParse(body);
  const value = read.success ? toValue(read.data) : null;
  if (value !== null) return { outcome: 'done', value };
  if (sayNoWith200 && words !== null) {
    return { outcome: 'declined', reason: `HTTP ${answer.status}: ${oneLine(words)}` };
  }
  return { outcome: 'unknown', reason: `HTTP ${answer.status} with an answer that is not as documented` };
}

/** Of an operation whose answer says no more than that it was done. */
export function readDone(answer: ProviderAnswer, refusal: (body: unknown) => string | null): Result<true> {
  if ([200, 204].includes(answer.status)) return { outcome: 'done', value: true };
  return refused(answer, refusal(jsonOf(answer.body)));
}

/** What an error's status means. */
export function refused({ status, headers, body }: ProviderAnswer, words: string | null): Result<never> {
  const reason = words === null ? `HTTP ${status}` : `HTTP ${status}: ${oneLine(words)}`;
  switch (status) {
    case 400:
    case 402:
    case 405:
    case 409:
    case 410:
    case 413:
    case 415:
    case 422:
      return { outcome: 'declined', reason };
    case 401:
    case 403:
      return { outcome: 'rejected', reason };
    case 404:
      return { outcome: 'not_found' };
    case 429:
      return { outcome: 'limited', retryAfterMs: retryAfterMs(headers['retry-after'], jsonOf(body)) };
    default:
      return { outcome: 'unknown', reason };
  }
}

/** Delays that a provider asks for are kept up to this, ms. */
const longestDelayMs = 15 * 60 * 1000;

/** Seconds, in the header or in the body (`retry_after_seconds`, GateNOC's way). */
function retryAfterMs(header: string | string[] | undefined, body: unknown): number | null {
  const inBody = (body as { retry_after_seconds?: unknown } | null | undefined)?.retry_after_seconds;
  for (const text of [header, inBody]) {
    if (typeof text === 'string' && /^[0-9]{1,9}(\.[0-9]{1,9})?$/.test(text)) {
      return Math.min(longestDelayMs, Math.ceil(Number(text) * 1000));
    }
  }
  return null;
}

/** A stranger's text made fit for a log. */
export function oneLine(text: string): string {
  return text
    .replace(/[\p{Cc}\p{Cs}\u2028\u2029]+/gu, ' ')
    .trim()
    .slice(0, 200);
}

/** An amount in a provider's major units, "150.00"; null when it is none. */
export function majorUnits(text: unknown, currency: FiatCode | null): bigint | null {
  return typeof text === 'string' && currency !== null ? parseFiatAmount(text, currency) : null;
}

/** An amount in minor units, "15000"; null when it is none. */
export function minorUnits(text: unknown): bigint | null {
  return typeof text === 'string' && /^(0|[1-9][0-9]{0,17})$/.test(text) ? BigInt(text) : null;
}

export function currencyOf(text: unknown): FiatCode | null {
  return typeof text === 'string' && text.length === 3 ? parseFiatCode(text) : null;
}

/** A time with its offset, as Unix ms; null when it is none. */
export function isoMs(text: unknown): number | null {
  if (typeof text !== 'string' || !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/.test(text))
    return null;
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? null : ms;
}

/** Unix seconds, as Unix ms. */
export function unixMs(text: unknown): number | null {
  return typeof text === 'string' && /^[0-9]{1,11}$/.test(text) ? Number(text) * 1000 : null;
}

/** An id as providers make them. It becomes part of a path: nothing in it may mean anything there. */
export function idOf(text: unknown): string | null {
  return typeof text === 'string' && /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/.test(text) ? text : null;
}
