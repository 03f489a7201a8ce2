import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import { utils } from 'tronweb';
import { getAddress } from 'viem';
import { describe, expect, test } from 'vitest';
import {
  type AddressKey,
  keyOfHex,
  keyOfWord,
  type ParsedAddress,
  parseAddress,
  writeAddress,
} from '../../src/core/address.ts';
import { knownChains } from '../../src/core/chains/known.ts';
import type { KnownNetwork } from '../../src/core/networks.ts';

import { describeRealData, readRealData, realDataPath } from '../support/real-data.ts';
import { anyText } from '../support/text.ts';

function parsed(text: string): ParsedAddress {
  const result = parseAddress('evm', text);
  if ('error' in result) throw new Error(`${text}: ${result.error}`);
  return result;
}

function errorOf(text: string): string | null {
  const result = parseAddress('evm', text);
  return 'error' in result ? result.error : null;
}

/** 20 bytes that are not all zero, as hex digits. */
const keys = fc
  .uint8Array({ minLength: 20, maxLength: 20 })
  .map((bytes) => Buffer.from(bytes).toString('hex'))
  .filter((key) => !/^0+$/.test(key));

const usdt = '0xdAC17F958D2ee523a2206206994597C13D831ec7';

describe('an EVM address', () => {
  test('is the same address in lower case, in upper case and with its checksum', () => {
    fc.assert(
      fc.property(keys, (key) => {
        const lower = parsed(`0x${key}`);
        expect(lower.key).toBe(key);
        expect(lower.address.toLowerCase()).toBe(`0x${key}`);
        expect(parsed(`0x${key.toUpperCase()}`)).toEqual(lower);
        expect(parsed(lower.address)).toEqual(lower);
      }),
    );
  });

  test('is written with the checksum that others write', () => {
    fc.assert(
      fc.property(keys, (key) => {
        expect(parsed(`0x${key}`).address).toBe(getAddress(`0x${key}`));
      }),
    );
  });

  test('with a checksum is refused when the case of any one letter is changed', () => {
    const letters = [...usdt].flatMap((digit, index) => (index > 1 && /[a-f]/i.test(digit) ? [index] : []));
    expect(letters.length).toBeGreaterThan(10);
    for (const index of letters) {
      const digit = usdt[index] as string;
      const other = digit === digit.toLowerCase() ? digit.toUpperCase() : digit.toLowerCase();
      expect(errorOf(usdt.slice(0, index) + other + usdt.slice(index + 1))).toContain('wrong checksum');
    }
  });

  test('with a checksum is refused when two of its digits are swapped', () => {
    let swaps = 0;
    for (let index = 2; index < usdt.length - 1; index++) {
      const [a, b] = [usdt[index] as string, usdt[index + 1] as string];
      if (a.toLowerCase() === b.toLowerCase()) continue;
      swaps++;
      expect(errorOf(usdt.slice(0, index) + b + a + usdt.slice(index + 2))).toContain('wrong checksum');
    }
    expect(swaps).toBeGreaterThan(20);
  });

  test.each([
    ['nothing', ''],
    ['no prefix', usdt.slice(2)],
    ['an upper-case prefix', `0X${usdt.slice(2)}`],
    ['a digit too few', usdt.slice(0, -1)],
    ['a digit too many', `${usdt}0`],
    ['a letter that is no digit', `${usdt.slice(0, -1)}g`],
    ['a space before', ` ${usdt}`],
    ['a line break after', `${usdt}\n`],
    ['a payment link', `ethereum:${usdt}`],
    ['a transaction hash', `0x${'ab'.repeat(32)}`],
    ['look-alike letters', usdt.replace('C', 'С')],
    ['a name', 'vitalik.eth'],
  ])('is not read from %s', (_what, text) => {
    expect(errorOf(text)).toBe('not an address: expected 0x and 40 hex digits');
  });

  test('is not read from a TRON address, and the error says what it is', () => {
    expect(errorOf('TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t')).toContain('TRON address');
  });

  test('of nothing but zeros is refused', () => {
    expect(errorOf(`0x${'0'.repeat(40)}`)).toContain('zero address');
  });

  test('is never read from garbage, and garbage never makes it throw', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          anyText(),
          fc.stringMatching(/^0[xX][0-9a-gA-G]{38,42}$/),
          fc.mixedCase(keys.map((key) => `0x${key}`)),
        ),
        (text) => {
          const result = parseAddress('evm', text);
          if ('error' in result) expect(result.error).not.toBe('');
          else expect(text).toMatch(/^0x[0-9a-fA-F]{40}$/);
        },
      ),
    );
  });

  test('has the key that logs and nodes carry, in whatever case', () => {
    fc.assert(
      fc.property(fc.mixedCase(keys), (digits) => {
        const { key } = parsed(`0x${digits.toLowerCase()}`);
        expect(keyOfHex(`0x${digits}`)).toBe(key);
        expect(keyOfWord(`0x${'0'.repeat(24)}${digits}`)).toBe(key);
      }),
    );
  });
});

