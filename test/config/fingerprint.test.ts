import { expect, test } from 'vitest';
import { differingSections, fingerprintOf } from '../../src/config/fingerprint.ts';
import { testChain, testConfig } from '../support/config.ts';

const base = testConfig({});
const differs = (changes: object) =>
  differingSections(fingerprintOf(base), fingerprintOf({ ...base, ...changes }));

test('two configurations differ in what decides about money, by the name of the section', () => {
  expect(differs({})).toEqual([]);
  expect(differs({ payments: { ...base.payments, toleranceBps: 7 } })).toEqual(['payments']);
  const bsc = { ...testChain('bsc'), requiredConfirmations: 3 };
  expect(differs({ chains: { ...base.chains, bsc } })).toEqual(['chains.bsc']);
  expect(differs({ chains: {}, sandbox: true })).toEqual([
    ...Object.keys(base.chains).map((network) => `chains.${network}`),
    'sandbox',
  ]);
});

test('where a process listens, what it logs, which nodes it asks and its secrets are its own affair', () => {
  const chains = Object.fromEntries(
    Object.entries(base.chains).map(([network, chain]) => [network, { ...chain, rpc: [] }]),
  );
  expect(
    differs({
      chains,
      listen: { host: '::', port: 1 },
      adminToken: 'another',
      log: { level: 'debug', format: 'json' },
      webhooks: { ...base.webhooks, secretKey: 'another' },
    }),
  ).toEqual([]);
});
