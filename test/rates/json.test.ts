import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseJsonExactly } from '../../src/core/exact-json.ts';
import { formatRate, parseRate } from '../../src/core/money.ts';
import { midPrice, readPrice } from '../../src/rates/json.ts';

describe('JSON with exact numbers', () => {
  test('a number keeps every digit that stood in the text', () => {
    expect(parseJsonExactly('{"usd":0.10000000000000000000001,"n":[12345678901234567890,1e-7]}')).toEqual({
      usd: '0.10000000000000000000001',
      n: ['12345678901234567890', '1e-7'],
    });
  });

  test('strings, null, booleans and nesting stay what they are', () => {
    const body = { a: '1.50', b: null, c: [true, { d: '' }] };
    expect(parseJsonExactly(JSON.stringify(body))).toEqual(body);
  });

  test.each(['', '<html></html>', '{"usd":NaN}', '{"usd":Infinity}', '{"usd":.5}', '{"usd":1', '{} {}'])(
    '%j is not JSON',
    (text) => {
      expect(parseJsonExactly(text)).toBeUndefined();
    },
  );

  test('nesting that exhausts the stack is refused like any other nonsense', () => {
    expect(parseJsonExactly('['.repeat(120_000) + ']'.repeat(120_000))).toBeUndefined();
  });
});

describe('a price', () => {
  test.each([
    ['612.50', '612.5'],
    ['562.84000', '562.84'],
    ['77705', '77705'],
    ['0.998816', '0.998816'],
    ['1e-7', '0.0000001'],
    ['1E-07', '0.0000001'],
    ['1.5e3', '1500'],
    ['1.2345e2', '123.45'],
    ['0.00012e4', '1.2'],
    ['9e0', '9'],
    ['1e+2', '100'],
    ['10e-1', '1'],
    ['1e-18', '0.000000000000000001'],
  ])('%s is read as %s', (text, plain) => {
    expect(readPrice(text)).toBe(parseRate(plain));
    expect(formatRate(readPrice(text) ?? 0n)).toBe(plain);
  });

  test.each([
    '',
    '0',
    '0.000',
    '0e5',
    '-1',
    '-1e-7',
    '+1',
    'NaN',
    'Infinity',
    'null',
    '1,000.00',
    '1 000',
    ' 1',
    '1\n',
    '.5',
    '5.',
    '007',
    '0x10',
    '1e',
    '1e-',
    '1e1.5',
    '1e999',
    '1e-19',
    '١٢',
    '9'.repeat(65),
  ])('%j is refused', (text) => {
    expect(readPrice(text)).toBeNull();
  });

  test('exponents move the point and change no digit', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: 1n, max: 10n ** 18n }),
        fc.nat({ max: 12 }),
        fc.integer({ min: -20, max: 20 }),
        (digits, places, exponent) => {
          const written = digits.toString().padStart(places + 1, '0');
          const whole = written.slice(0, written.length - places);
          const fraction = places === 0 ? '' : `.${written.slice(-places)}`;
          // digits × 10^(exponent − places) dollars in units of 10^-18, cut as parseRate cuts.
          const shift = 18 + exponent - places;
          const expected = shift >= 0 ? digits * 10n ** BigInt(shift) : digits / 10n ** BigInt(-shift);
          expect(readPrice(`${whole}${fraction}e${exponent}`)).toBe(expected > 0n ? expected : null);
        },
      ),
    );
  });

  test('every price that a JSON encoder can write is read to its value', () => {
    fc.assert(
      fc.property(fc.double({ min: 1e-15, max: 1e15, noNaN: true }), (value) => {
        const [source] = parseJsonExactly(`[${JSON.stringify(value)}]`) as [string];
        const read = Number(formatRate(readPrice(source) ?? 0n));
        expect(Math.abs(read - value)).toBeLessThanOrEqual(Math.max(value * 1e-15, 1e-18));
      }),
    );
  });

  test('no text makes it throw', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[0-9eE.+-]{0,70}$/)), (text) => {
        const rate = readPrice(text);
        if (rate !== null) expect(rate).toBeGreaterThan(0n);
      }),
    );
  });
});

describe('the middle of a market', () => {
  test('lies half way between bid and ask', () => {
    expect(midPrice('562.50', '562.83')).toBe(parseRate('562.665'));
  });

  test.each([
    ['no bid', '0.00000000', '1.00'],
    ['no ask', '1.00', '0.00000000'],
    ['crossed', '1.01', '1.00'],
    ['negative', '-1.00', '1.00'],
    ['more than 2 % apart', '100', '102.01'],
  ])('there is none when the book is: %s', (_what, bid, ask) => {
    expect(midPrice(bid, ask)).toBeNull();
  });

  test('there is one when they are 2 % apart', () => {
    expect(midPrice('100', '102')).toBe(parseRate('101'));
  });
});
