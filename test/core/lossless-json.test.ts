import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseLossless, readInt64 } from '../../src/core/lossless-json.ts';

/** JSON text whose integers are bare, however large: `JSON.stringify` knows no bigint. */
function print(value: unknown): string {
  if (typeof value === 'bigint') return String(value);
  if (Array.isArray(value)) return `[${value.map(print).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  return `{${Object.entries(value)
    .map(([key, inner]) => `${JSON.stringify(key)}: ${print(inner)}`)
    .join(' ,')}}`;
}

const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });

const json = fc.letrec((tie) => ({
  value: fc.oneof(
    int64,
    fc.string(),
    fc.stringMatching(/^[:,[]? ?-?\d{15,20}$/),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(
      fc.string().filter((key) => key !== '__proto__'),
      tie('value'),
      { maxKeys: 4, noNullPrototype: true },
    ),
  ),
})).value;

/** Every number as the bigint it stands for. */
function widened(value: unknown): unknown {
  if (typeof value === 'number') return BigInt(value);
  if (Array.isArray(value)) return value.map(widened);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, widened(inner)]));
}

describe('lossless JSON', () => {
  test('keeps every 64-bit integer, wherever it stands and whatever texts stand beside it', () => {
    fc.assert(fc.property(json, (value) => void expect(widened(parseLossless(print(value)))).toEqual(value)));
  });

  test('reads small numbers, and those with a fraction, as JSON.parse does', () => {
    const text = '{"a": 1, "b": [0.5, -9007199254740991, 1e3], "c": 12345678901234567.5}';
    expect(parseLossless(text)).toEqual(JSON.parse(text));
    expect(parseLossless('9007199254740993')).toBe(9007199254740993n);
    expect(parseLossless('[\n-9007199254740993]')).toEqual([-9007199254740993n]);
  });

  test('is no more forgiving than JSON.parse', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          json.map(print).map((text) => text.slice(0, -1)),
        ),
        (text) => {
          let expected: unknown;
          try {
            expected = JSON.parse(text);
          } catch {
            expect(() => parseLossless(text)).toThrow(SyntaxError);
            return;
          }
          expect(typeof parseLossless(text)).toBe(
            typeof expected === 'number' && !Number.isSafeInteger(expected) ? 'bigint' : typeof expected,
          );
        },
      ),
    );
  });
});

describe('a 64-bit integer', () => {
  test('is read from a number, from a bigint and from text', () => {
    fc.assert(
      fc.property(int64, (value) => {
        expect(readInt64(value)).toBe(value);
        expect(readInt64(String(value))).toBe(value);
        if (value === BigInt(Number(value)) && Number.isSafeInteger(Number(value)))
          expect(readInt64(Number(value))).toBe(value);
      }),
    );
  });

  test.each([
    1.5,
    Number.NaN,
    2 ** 53,
    '',
    '0x10',
    '1.0',
    ' 1',
    null,
    undefined,
    {},
    2n ** 63n,
    '9223372036854775808',
    '9'.repeat(1000),
  ])('is not read from %s', (value) => {
    expect(readInt64(value)).toBeNull();
  });
});
