import fc from 'fast-check';
import { concat, encodeAbiParameters, encodeFunctionData, encodePacked, parseAbi } from 'viem';
import { describe, expect, test } from 'vitest';
import type { AddressKey } from '../../../src/core/address.ts';
import { createAddressSet } from '../../../src/watchers/address-set.ts';
import { namesWatched } from '../../../src/watchers/evm/calldata.ts';
import { watching } from '../../support/evm.ts';

const customer = '0x1111111111111111111111111111111111111abc';
const stranger = '0x2222222222222222222222222222222222222def';
const abi = parseAbi([
  'function disperseEther(address[] recipients, uint256[] values)',
  'function execTransaction(address to, uint256 value, bytes data)',
  'function multiSend(bytes transactions)',
]);

/** As a Safe encodes each transaction of a batch: nothing is padded. */
const packed = (to: `0x${string}`) =>
  encodePacked(['uint8', 'address', 'uint256', 'uint256'], [0, to, 5n, 0n]);

const disperse = (...recipients: `0x${string}`[]) =>
  encodeFunctionData({
    abi,
    functionName: 'disperseEther',
    args: [recipients, recipients.map(() => 5n)],
  });

describe('an input that names a watched address', () => {
  test.each<[string, `0x${string}`]>([
    ['as a word', disperse(stranger, customer)],
    [
      'as a word of a call within the call',
      encodeFunctionData({ abi, functionName: 'execTransaction', args: [stranger, 5n, disperse(customer)] }),
    ],
    [
      'packed, as in the batches of a Safe',
      encodeFunctionData({
        abi,
        functionName: 'multiSend',
        args: [concat([packed(stranger), packed(customer)])],
      }),
    ],
    ['in upper case', `0x${disperse(customer).slice(2).toUpperCase()}`],
    ['and nothing else', customer],
    [
      'at the end of code',
      concat(['0x600160005500', encodeAbiParameters([{ type: 'address' }], [customer])]),
    ],
  ])('%s is found', (_, input) => {
    expect(namesWatched(input, watching(customer))).toBe(true);
    expect(namesWatched(input, setOf(customer))).toBe(true);
    expect(namesWatched(input, setOf(`0x${'9'.repeat(40)}`))).toBe(false);
  });

  test.each(['0x', '0x1234', customer.slice(0, -2), disperse(stranger)])('%s is none', (input) => {
    expect(namesWatched(input, watching(customer))).toBe(false);
    expect(namesWatched(input, setOf(customer))).toBe(false);
  });

  test('is found wherever in it the address stands, among any others', () => {
    const bytes = (least: number, most: number) => fc.uint8Array({ minLength: least, maxLength: most });
    const addresses = fc.array(bytes(20, 20), { minLength: 1, maxLength: 3000 });
    fc.assert(
      fc.property(addresses, bytes(0, 100), bytes(0, 100), fc.nat(), (all, before, after, pick) => {
        const set = setOf(...all.map((address) => `0x${Buffer.from(address).toString('hex')}`));
        const chosen = all[pick % all.length] ?? new Uint8Array();
        const input = `0x${Buffer.concat([before, chosen, after]).toString('hex')}`;
        expect(namesWatched(input, set)).toBe(true);
      }),
      { numRuns: 50 },
    );
  });

  test('is looked for by its bytes with the same result as by its key', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ minLength: 20, maxLength: 20 })), fc.uint8Array(), (all, text) => {
        const keys = all.map((address) => Buffer.from(address).toString('hex') as AddressKey);
        const set = setOf(...keys.filter((_, i) => i % 2 === 0).map((key) => `0x${key}`));
        for (const key of keys) expect(set.hasAt(Buffer.from(key, 'hex'), 0)).toBe(set.has(key));
        const padded = Buffer.concat([text, Buffer.alloc(20)]);
        for (let at = 0; at < text.length; at++) {
          const key = padded.toString('hex', at, at + 20) as AddressKey;
          expect(set.hasAt(padded, at)).toBe(set.has(key));
        }
      }),
    );
  });
});

function setOf(...addresses: string[]) {
  const set = createAddressSet();
  for (const address of addresses) set.add(address.slice(2).toLowerCase() as AddressKey);
  return set;
}
