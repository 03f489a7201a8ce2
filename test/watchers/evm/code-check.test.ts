import { expect, test } from 'vitest';
import type { RpcEndpoint } from '../../../src/config.ts';
import { createCodeLook } from '../../../src/watchers/code-look.ts';
import { evmAddress } from '../../support/addresses.ts';
import { anvilForTest } from '../../support/anvil.ts';
import { testChain, testConfig } from '../../support/config.ts';
import { endpointOf } from '../../support/evm.ts';

const [plain, contract, delegated] = [evmAddress(1), evmAddress(2), evmAddress(3)];

function lookWith(...rpc: RpcEndpoint[]) {
  return createCodeLook({
    config: testConfig({ chains: { bsc: testChain('bsc', { rpc }) } }),
    clock: Date.now,
  });
}

async function chainWithContract() {
  const anvil = await anvilForTest();
  await anvil.rpc('anvil_setCode', [contract, '0x6000']);
  await anvil.rpc('anvil_setCode', [delegated, `0xef0100${'ab'.repeat(20)}`]);
  return anvil;
}

test('an address with code is told from one without, and from an account that delegates', async () => {
  const anvil = await chainWithContract();
  const look = lookWith(endpointOf(anvil.url));
  expect(await look('bsc', [plain, contract, delegated])).toEqual({ withCode: new Set([contract]) });
});

test('hundreds of addresses are looked at', async () => {
  const anvil = await chainWithContract();
  const many = Array.from({ length: 350 }, (_, n) => evmAddress(n));
  expect(await lookWith(endpointOf(anvil.url))('bsc', many)).toEqual({ withCode: new Set([contract]) });
});

test('the next node is asked where one does not answer', async () => {
  const anvil = await chainWithContract();
  const look = lookWith(endpointOf('http://127.0.0.1:1/'), endpointOf(anvil.url));
  expect(await look('bsc', [contract])).toEqual({ withCode: new Set([contract]) });
});

test('where no node answers that is said, with hosts and without keys', async () => {
  const look = lookWith(endpointOf('http://127.0.0.1:1/v3/secret-key-0123456789?key=other-secret-key'));
  const answer = await look('bsc', [plain]);
  expect(answer).toEqual({ unchecked: expect.stringMatching(/^127\.0\.0\.1:1: /) });
  expect(JSON.stringify(answer)).not.toContain('secret');
});

test('a node of another chain is not believed', async () => {
  const anvil = await anvilForTest({ chainId: 97 });
  expect(await lookWith(endpointOf(anvil.url))('bsc', [plain])).toEqual({
    unchecked: expect.stringMatching(/a node of chain 97, not 56$/),
  });
});

test('a chain that is off is not asked', async () => {
  expect(await lookWith()('ethereum', [plain])).toHaveProperty('unchecked');
});
