import { execFileSync } from 'node:child_process';
import { resolve } from 'node:path';
import { decodeFunctionResult, encodeFunctionData } from 'viem';
import { expect, test } from 'vitest';
import { knownChains } from '../../src/core/chains/known.ts';

import { anvilForTest, type TestAnvil } from '../support/anvil.ts';
import { describeRealData } from '../support/real-data.ts';
import {
  batchTokens,
  placeLookAlike,
  placeRealUsdc,
  placeRealUsdt,
  placeTokens,
  tokenAbi,
  transferToken,
  transferTokenFrom,
} from '../support/tokens.ts';

const customer = '0x1111111111111111111111111111111111111abc';
const transferTopic = '0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef';

test('the bytecode in the repository is what the compiler makes of the contracts', () => {
  const script = resolve(import.meta.dirname, '../../scripts/compile-contracts.ts');
  execFileSync(process.execPath, [script, '--check'], { stdio: ['ignore', 'inherit', 'inherit'] });
});

test("tokens stand at the issuers' addresses with the issuers' decimals", async () => {
  const anvil = await anvilForTest();
  const tokens = await placeTokens(anvil, 'bsc');
  expect(tokens.usdt).toBe(knownChains.bsc.tokens.usdt?.address);
  expect(await decimalsOf(anvil, tokens.usdt)).toBe(18);
  await placeTokens(anvil, 'ethereum');
  expect(await decimalsOf(anvil, knownChains.ethereum.tokens.usdt?.address as string)).toBe(6);
});

test('a transfer, one by a third party and a batch emit one Transfer for each payment', async () => {
  const anvil = await anvilForTest();
  const { usdt } = await placeTokens(anvil, 'bsc');
  const plain = await transferToken(anvil, usdt, customer, 5n);
  const zero = await transferToken(anvil, usdt, customer, 0n);
  const third = await transferTokenFrom(anvil, usdt, customer, 7n);
  const batch = await batchTokens(anvil, usdt, [
    { to: customer, amount: 1n },
    { to: customer, amount: 1n },
  ]);
  await anvil.mine();
  expect(await valuesPaid(anvil, plain)).toEqual([5n]);
  expect(await valuesPaid(anvil, zero)).toEqual([0n]);
  expect(await valuesPaid(anvil, third)).toEqual([7n]);
  expect(await valuesPaid(anvil, batch)).toEqual([1n, 1n]);
});

test('a look-alike has the same code at another address', async () => {
  const anvil = await anvilForTest();
  const { usdt } = await placeTokens(anvil, 'bsc');
  const fake = await placeLookAlike(anvil, 18);
  expect(await anvil.rpc('eth_getCode', [fake, 'latest'])).toBe(
    await anvil.rpc('eth_getCode', [usdt, 'latest']),
  );
  const txHash = await transferToken(anvil, fake, customer, 5n);
  await anvil.mine();
  expect(await valuesPaid(anvil, txHash)).toEqual([5n]);
});

describeRealData("the issuers' own contracts", 'contracts/INDEX.json', () => {
  test('pay when placed on a local chain', async () => {
    const anvil = await anvilForTest({ chainId: 1 });
    const usdt = knownChains.ethereum.tokens.usdt?.address as string;
    const usdc = knownChains.ethereum.tokens.usdc?.address as string;
    await placeRealUsdt(anvil, usdt);
    await placeRealUsdc(anvil, usdc);
    const inTether = await transferToken(anvil, usdt, customer, 1_234_567n);
    const inCircle = await transferToken(anvil, usdc, customer, 7_654_321n);
    await anvil.mine();
    expect(await decimalsOf(anvil, usdt)).toBe(6);
    expect(await valuesPaid(anvil, inTether)).toEqual([1_234_567n]);
    expect(await valuesPaid(anvil, inCircle)).toEqual([7_654_321n]);
  });
});

async function decimalsOf(anvil: TestAnvil, token: string): Promise<number> {
  const data = encodeFunctionData({ abi: tokenAbi, functionName: 'decimals' });
  const answer = (await anvil.rpc('eth_call', [{ to: token, data }, 'latest'])) as `0x${string}`;
  // Tether declares it as uint256; small numbers look the same.
  return decodeFunctionResult({ abi: tokenAbi, functionName: 'decimals', data: answer });
}

/** The values of the transaction's Transfers to the customer; it must have succeeded. */
async function valuesPaid(anvil: TestAnvil, txHash: string): Promise<bigint[]> {
  const receipt = await anvil.receipt(txHash);
  expect(receipt?.status).toBe('0x1');
  return (receipt?.logs ?? [])
    .filter((log) => log.topics[0] === transferTopic && log.topics[2]?.endsWith(customer.slice(2)))
    .map((log) => BigInt(log.data));
}
