import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  bytesField,
  onlyBytes,
  onlyVarint,
  readFields,
  varintField,
} from '../../../src/watchers/tron/protobuf.ts';

const number = fc.integer({ min: 1, max: 500 });
const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });

describe('a protobuf message', () => {
  test('gives back the fields it was made of, but for those of default value', () => {
    const field = fc.oneof(
      fc.record({ number, value: int64 }),
      fc.record({ number, value: fc.uint8Array({ maxLength: 200 }) }),
    );
    fc.assert(
      fc.property(fc.array(field, { maxLength: 8 }), (fields) => {
        const message = Buffer.concat(
          fields.map(({ number: at, value }) =>
            typeof value === 'bigint' ? varintField(at, value) : bytesField(at, value),
          ),
        );
        const present = fields.filter(({ value }) =>
          typeof value === 'bigint' ? value !== 0n : value.length > 0,
        );
        const read = readFields(message)?.map(({ number: at, value }) => ({
          number: at,
          value: typeof value === 'bigint' ? BigInt.asIntN(64, value) : Uint8Array.from(value),
        }));
        expect(read).toEqual(present);
      }),
    );
  });

  test('is never read past its end, and garbage never makes it throw', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        for (const { value } of readFields(bytes) ?? [])
          if (typeof value !== 'bigint') expect(value.length).toBeLessThan(bytes.length);
      }),
    );
    expect(
      readFields(Uint8Array.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f])),
    ).toBeNull();
    expect(readFields(Uint8Array.from([0x09, 1, 2, 3, 4, 5, 6, 7, 8]))).toBeNull();
  });

  test('has a value only where the field stands there once', () => {
    const once = readFields(Buffer.concat([varintField(3, 7n), bytesField(2, Uint8Array.from([1]))])) ?? [];
    expect(onlyVarint(once, 3)).toBe(7n);
    expect(onlyVarint(once, 9)).toBe(0n);
    expect(onlyVarint(once, 2)).toBeNull();
    expect(onlyBytes(once, 2)).toEqual(Buffer.from([1]));
    expect(onlyBytes(once, 3)).toBeNull();
    const twice = readFields(Buffer.concat([varintField(3, 7n), varintField(3, 8n)])) ?? [];
    expect(onlyVarint(twice, 3)).toBeNull();
    expect(onlyBytes(twice, 5)).toBeNull();
  });
});
