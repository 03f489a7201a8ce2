import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  formatAmount,
  formatRate,
  lessToleranceUp,
  parityRate,
  parseAmount,
  parseRate,
  quoteUp,
  type Rate,
} from '../../src/core/money.ts';
import { anyText } from '../support/text.ts';

const decimals = fc.integer({ min: 0, max: 18 });
const amounts = fc.bigInt({ min: 0n, max: 2n ** 256n - 1n });
const rates = fc.oneof(
  fc.bigInt({ min: 1n, max: 10n ** 24n }),
  fc.bigInt({ min: 10n ** 15n, max: 10n ** 22n }),
  fc.constant(parityRate),
);
/** What a payment may cost. */
const cents = fc.integer({ min: 1, max: 100_000_000 });
/** Places and decimals of the assets there are: stablecoins of 6 and 18 decimals, native coins of 18 and 6. */
const assets = fc.constantFrom([6, 6], [6, 18], [8, 18], [8, 6] as const);

const garbage = fc.oneof(
  fc.string(),
  anyText(),
  fc.stringMatching(/^[0-9.eE+,_ -]{0,40}$/),
  fc.double().map(String),
);

describe('an amount', () => {
  test.each([
    ['50.000000', 6, 50_000_000n],
    ['50', 18, 50_000_000_000_000_000_000n],
    ['0', 6, 0n],
    ['0.0', 6, 0n],
    ['0.000001', 6, 1n],
    ['1.10000000', 1, 11n],
    ['7', 0, 7n],
    ['7.000', 0, 7n],
  ])('%s with %i decimals is %s base units', (text, places, amount) => {
    expect(parseAmount(text, places)).toBe(amount);
  });

  test.each([
    '',
    ' ',
    '.',
    '.5',
    '5.',
    '-1',
    '+1',
    '01',
    '1e3',
    '1,5',
    '1_000',
    '1 000',
    ' 1',
    '1 ',
    '1\n',
    '0x10',
    '1.2.3',
    'NaN',
    'Infinity',
    '٣',
    '１',
    '½',
  ])('is not read from %j', (text) => {
    expect(parseAmount(text, 6)).toBeNull();
  });

  test('with more digits than its coin has is refused, never rounded', () => {
    expect(parseAmount('0.0000001', 6)).toBeNull();
    expect(parseAmount('0.9999999', 6)).toBeNull();
    fc.assert(
      fc.property(amounts, decimals, fc.bigInt({ min: 1n, max: 9n }), (whole, places, digit) => {
        const tooLong = `${whole}.${'0'.repeat(places)}${digit}`;
        expect(parseAmount(tooLong, places)).toBeNull();
        expect(parseAmount(tooLong, places + 1)).toBe(whole * 10n ** BigInt(places + 1) + digit);
      }),
    );
  });

  test('is what it was after it was written and read again', () => {
    fc.assert(
      fc.property(amounts, decimals, fc.integer({ min: 0, max: 24 }), (amount, places, minimumPlaces) => {
        expect(parseAmount(formatAmount(amount, places, minimumPlaces), places)).toBe(amount);
      }),
    );
  });

  test('is written with the fewest digits that say it exactly, but at least as many as asked for', () => {
    fc.assert(
      fc.property(amounts, decimals, fc.integer({ min: 0, max: 18 }), (amount, places, minimumPlaces) => {
        const [whole = '', fraction = ''] = formatAmount(amount, places, minimumPlaces).split('.');
        expect(whole).toMatch(/^(0|[1-9][0-9]*)$/);
        expect(fraction.length).toBeGreaterThanOrEqual(minimumPlaces);
        if (fraction.length > minimumPlaces) expect(fraction).toMatch(/[1-9]$/);
      }),
    );
  });

  test.each([
    [50_000_000n, 6, 6, '50.000000'],
    [50_000_000_000_000_000_000n, 18, 6, '50.000000'],
    [50_000_000_000_000_000_001n, 18, 6, '50.000000000000000001'],
    [1n, 18, 0, '0.000000000000000001'],
    [0n, 6, 6, '0.000000'],
    [0n, 0, 0, '0'],
    [-5n, 1, 0, '-0.5'],
  ])('of %s base units with %i decimals and %i places is written %s', (amount, places, minimum, text) => {
    expect(formatAmount(amount, places, minimum)).toBe(text);
  });

  test('is never read from garbage, and garbage never makes it throw', () => {
    fc.assert(
      fc.property(garbage, decimals, (text, places) => {
        const amount = parseAmount(text, places);
        if (amount === null) return;
        expect(text).toMatch(/^[0-9]+(\.[0-9]+)?$/);
        expect(amount).toBeGreaterThanOrEqual(0n);
      }),
    );
  });
});

