import { readdirSync } from 'node:fs';
import { afterEach, expect, test, vi } from 'vitest';
import { startAnvil } from '../../src/demo/anvil.ts';
import { anvilForTest } from './anvil.ts';
import { testFolder } from './databases.ts';

afterEach(() => vi.unstubAllEnvs());

const someone = '0x1111111111111111111111111111111111111abc';

test('blocks are made on demand and finality trails the head by two', async () => {
  const anvil = await anvilForTest({ chainId: 56 });
  expect(await anvil.height()).toBe(0);
  await anvil.mine(5);
  expect(await anvil.height()).toBe(5);
  expect((await anvil.block('finalized')).number).toBe(3);
  expect(await anvil.rpc('eth_chainId')).toBe('0x38');
});

test('several transactions wait for one block and keep their order', async () => {
  const anvil = await anvilForTest();
  const first = await anvil.send({ to: someone, value: 1n });
  const second = await anvil.send({ from: anvil.accounts[1] as string, to: someone, value: 2n });
  expect(await anvil.receipt(first)).toBeNull();
  await anvil.mine();
  const raw = (await anvil.rpc('eth_getBlockByNumber', ['latest', false])) as { transactions: string[] };
  expect(raw.transactions).toEqual([first, second]);
  expect((await anvil.receipt(second))?.status).toBe('0x1');
});

test('the next block has the time that was set', async () => {
  const anvil = await anvilForTest();
  const { timestamp } = await anvil.block('latest');
  await anvil.setNextBlockTime(timestamp + 1000);
  await anvil.mine();
  expect((await anvil.block('latest')).timestamp).toBe(timestamp + 1000);
});

test('a reorg puts other blocks at the same heights and drops or moves transactions', async () => {
  const anvil = await anvilForTest();
  const dropped = await anvil.send({ to: someone, value: 1n });
  await anvil.mine(5);
  const [below, replaced] = [await anvil.block(0), await anvil.block(1)];
  await anvil.reorg(5, [{ request: { to: someone, value: 3n }, offset: 2 }]);
  expect(await anvil.height()).toBe(5);
  expect((await anvil.block(0)).hash).toBe(below.hash);
  expect((await anvil.block(1)).hash).not.toBe(replaced.hash);
  expect(await anvil.receipt(dropped)).toBeNull();
  expect(
    ((await anvil.rpc('eth_getBlockByNumber', ['0x3', false])) as { transactions: string[] }).transactions,
  ).toHaveLength(1);
});

test('a rollback takes the head backwards', async () => {
  const anvil = await anvilForTest();
  await anvil.mine(5);
  await anvil.rollback(3);
  expect(await anvil.height()).toBe(2);
});

test('a snapshot brings the chain back', async () => {
  const anvil = await anvilForTest();
  await anvil.mine(2);
  const snapshot = await anvil.snapshot();
  await anvil.mine(2);
  await anvil.revert(snapshot);
  expect(await anvil.height()).toBe(2);
});

test('stopping leaves neither a process nor a file', async () => {
  const folder = testFolder();
  vi.stubEnv('TMPDIR', folder);
  const anvil = await startAnvil({ chainId: 1 });
  expect(readdirSync(folder)).toHaveLength(1);
  await anvil.stop();
  await anvil.stop();
  await expect(anvil.rpc('eth_chainId')).rejects.toThrow();
  expect(readdirSync(folder)).toEqual([]);
});

test('a missing anvil is said so and leaves nothing behind', async () => {
  const folder = testFolder();
  vi.stubEnv('TMPDIR', folder);
  vi.stubEnv('ANVIL_PATH', '/nowhere/anvil');
  await expect(startAnvil({ chainId: 1 })).rejects.toThrow(/cannot start anvil \(ENOENT\); .* ANVIL_PATH/);
  expect(readdirSync(folder)).toEqual([]);
});

test('an anvil that refuses its arguments is said so', async () => {
  await expect(startAnvil({ chainId: -1 })).rejects.toThrow(/cannot start anvil/);
});
