import { isUtf8 } from 'node:buffer';
import { detailError, fieldError, fieldErrors } from './errors.ts';

/** Largest body of a merchant's request, bytes. */
export const bodyLimit = 64 * 1024;

/** Largest body of an operator's request, which may list thousands of addresses, bytes. */
export const adminBodyLimit = 1024 * 1024;

/** Levels of objects and lists within one another in a body. */
const deepest = 16;

/**
 * Reads a request's JSON strictly: bytes that are not UTF-8 are refused, not replaced, and so is what
 * JavaScript would silently change, an own `__proto__` and numbers beyond its range.
 *
 * @throws HttpError 400.
 */
export function parseJsonBody(bytes: Buffer): unknown {
  if (bytes.length === 0) return undefined;
  if (!isUtf8(bytes)) throw detailError(400, 'The body is not valid UTF-8.');
  let body: unknown;
  try {
    body = JSON.parse(bytes.toString());
  } catch (error) {
    const position = /at position [0-9]+/.exec(String(error))?.[0];
    throw detailError(400, `The body is not valid JSON${position === undefined ? '' : ` (${position})`}.`);
  }
  if (typeof body === 'object' && body !== null && !Array.isArray(body)) {
    const faults = Object.entries(body)
      .map(([field, value]) => [field, field === '__proto__' ? forbiddenName : faultIn(value, 2)] as const)
      .filter((fault): fault is [string, string] => fault[1] !== null);
    if (faults.length > 0) throw fieldErrors(faults);
  } else {
    const fault = faultIn(body, 1);
    if (fault !== null) throw fieldError('body', fault);
  }
  return body;
}

const forbiddenName = 'the name "__proto__" is not allowed';

function faultIn(value: unknown, depth: number): string | null {
  if (typeof value === 'number') return Number.isFinite(value) ? null : 'a number is too large';
  if (typeof value !== 'object' || value === null) return null;
  if (depth > deepest) return `nested more than ${deepest} levels deep`;
  for (const [name, child] of Object.entries(value)) {
    const fault = name === '__proto__' ? forbiddenName : faultIn(child, depth + 1);
    if (fault !== null) return fault;
  }
  return null;
}