describe('a TRON address', () => {
  const usdtOnTron = 'TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t';
  const tronErrorOf = (text: string) => {
    const result = parseAddress('tron', text);
    return 'error' in result ? result.error : null;
  };

  test('is written from its key and read back to it', () => {
    fc.assert(
      fc.property(keys, (key) => {
        const address = writeAddress('tron', key as AddressKey);
        expect(address).toMatch(/^T.{33}$/);
        expect(parseAddress('tron', address)).toEqual({ address, key });
      }),
    );
  });

  test('is written as tronweb writes it, and read from the hex that tronweb makes of it', () => {
    fc.assert(
      fc.property(keys, (key) => {
        const address = writeAddress('tron', key as AddressKey);
        expect(utils.address.fromHex(`41${key}`)).toBe(address);
        expect(utils.address.isAddress(address)).toBe(true);
        const hex = utils.address.toHex(address);
        expect(parseAddress('tron', hex)).toEqual({ address, key });
        expect(parseAddress('tron', hex.toUpperCase())).toEqual({ address, key });
      }),
    );
  });

  test('is refused wherever tronweb refuses it', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.stringMatching(/^T[1-9A-HJ-NP-Za-km-z]{33}$/),
          fc.stringMatching(/^4[01][0-9a-fA-F]{40}$/),
          fc.string(),
        ),
        (text) => {
          if (!('error' in parseAddress('tron', text))) expect(utils.address.isAddress(text)).toBe(true);
        },
      ),
    );
  });

  test('is refused when any one character is changed', () => {
    for (let at = 1; at < usdtOnTron.length; at++) {
      const other = usdtOnTron[at] === 'a' ? 'b' : 'a';
      expect(tronErrorOf(usdtOnTron.slice(0, at) + other + usdtOnTron.slice(at + 1))).toMatch(
        /^(wrong checksum|not an address)/,
      );
    }
  });

  test('is not read from an EVM address, from the zero address or from garbage', () => {
    expect(tronErrorOf(usdt)).toContain('EVM address');
    expect(tronErrorOf(writeAddress('tron', '0'.repeat(40) as AddressKey))).toContain('zero address');
    fc.assert(fc.property(fc.string(), (text) => void expect(tronErrorOf(text)).not.toBeNull()));
  });
});

test('the canonical tokens of the EVM chains are written with their checksums', () => {
  for (const network of ['bsc', 'ethereum'] as const) {
    for (const token of Object.values(knownChains[network as KnownNetwork].tokens)) {
      expect(parsed(token.address).address).toBe(token.address);
    }
  }
});

describeRealData('recorded addresses', 'wallet-vectors', () => {
  test('the checksummed addresses of EIP-55 are accepted as they stand', () => {
    const { checksummed } = JSON.parse(readRealData('wallet-vectors/eip55.json')) as {
      checksummed: string[];
    };
    expect(checksummed.length).toBeGreaterThan(3);
    for (const address of checksummed) expect(parsed(address).address).toBe(address);
  });

  test('the 1,038 accounts of ethers get the checksums that ethers gives them', () => {
    const file = gunzipSync(readFileSync(realDataPath('wallet-vectors/ethers-accounts-1038.json.gz')));
    const accounts = JSON.parse(file.toString()) as { address: string; checksumAddress: string }[];
    expect(accounts).toHaveLength(1038);
    for (const { address, checksumAddress } of accounts) {
      if (/^0x0+$/.test(address)) {
        expect(errorOf(address)).toContain('zero address');
        continue;
      }
      expect(parsed(address.toLowerCase()).address).toBe(checksumAddress);
      expect(parsed(checksumAddress).address).toBe(checksumAddress);
    }
  });

  test('the wallet addresses of BIP-44 are accepted as a hardware wallet shows them', () => {
    const { tests } = JSON.parse(readRealData('wallet-vectors/bip44-ethereum-addresses.json')) as {
      tests: { address: string }[];
    };
    expect(tests.length).toBeGreaterThan(3);
    for (const { address } of tests) expect(parsed(address).address).toBe(address);
  });

  test('TRON addresses have the bytes that TRON gives them, and broken ones are refused', () => {
    const { valid, validOnly, invalid } = JSON.parse(
      readRealData('wallet-vectors/tron-base58check.json'),
    ) as {
      valid: { base58: string; hex: string }[];
      validOnly: string[];
      invalid: { address: string }[];
    };
    expect(valid.length).toBeGreaterThan(3);
    for (const { base58, hex } of valid) {
      expect(parseAddress('tron', base58)).toEqual({ address: base58, key: hex.slice(2) });
      expect(writeAddress('tron', hex.slice(2) as AddressKey)).toBe(base58);
    }
    for (const address of validOnly) expect(parseAddress('tron', address)).toMatchObject({ address });
    for (const { address } of invalid) expect(parseAddress('tron', address)).toHaveProperty('error');
  });

  test('TRON addresses are refused on EVM chains', () => {
    const { tests } = JSON.parse(readRealData('wallet-vectors/bip44-tron-addresses.json')) as {
      tests: { address: string }[];
    };
    for (const { address } of tests) expect(errorOf(address)).toContain('TRON address');
  });
});
