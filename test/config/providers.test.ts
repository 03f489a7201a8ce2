import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';
import { secretsOf } from '../../src/config/scrub.ts';
import { ConfigError } from '../../src/errors.ts';
import { testSecrets, testSettings } from '../support/providers/accounts.ts';

function load(providers: unknown) {
  const file = {
    publicUrl: 'https://pay.example.com',
    adminToken: 'c0ffee00c0ffee11c0ffee22',
    chains: { bsc: { rpc: ['https://node.example'] } },
    providers,
  };
  return parseConfig(JSON.stringify(file), '/srv', {});
}

function faultsOf(providers: unknown): readonly string[] {
  try {
    load(providers);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.faults;
    throw error;
  }
}

const { captureMode, allowJpy, ...forhopp } = testSettings.forhopp;

describe('providers in the configuration', () => {
  test('take the defaults of the contract', () => {
    const { providers } = load({
      cards: { type: 'forhopp', ...forhopp },
      moncash: { type: '4poch', ...testSettings['4poch'] },
    });
    expect(providers.cards).toMatchObject({
      name: 'cards',
      type: 'forhopp',
      label: 'ForhoppPay',
      enabled: true,
      merchants: null,
      timeoutSeconds: 15,
      settings: { captureMode: 'manual', allowJpy: false },
    });
    expect(captureMode).toBe('manual');
    expect(allowJpy).toBe(false);
    expect(providers.moncash?.label).toBe('4Poch');
  });

  test('with a mixed pair of keys are a fault, and no key is shown', () => {
    const mixed = { ...testSettings['4poch'], type: '4poch', apiKey: 'gw_live_0123456789' };
    const faults = faultsOf({ moncash: mixed });
    expect(faults).toEqual([
      expect.stringContaining('providers.moncash: "apiKey" is a live key and "secretKey" a test one'),
    ]);
    expect(faults.join()).not.toContain('0123456789');
  });

  test.each([
    ['an unknown type', { type: 'paypal' }, 'one of "4poch", "forhopp", "4pay", "gatenoc"'],
    ['no type', {}, 'one of "4poch"'],
    [
      'a publishable key',
      { type: 'forhopp', ...forhopp, secretKey: 'pk_live_0123456789abcdef0123456789abcdef' },
      'a secret key',
    ],
    ['an unknown setting', { type: 'forhopp', ...forhopp, colour: 'red' }, 'colour'],
    ['no secret of our own', { type: '4pay', apiToken: 'token-0123456789' }, 'webhookSecret'],
  ])('with %s are a fault that names what is expected', (_, entry, expected) => {
    const faults = faultsOf({ cards: entry });
    expect(faults.join()).toContain('providers.cards');
    expect(faults.join()).toContain(expected);
    expect(faults.join()).not.toContain('0123456789abcdef');
  });

  test('may not have the name of a chain, configured or known', () => {
    for (const name of ['bsc', 'tron']) {
      expect(faultsOf({ [name]: { type: 'forhopp', ...forhopp } }).join()).toContain('a chain has this name');
    }
    expect(faultsOf({ 'Not A Slug': { type: 'forhopp', ...forhopp } })).not.toEqual([]);
  });

  test('have every secret among those that are never printed', () => {
    const config = load({
      aa: { type: 'forhopp', ...forhopp },
      bb: { type: '4poch', ...testSettings['4poch'] },
      cc: { type: 'gatenoc', ...testSettings.gatenoc },
      dd: { type: '4pay', ...testSettings['4pay'] },
    });
    expect(secretsOf(config)).toEqual(expect.arrayContaining(Object.values(testSecrets)));
  });
});