describe('a rate', () => {
  test.each([
    ['1', parityRate],
    ['612.50', 612_500_000_000_000_000_000n],
    ['0.000000000000000001', 1n],
    ['0.0000000000000000019', 1n],
  ])('%s is %s units of 10^-18 dollar', (text, rate) => {
    expect(parseRate(text)).toBe(rate);
  });

  test.each(['0', '0.000', '0.0000000000000000001', '-1', '1e3', 'NaN', '', '.1'])(
    'is not read from %j',
    (text) => {
      expect(parseRate(text)).toBeNull();
    },
  );

  test('is what it was after it was written and read again', () => {
    fc.assert(
      fc.property(rates, (rate) => {
        expect(parseRate(formatRate(rate))).toBe(rate);
      }),
    );
  });

  test('read from garbage is null or positive, and garbage never makes it throw', () => {
    fc.assert(
      fc.property(garbage, (text) => {
        const rate = parseRate(text);
        if (rate !== null) expect(rate).toBeGreaterThan(0n);
      }),
    );
  });
});

/** `amount` base units are worth `amount × rate / 10^decimals` units of 10^-18 dollar; times 100 for cents. */
function worth(amount: bigint, rate: Rate, places: number): { numerator: bigint; denominator: bigint } {
  return { numerator: amount * rate * 100n, denominator: 10n ** BigInt(places) * parityRate };
}

describe('a quote', () => {
  test.each([
    ['50 dollars at parity', 5_000, parityRate, 6, 6, '50'],
    ['50 dollars at parity on a chain with 18 decimals', 5_000, parityRate, 6, 18, '50'],
    ['one cent of BNB', 1, 612_500_000_000_000_000_000n, 8, 18, '0.00001633'],
    ['50 dollars of BNB', 5_000, 612_500_000_000_000_000_000n, 8, 18, '0.08163266'],
    ['50 dollars of a token at 0.97', 5_000, 970_000_000_000_000_000n, 6, 18, '51.546392'],
    ['a dollar of TRX, which has 6 decimals', 100, 326_511_500_000_000_000n, 8, 6, '3.062680'],
  ])('for %s is exact or rounded up', (_what, usdCents, rate, places, coinDecimals, text) => {
    expect(formatAmount(quoteUp(usdCents, rate, places, coinDecimals), coinDecimals)).toBe(
      formatAmount(parseAmount(text, coinDecimals) ?? -1n, coinDecimals),
    );
  });

  test('is never worth less than the price, and one step less would be', () => {
    fc.assert(
      fc.property(cents, rates, assets, (usdCents, rate, [places, coinDecimals]) => {
        const amount = quoteUp(usdCents, rate, places as number, coinDecimals as number);
        const value = worth(amount, rate, coinDecimals as number);
        expect(value.numerator >= BigInt(usdCents) * value.denominator).toBe(true);
        const step = 10n ** BigInt(Math.max(0, (coinDecimals as number) - (places as number)));
        const less = worth(amount - step, rate, coinDecimals as number);
        expect(less.numerator < BigInt(usdCents) * less.denominator).toBe(true);
      }),
    );
  });

  test('has no more places than a person is shown', () => {
    fc.assert(
      fc.property(cents, rates, assets, (usdCents, rate, [places, coinDecimals]) => {
        const amount = quoteUp(usdCents, rate, places as number, coinDecimals as number);
        const fraction = formatAmount(amount, coinDecimals as number).split('.')[1] ?? '';
        expect(fraction.length).toBeLessThanOrEqual(places as number);
        expect(amount).toBeGreaterThan(0n);
      }),
    );
  });

  test('grows with the price and shrinks with the rate', () => {
    fc.assert(
      fc.property(cents, cents, rates, rates, assets, (a, b, r, s, [places, coinDecimals]) => {
        const quote = (usdCents: number, rate: Rate) =>
          quoteUp(usdCents, rate, places as number, coinDecimals as number);
        expect(quote(Math.max(a, b), r) >= quote(Math.min(a, b), r)).toBe(true);
        expect(quote(a, r > s ? r : s) <= quote(a, r > s ? s : r)).toBe(true);
      }),
    );
  });
});

describe('a tolerance', () => {
  test.each([
    [10_000n, 0, 10_000n],
    [10_000n, 100, 9_900n],
    [1n, 100, 1n],
    [3n, 5_000, 2n],
    [7n, 10_000, 0n],
  ])('leaves of %s less %i hundredths of a percent %s, rounded up', (expected, bps, left) => {
    expect(lessToleranceUp(expected, bps)).toBe(left);
  });

  test('never takes more than it says and never adds', () => {
    fc.assert(
      fc.property(amounts, fc.integer({ min: 0, max: 10_000 }), (expected, bps) => {
        const left = lessToleranceUp(expected, bps);
        expect(left <= expected).toBe(true);
        expect(left * 10_000n >= expected * BigInt(10_000 - bps)).toBe(true);
        expect((left - 1n) * 10_000n < expected * BigInt(10_000 - bps)).toBe(true);
      }),
    );
  });
});
