import { HDKey } from '@scure/bip32';
import fc from 'fast-check';
import { generatePrivateKey } from 'viem/accounts';
import { describe, expect, test } from 'vitest';
import { labelFault } from '../../src/core/labels.ts';
import { privateKeyIn, privateKeyRefusal } from '../../src/core/private-keys.ts';

const root = HDKey.fromMasterSeed(Buffer.alloc(32, 7));
const words = 'radar blur cabbage chef fix engine embark joy scheme fiction master release';

describe('a private key', () => {
  test.each([
    ['32 bytes in hex', 'ab'.repeat(32)],
    ['with a prefix', generatePrivateKey()],
    ['in capitals', `0X${'AB'.repeat(32)}`],
    ['within other text', `key: ${generatePrivateKey()} (till 1)`],
    ['an extended one', root.privateExtendedKey],
    ['an extended one of another kind', `tprv${root.privateExtendedKey.slice(4)}`],
    ['within a path', `see ${root.privateExtendedKey}/0/1`],
    ['for Bitcoin', '5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ'],
    ['for Bitcoin, compressed', 'KwdMAjGmerYanjeui5SHS7JkmpZvVipYvB2LJGU1ZxJwYvP98617'],
  ])('%s is recognised', (_, text) => {
    expect(privateKeyIn(text)).toBe('a private key');
  });

  test('is recognised wherever it stands in a text', () => {
    const around = fc.stringMatching(/^[ -/:-@[-`{-~g-zG-WYZ]*$/);
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), around, around, (key, before, after) => {
        const text = `${before} ${Buffer.from(key).toString('hex')} ${after}`;
        expect(privateKeyIn(text)).toBe('a private key');
      }),
    );
  });
});

describe('a seed phrase', () => {
  test.each([
    ['of 12 words', words],
    ['of 24 words', `${words} ${words}`],
    ['in capitals', words.toUpperCase()],
    ['with line breaks', words.replaceAll(' ', '\n')],
    ['with commas', words.replaceAll(' ', ', ')],
  ])('%s is recognised', (_, text) => {
    expect(privateKeyIn(text)).toBe('a seed phrase');
  });
});

describe('what is neither', () => {
  test.each([
    ['an address', '0xdAC17F958D2ee523a2206206994597C13D831ec7'],
    ['a TRON address', 'TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t'],
    ['an extended public key', root.publicExtendedKey],
    ['a label', 'till 3, ground floor'],
    ['a longer number in hex', 'ab'.repeat(33)],
    ['eleven words', words.split(' ').slice(1).join(' ')],
    ['thirteen words', `${words} again`],
    ['a sentence', 'The customer paid from an exchange that took its fee, and asked us to accept it.'],
    ['nothing', ''],
  ])('%s is let through', (_, text) => {
    expect(privateKeyIn(text)).toBeNull();
  });
});

test('a label or name that holds one is refused without repeating it', () => {
  for (const secret of [words, root.privateExtendedKey, 'cd'.repeat(32)]) {
    const fault = labelFault(secret);
    expect(fault).toMatch(/^this looks like a (private key|seed phrase)/);
    expect(fault).not.toContain(secret);
  }
  expect(labelFault('till 1')).toBeNull();
  expect(privateKeyRefusal('a seed phrase')).toContain('has not kept it');
});
