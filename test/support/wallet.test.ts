import { expect, onTestFinished, test } from 'vitest';
import { anvilForTest } from './anvil.ts';
import { startSwitchableNode } from './switchable-node.ts';
import { sendSigned, signTransaction } from './wallet.ts';

const someone = '0x1111111111111111111111111111111111111abc';

test('a signed transaction that a reorg threw out is sent again under the same hash', async () => {
  const anvil = await anvilForTest();
  await anvil.mine(3);
  const signed = await signTransaction(anvil, { to: someone, value: 1n });
  const txHash = await sendSigned(anvil, signed);
  await anvil.mine(2);
  const before = await anvil.receipt(txHash);
  await anvil.reorg(2);
  expect(await anvil.receipt(txHash)).toBeNull();

  expect(await sendSigned(anvil, signed)).toBe(txHash);
  await anvil.mine(1);
  const after = await anvil.receipt(txHash);
  expect([before?.blockNumber, after?.blockNumber]).toEqual([4, 6]);
  expect(after?.status).toBe('0x1');
});

test('a node that was taken off the network answers nothing, and everything once it is back', async () => {
  const anvil = await anvilForTest();
  const node = await startSwitchableNode(anvil.url);
  onTestFinished(node.stop);
  const ask = async () => {
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'eth_chainId' });
    return (await fetch(node.url, { method: 'POST', body })).json();
  };
  expect(await ask()).toMatchObject({ result: '0x38' });
  node.setReachable(false);
  await expect(ask()).rejects.toThrow('fetch failed');
  node.setReachable(true);
  expect(await ask()).toMatchObject({ result: '0x38' });
  expect(node.requests()).toBe(3);
});
