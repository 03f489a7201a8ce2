import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseTransactionText } from '../../src/core/transaction-text.ts';

const digits = fc.string({
  unit: fc.constantFrom(...'0123456789abcdefABCDEF'),
  minLength: 64,
  maxLength: 64,
});

/** How explorers and people write a hash. */
const forms: ((hash: string) => string)[] = [
  (hash) => hash,
  (hash) => `0x${hash}`,
  (hash) => `  0x${hash}\n`,
  (hash) => `https://etherscan.io/tx/0x${hash}`,
  (hash) => `https://bscscan.com/tx/0x${hash}?a=1#eventlog`,
  (hash) => `https://tronscan.org/#/transaction/${hash}`,
  (hash) => `https://www.oklink.com/bsc/tx/0x${hash}/`,
  (hash) => `https://etherscan.io/tx/0x${hash} https://etherscan.io/tx/0x${hash.toUpperCase()}`,
  (hash) => `My transaction: 0x${hash}.`,
];

describe('a transaction that a payer names', () => {
  test('is found in its hash and in a link of an explorer, as the chain prints it', () => {
    fc.assert(
      fc.property(digits, fc.constantFrom(...forms), (hash, form) => {
        expect(parseTransactionText('evm', form(hash))).toBe(`0x${hash.toLowerCase()}`);
        expect(parseTransactionText('tron', form(hash))).toBe(hash.toLowerCase());
      }),
    );
  });

  test('is none in any other text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
        fc.pre(!/[0-9a-f]{64}/i.test(text));
        expect(parseTransactionText('evm', text)).toBeNull();
      }),
    );
  });

  test('is none where two are named, where digits are missing or too many, or the text is too long', () => {
    fc.assert(
      fc.property(digits, digits, fc.constantFrom(...'0123456789abcdefxyz'), (one, other, more) => {
        fc.pre(one.toLowerCase() !== other.toLowerCase());
        const texts = [
          `0x${one} 0x${other}`,
          `0x${one}${more}`,
          `0x${one.slice(1)}`,
          one + ' '.repeat(2_000),
        ];
        for (const text of texts) expect(parseTransactionText('evm', text), text).toBeNull();
      }),
    );
  });

  test('is none in an address, also of 20 bytes that are padded in a link', () => {
    expect(parseTransactionText('evm', '0x55d398326f99059fF775485246999027B3197955')).toBeNull();
    expect(parseTransactionText('tron', 'TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t')).toBeNull();
  });
});
