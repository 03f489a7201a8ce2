import { pbkdf2Sync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { HDKey } from '@scure/bip32';
import fc from 'fast-check';
import { privateKeyToAddress, publicKeyToAddress } from 'viem/accounts';
import { describe, expect, test } from 'vitest';
import { type AccountKey, highestIndex, parseAccountKey } from '../../src/core/account-key.ts';
import { parseAddress } from '../../src/core/address.ts';
import { describeRealData, readRealData, realDataPath } from '../support/real-data.ts';

function accountOf(text: string): AccountKey {
  const account = parseAccountKey(text);
  if ('error' in account) throw new Error(account.error);
  return account;
}

function errorOf(text: string): string | null {
  const account = parseAccountKey(text);
  return 'error' in account ? account.error : null;
}

const seeds = fc.uint8Array({ minLength: 16, maxLength: 64 });
const root = HDKey.fromMasterSeed(Buffer.from('000102030405060708090a0b0c0d0e0f', 'hex'));
const account = root.derive("m/44'/60'/0'");

describe('an account key', () => {
  test('gives the addresses that the private keys below it have', () => {
    fc.assert(
      fc.property(seeds, fc.nat(3), fc.integer({ min: 0, max: highestIndex }), (seed, n, index) => {
        const parent = HDKey.fromMasterSeed(seed).derive(`m/44'/60'/${n}'`);
        const { privateKey } = parent.derive(`m/0/${index}`);
        const expected = privateKeyToAddress(`0x${Buffer.from(privateKey ?? []).toString('hex')}`);
        const derived = accountOf(parent.publicExtendedKey).addressAt('evm', index);
        expect(derived.address).toBe(expected);
        expect(parseAddress('evm', expected)).toEqual(derived);
      }),
      { numRuns: 25 },
    );
  });

  test('has the same keys on TRON, written as TRON writes them', () => {
    const evm = accountOf(account.publicExtendedKey).addressAt('evm', 7);
    const tron = accountOf(account.publicExtendedKey).addressAt('tron', 7);
    expect(tron.key).toBe(evm.key);
    expect(parseAddress('tron', tron.address)).toEqual(tron);
  });

  test('says how deep it lies, so that a key of another level can be told', () => {
    expect(accountOf(account.publicExtendedKey).depth).toBe(3);
    expect(accountOf(root.publicExtendedKey).depth).toBe(0);
  });

  test('is not read when any one character is changed', () => {
    const text = account.publicExtendedKey;
    for (let at = 4; at < text.length; at += 3) {
      const other = text[at] === 'a' ? 'b' : 'a';
      expect(errorOf(text.slice(0, at) + other + text.slice(at + 1))).toContain('mistyped');
    }
  });

  test.each([
    ['nothing', ''],
    ['an address', '0xdAC17F958D2ee523a2206206994597C13D831ec7'],
    ['a private key', account.privateExtendedKey],
    ['a public key cut short', account.publicExtendedKey.slice(0, -20)],
    ['a public key with a space', `${account.publicExtendedKey} `],
    ['a key for Bitcoin', `zpub${account.publicExtendedKey.slice(4)}`],
    ['words', 'all all all all all all all all all all all all'],
  ])('is not read from %s, and the error does not repeat it', (_, text) => {
    const error = errorOf(text);
    expect(error).toMatch(/^(not an extended public key|a key that begins with zpub)/);
    if (text !== '') expect(error).not.toContain(text);
  });

  test('is never read from garbage, and garbage never makes it throw', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^xpub[1-9A-HJ-NP-Za-km-z]{100,115}$/)), (text) => {
        expect(errorOf(text)).not.toBeNull();
      }),
    );
  });
});

/** The account's public key of a mnemonic (BIP-39), as a wallet shows it. */
function accountKeyOf(mnemonic: string, path: string): AccountKey {
  const seed = pbkdf2Sync(mnemonic.normalize('NFKD'), 'mnemonic', 2048, 64, 'sha512');
  return accountOf(HDKey.fromMasterSeed(seed).derive(path).publicExtendedKey);
}

describeRealData('recorded wallets', 'wallet-vectors', () => {
  test('the account key that a hardware wallet shows gives that wallet’s addresses', () => {
    const { tests } = JSON.parse(readRealData('wallet-vectors/bip44-ethereum-xpub.json')) as {
      tests: { path: string; xpub: string; public_key: string }[];
    };
    const byPath = new Map(tests.map((vector) => [vector.path, vector]));
    const first = byPath.get("m/44'/60'/0'/0/0");
    const derived = accountOf(byPath.get("m/44'/60'/0'")?.xpub ?? '').addressAt('evm', 0);
    const point = secp256k1.Point.fromHex(first?.public_key ?? '');
    expect(derived.address).toBe(publicKeyToAddress(`0x${point.toHex(false)}`));
  });

  test.each([
    ['evm', 'bip44-ethereum-addresses.json', 60],
    ['tron', 'bip44-tron-addresses.json', 195],
  ] as const)(
    '%s: the addresses of a mnemonic are those that a hardware wallet derives',
    (family, file, coin) => {
      const { setup, tests } = JSON.parse(readRealData(`wallet-vectors/${file}`)) as {
        setup: { mnemonic: string };
        tests: { path: string; address: string }[];
      };
      let compared = 0;
      for (const { path, address } of tests) {
        const match = new RegExp(`^(m/44'/${coin}'/\\d+')/0/(\\d+)$`).exec(path);
        if (match === null) continue;
        compared++;
        const key = accountKeyOf(setup.mnemonic, match[1] ?? '');
        expect(key.addressAt(family, Number(match[2])).address).toBe(address);
      }
      expect(compared).toBeGreaterThan(1);
    },
  );

  test('the wallets of ethers have the addresses that ethers gives them', () => {
    const file = gunzipSync(readFileSync(realDataPath('wallet-vectors/ethers-hdnode-sample.json.gz')));
    const wallets = JSON.parse(file.toString()) as {
      seed: string;
      hdnodes: { path: string; address: string }[];
    }[];
    let compared = 0;
    for (const { seed, hdnodes } of wallets) {
      for (const { path, address } of hdnodes) {
        const match = /^(m(?:\/\d+'?)*)\/0\/(\d+)$/.exec(path);
        if (match === null) continue;
        compared++;
        const parent = HDKey.fromMasterSeed(Buffer.from(seed.slice(2), 'hex')).derive(match[1] ?? '');
        const derived = accountOf(parent.publicExtendedKey).addressAt('evm', Number(match[2]));
        expect(derived.address.toLowerCase()).toBe(address.toLowerCase());
      }
    }
    expect(compared).toBeGreaterThan(20);
  });
});
