import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseAmountText } from '../../src/core/amount-text.ts';
import { parseAmount } from '../../src/core/money.ts';

describe('an amount that somebody looks for', () => {
  test.each([
    ['12', '12', null],
    ['12.50', '12.50', null],
    ['12,50', '12.50', null],
    ['0,001', '0.001', null],
    ['1.234', '1.234', null],
    ['1.234,50', '1234.50', null],
    ['1,234.50', '1234.50', null],
    ['1 234,50', '1234.50', null],
    ["1'234.50", '1234.50', null],
    ['1.234.567', '1234567', null],
    ['1,234,567', '1234567', null],
    ['1234,567', '1234.567', null],
    ['$12.50', '12.50', 'usd'],
    ['$ 12.50 USD', '12.50', 'usd'],
    ['12.50$', '12.50', 'usd'],
    ['12.5 USDT', '12.5', 'usdt'],
    [' 0.000001bnb ', '0.000001', 'bnb'],
  ])('%s is read as %s', (text, amount, unit) => {
    expect(parseAmountText(text)).toEqual({ amount, unit });
  });

  test('a comma before three digits is either, and is not guessed at', () => {
    expect(parseAmountText('1,234')).toEqual({ either: '1234', or: '1.234' });
    expect(parseAmountText('$12,500')).toEqual({ either: '12500', or: '12.500' });
  });

  test.each([
    '',
    '.',
    '12.',
    '.5',
    '-12',
    '+12',
    '012',
    '00123',
    '0x12',
    '12,34,56',
    '1.23.456',
    '1,234.567.8',
    '12 34',
    '$12 usdt',
    'order-12',
    '١٢',
    '9'.repeat(61),
  ])('%j is none', (text) => {
    expect(parseAmountText(text)).toBeNull();
  });

  test('is the same however its thousands and decimals are marked, and whatever else is written breaks nothing', () => {
    const marks = fc.constantFrom([',', '.'], ['.', ','], [' ', ','], [' ', '.'], ["'", '.']);
    fc.assert(
      fc.property(
        fc.bigInt(1_000n, 10n ** 20n),
        fc.bigInt(0n, 99n),
        marks,
        (whole, cents, [group, point]) => {
          const parts = whole.toString().replace(/\B(?=(\d{3})+$)/g, group ?? '');
          const decimals = cents.toString().padStart(2, '0');
          expect(parseAmountText(`${parts}${point}${decimals}`)).toEqual({
            amount: `${whole}.${decimals}`,
            unit: null,
          });
        },
      ),
    );
    const marked = fc.string({ unit: fc.constantFrom(..."0123456789.,' $"), maxLength: 12 });
    fc.assert(
      fc.property(fc.oneof(marked, fc.string()), (text) => {
        const read = parseAmountText(text);
        // Nothing is read that the program's own parser would not take.
        if (read !== null && 'amount' in read) expect(parseAmount(read.amount, 60)).not.toBeNull();
      }),
    );
  });
});
