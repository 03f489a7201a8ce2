/*
 * JSON whose integers may be larger than a double holds: TRON prints 64-bit integers as bare numbers, and `JSON.parse`
 * rounds 9007199254740993 without a word.
 */

/*
 * A bare integer of 2^53 or more, or something in a text that looks like one: then each number is looked at. Two patterns, of
 * which the one for all of a text begins with a character: V8 takes six times as long where it may also begin anywhere.
 */
const longInteger = /[:[,]\s*-?(?:9\d{15}|\d{17})/;
const longAlone = /^\s*-?\d{16}/;

const integer = /^-?\d+$/;

/**
 * As `JSON.parse`, but an integer that a double cannot hold becomes a bigint.
 *
 * @throws SyntaxError
 */
export function parseLossless(text: string): unknown {
  const isLong = longInteger.test(text) || longAlone.test(text);
  return isLong ? JSON.parse(text, keepInteger as Reviver) : JSON.parse(text);
}

type Reviver = (this: unknown, key: string, value: unknown) => unknown;

/** The third argument is what the number looked like in the text (https://tc39.es/proposal-json-parse-with-source/). */
function keepInteger(_key: string, value: unknown, { source }: { source?: string }): unknown {
  if (typeof value !== 'number' || source === undefined || Number.isSafeInteger(value)) return value;
  return integer.test(source) ? BigInt(source) : value;
}

const lowest = -(2n ** 63n);
const highest = 2n ** 63n - 1n;

/** A 64-bit integer as {@link parseLossless} leaves it, or as text, which some nodes print; null for anything else. */
export function readInt64(value: unknown): bigint | null {
  const read = typeof value === 'string' && integer.test(value) && value.length <= 20 ? BigInt(value) : value;
  if (typeof read === 'number') return Number.isSafeInteger(read) ? BigInt(read) : null;
  if (typeof read !== 'bigint') return null;
  return read >= lowest && read <= highest ? read : null;
}
