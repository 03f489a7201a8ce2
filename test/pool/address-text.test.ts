import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Network } from '../../src/core/networks.ts';
import { readAddressText } from '../../src/pool/address-text.ts';
import { evmAddress, evmKey } from '../support/addresses.ts';
import { testChain } from '../support/config.ts';
import { anyText } from '../support/text.ts';

const address = evmAddress(1);

const faultOf = (text: string, network: Network = 'bsc') => {
  const read = readAddressText(testChain(network), text);
  return 'error' in read ? read.error : null;
};

test.each([
  address,
  ` ${address}\u00a0`,
  `'${address}`,
  `bnb:${address}`,
  `BNB:${address}`,
  `'bnb:${address}`,
])('the address in %j is read, and its checksum is known to be right', (text) => {
  expect(readAddressText(testChain('bsc'), text)).toEqual({ address, key: evmKey(1), hasChecksum: true });
});

test.each([address.toLowerCase(), `0x${address.slice(2).toUpperCase()}`, `bnb:${address.toLowerCase()}`])(
  'the address %s has no checksum',
  (text) => {
    expect(readAddressText(testChain('bsc'), text)).toEqual({ address, key: evmKey(1), hasChecksum: false });
  },
);

test('the short name of another chain before an address is refused (EIP-3770)', () => {
  expect(faultOf(`eth:${address}`)).toBe('the prefix eth: is that of ethereum; expected bnb: or none on bsc');
  expect(faultOf(`matic:${address}`)).toBe('the prefix matic: is unknown; expected bnb: or none on bsc');
  expect(faultOf(`bnb:${address}`, 'ethereum')).toMatch(/^the prefix bnb: is that of bsc/);
  expect(faultOf('eth:TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t', 'tron')).toMatch(/expected none on tron$/);
});

test.each([
  ['shop.eth', 'this is a name (ENS); expected the address that it stands for'],
  ['pay.my-shop.xyz', 'this is a name (ENS); expected the address that it stands for'],
  ['XE7338O073KYGTWWZN0F2WZ0R8PX5ZPPZS', 'this is an ICAP address; expected 0x and 40 hex digits'],
  [address.slice(2), 'not an address: the 0x in front of it is missing'],
  [address.slice(0, -1), 'not an address: 39 hex digits after 0x where 40 are expected'],
  [`${address}a`, 'not an address: 41 hex digits after 0x where 40 are expected'],
  [
    `${address.slice(0, 9)}\u200b${address.slice(9)}`,
    'character 10 is invisible (U+200B): copy the address again',
  ],
  [`\u202a${address}`, 'character 1 is invisible (U+202A): copy the address again'],
  [`${address.slice(0, 9)} ${address.slice(9)}`, 'not an address: there is a space in it'],
  [
    `0x\u0430${address.slice(3)}`,
    'character 3 is \u0430 (U+0430), which no address has: copy the address again',
  ],
  ['somewhere', 'not an address: expected 0x and 40 hex digits'],
])('%j is refused with what it is', (text, reason) => {
  expect(faultOf(text)).toBe(reason);
});

test('whatever is read as an address of a chain has its 40 digits in it', () => {
  const pieces = fc.constantFrom(
    address,
    address.toLowerCase(),
    'bnb:',
    'eth:',
    "'",
    ' ',
    '\u200b',
    '.eth',
    'é',
    '0',
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.array(pieces).map((all) => all.join('')),
        anyText(),
      ),
      (text) => {
        const read = readAddressText(testChain('bsc'), text);
        if ('error' in read) expect(read.error).not.toBe('');
        else expect(text.toLowerCase()).toContain(read.key);
      },
    ),
  );
});
