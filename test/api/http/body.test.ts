import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseJsonBody } from '../../../src/api/http/body.ts';
import { HttpError } from '../../../src/api/http/errors.ts';

function read(text: string): unknown {
  return parseJsonBody(Buffer.from(text));
}

function refusal(text: string): unknown {
  try {
    read(text);
  } catch (error) {
    if (error instanceof HttpError) return error.body;
    throw error;
  }
  return null;
}

/** The number a decimal text stands for, as a fraction of whole numbers. */
function exactly(text: string): { numerator: bigint; denominator: bigint } {
  const [mantissa = '', exponent = '0'] = text.toLowerCase().split('e');
  const [whole = '', fraction = ''] = mantissa.split('.');
  const power = Number(exponent) - fraction.length;
  const numerator = BigInt(`${whole}${fraction}`.replace('-', '')) * (text.startsWith('-') ? -1n : 1n);
  return power >= 0
    ? { numerator: numerator * 10n ** BigInt(power), denominator: 1n }
    : { numerator, denominator: 10n ** BigInt(-power) };
}

describe('a number in a body', () => {
  test.each([
    '0',
    '-0',
    '1',
    '1.0',
    '1.50',
    '1e3',
    '1E+3',
    '0.1',
    '-273.15',
    '9007199254740991',
    '1e308',
    '5e-324',
  ])('%s is read as it is', (text) => {
    expect(read(`{"metadata":{"n":${text}}}`)).toEqual({ metadata: { n: Number(text) } });
  });

  test.each([
    '738529527931269425',
    '9007199254740993',
    '0.1000000000000000055',
    '1e-400',
    '123456789.123456789123',
  ])('%s is refused with its place, for it would be rounded', (text) => {
    const fault = 'order.id: a number has more digits than can be kept: send it as a text';
    expect(refusal(`{"metadata":{"order":{"id":${text}}}}`)).toEqual({ errors: { metadata: [fault] } });
  });

  test('the same digits in a text are read', () => {
    expect(read('{"metadata":{"id":"738529527931269425"}}')).toEqual({
      metadata: { id: '738529527931269425' },
    });
  });

  test('is either what was sent, digit for digit, or refused', () => {
    const digits = fc.stringMatching(/^(0|[1-9][0-9]{0,24})$/);
    const number = fc
      .tuple(
        fc.constantFrom('', '-'),
        digits,
        fc.option(fc.stringMatching(/^[0-9]{1,24}$/), { nil: undefined }),
        fc.option(fc.integer({ min: -30, max: 30 }), { nil: undefined }),
      )
      .map(
        ([sign, whole, fraction, exponent]) =>
          `${sign}${whole}${fraction === undefined ? '' : `.${fraction}`}${exponent === undefined ? '' : `e${exponent}`}`,
      );
    fc.assert(
      fc.property(number, (text) => {
        if (refusal(`{"n":${text}}`) !== null) return;
        const { n } = read(`{"n":${text}}`) as { n: number };
        // What is written back into answers and webhooks stands for the same number.
        const sent = exactly(text);
        const kept = exactly(JSON.stringify(n));
        expect(kept.numerator * sent.denominator).toBe(sent.numerator * kept.denominator);
      }),
    );
  });

  test('is never refused when JavaScript wrote it', () => {
    fc.assert(
      fc.property(fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.maxSafeInteger()), (n) => {
        expect(read(JSON.stringify({ n }))).toEqual({ n: n === 0 ? 0 : n });
      }),
    );
  });
});
