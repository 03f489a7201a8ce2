import { isUtf8 } from 'node:buffer';
import { detailError, fieldError, fieldErrors } from './errors.ts';

/** Largest body of a merchant's request, bytes. */
export const bodyLimit = 64 * 1024;

/** Largest body of an operator's request, which may list thousands of addresses, bytes. */
export const adminBodyLimit = 1024 * 1024;

/** Levels of objects and lists within one another in a body. */
const deepest = 16;

/**
 * Reads a request's JSON strictly. What JavaScript would silently change is refused: bytes that are not UTF-8, an own
 * `__proto__`, and numbers that it cannot hold digit for digit (64-bit order numbers, say, which it rounds).
 *
 * @throws HttpError 400.
 */
export function parseJsonBody(bytes: Buffer): unknown {
  if (bytes.length === 0) return undefined;
  if (!isUtf8(bytes)) throw detailError(400, 'The body is not valid UTF-8.');
  const text = bytes.toString();
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch (error) {
    const position = /at position [0-9]+/.exec(String(error))?.[0];
    throw detailError(400, `The body is not valid JSON${position === undefined ? '' : ` (${position})`}.`);
  }
  refuseFaults(body);
  // A second time, as a reviver needs more stack than what was refused just now would have left it.
  refuseFaults(JSON.parse(text, keepExact));
  return body;
}

function refuseFaults(body: unknown): void {
  if (typeof body === 'object' && body !== null && !Array.isArray(body)) {
    const faults = Object.entries(body)
      .map(([field, value]) => [field, field === '__proto__' ? forbiddenName : faultIn(value, 2)] as const)
      .filter((fault): fault is [string, string] => fault[1] !== null);
    if (faults.length > 0) throw fieldErrors(faults);
  } else {
    const fault = faultIn(body, 1);
    if (fault !== null) throw fieldError('body', fault);
  }
}

const forbiddenName = 'the name "__proto__" is not allowed';

/** A number in the text of a body that no JavaScript number equals. */
const inexact = Symbol('inexact');

/** The third argument is of TC39's "JSON.parse source text access"; TypeScript's library does not know it yet. */
function keepExact(this: unknown, _name: string, value: unknown, context?: { source?: string }): unknown {
  if (typeof value !== 'number' || !Number.isFinite(value) || context?.source === undefined) return value;
  return isExact(context.source, value) ? value : inexact;
}

/** Whether the shortest decimal that stands for `value` is the number that was written. */
function isExact(source: string, value: number): boolean {
  return normalDecimal(source) === normalDecimal(String(value));
}

/** Digits without zeros at either end, and the exponent that belongs to them; the sign of zero means nothing. */
function normalDecimal(text: string): string {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]?\d+))?$/i.exec(text) ?? [];
  const digits = `${whole}${fraction}`.replace(/^0+/, '');
  const significant = digits.replace(/0+$/, '');
  if (significant === '') return '0';
  const power = BigInt(exponent) - BigInt(fraction.length) + BigInt(digits.length - significant.length);
  return `${sign}${significant}e${power}`;
}

/** What is wrong with a value; a number that cannot be kept is told with the path to it. */
function faultIn(value: unknown, depth: number, path: readonly string[] = []): string | null {
  if (value === inexact) {
    const fault = 'a number has more digits than can be kept: send it as a text';
    return [path.join('.'), fault].filter((part) => part !== '').join(': ');
  }
  if (typeof value === 'number') return Number.isFinite(value) ? null : 'a number is too large';
  if (typeof value !== 'object' || value === null) return null;
  if (depth > deepest) return `nested more than ${deepest} levels deep`;
  for (const [name, child] of Object.entries(value)) {
    const fault = name === '__proto__' ? forbiddenName : faultIn(child, depth + 1, [...path, name]);
    if (fault !== null) return fault;
  }
  return null;
}
