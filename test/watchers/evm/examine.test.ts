import { describe, expect, onTestFinished, test } from 'vitest';
import type { ChainConfig } from '../../../src/config.ts';
import type { AddressKey } from '../../../src/core/address.ts';
import { createUsageMeter } from '../../../src/nodes/usage.ts';
import type { CheckName } from '../../../src/watchers/examination.ts';
import { examineNode } from '../../../src/watchers/examine.ts';
import { testChain } from '../../support/config.ts';
import { endpointOf, type TestClock, testClock } from '../../support/evm.ts';
import { type FaultProxy, faultProxyForTest } from '../../support/fault-proxy.ts';
import { tokenKey } from '../../support/payments.ts';
import { createScriptedChain } from '../../support/scripted-chain.ts';
import { startScriptedNode } from '../../support/scripted-node.ts';

type Bench = { clock: TestClock; proxy: FaultProxy; config: ChainConfig; maxLogRange?: number | null };

/** A transfer in each block of a node behind a proxy. */
async function open(): Promise<Bench> {
  const clock = testClock();
  const chain = createScriptedChain({ network: 'bsc', clock, finalityLag: 4, height: 3 });
  const token = tokenKey('bsc', 'usdt') as AddressKey;
  for (let n = 0; n < 20; n++) {
    chain.send({ token, currency: 'usdt', recipient: '11'.repeat(20) as AddressKey, amount: 5n });
    chain.mine();
  }
  const node = await startScriptedNode(chain);
  onTestFinished(() => node.close());
  return { clock, proxy: await faultProxyForTest(node.url), config: testChain('bsc') };
}

/** What is not well, by its check. */
async function ill({
  clock,
  proxy,
  config,
  maxLogRange = 1_000,
}: Bench): Promise<Partial<Record<CheckName, string>>> {
  const signal = new AbortController().signal;
  const checks = await examineNode(endpointOf(proxy.url, { maxLogRange }), {
    chain: config,
    clock,
    signal,
    meter: createUsageMeter(clock),
  });
  const bad = checks.filter(({ outcome }) => outcome !== 'well');
  return Object.fromEntries(bad.map(({ name, outcome, found }) => [name, `${outcome}: ${found}`]));
}

describe('looking over a node of an EVM chain', () => {
  test('finds nothing in one that is well', async () => {
    expect(await ill(await open())).toEqual({});
  });

  test('tells one of another chain, and asks nothing more', async () => {
    const bench = await open();
    bench.config = { ...bench.config, chainId: 97 };
    expect(await ill(bench)).toEqual({ chain: 'danger: it is of the chain with id 56, not 97' });
  });

  test('tells one that is 40 seconds behind', async () => {
    const bench = await open();
    bench.clock.advance(40_000);
    expect(await ill(bench)).toEqual({ head: 'warning: its newest block is 40 seconds old' });
  });

  test('tells one without finalized, which is no danger where depth confirms', async () => {
    const bench = await open();
    bench.proxy.inject(
      { kind: 'result', result: null },
      { matches: ({ method, params }) => method === 'eth_getBlockByNumber' && params[0] === 'finalized' },
    );
    bench.config = { ...bench.config, finality: 'finalized' };
    expect(await ill(bench)).toEqual({ final: 'danger: it does not tell what is finalized' });
    bench.config = { ...bench.config, finality: 'depth' };
    expect(await ill(bench)).toEqual({ final: 'warning: it does not tell what is finalized' });
  });

  test('tells one without logs', async () => {
    const bench = await open();
    const message = 'the method eth_getLogs does not exist';
    bench.proxy.inject({ kind: 'refuse', code: -32601, message }, { method: 'eth_getLogs' });
    expect(await ill(bench)).toEqual({
      transfers: expect.stringMatching(/^danger: .*eth_getLogs/),
      history: expect.stringMatching(/^warning: .*eth_getLogs/),
      range: expect.stringMatching(/^warning: .*eth_getLogs/),
    });
  });

  test('tells one that shows the logs of few blocks at once', async () => {
    const bench = await open();
    bench.proxy.inject({ kind: 'refuse-range', blocks: 10, message: 'up to a 10 block range' });
    expect(await ill(bench)).toEqual({ range: expect.stringMatching(/^warning: .*10 block range/) });
    // Whoever has said so in the configuration knows it.
    bench.maxLogRange = 10;
    expect(await ill(bench)).toEqual({});
  });

  test('tells one that takes no batches, or small ones', async () => {
    const bench = await open();
    const disabled = bench.proxy.inject({ kind: 'refuse-batch', message: 'batch requests are disabled' });
    expect(await ill(bench)).toEqual({ batch: 'warning: it takes 1 call in one request' });
    disabled.remove();
    bench.proxy.inject({ kind: 'limit-batch', calls: 2 });
    expect(await ill(bench)).toEqual({ batch: 'warning: it takes 2 calls in one request' });
  });

  test('tells one that traces nothing, where the coin of the chain is taken', async () => {
    const bench = await open();
    const message = 'the method debug_traceTransaction does not exist';
    bench.proxy.inject({ kind: 'refuse', code: -32601, message }, { method: 'debug_traceTransaction' });
    expect(await ill(bench)).toEqual({
      traces: expect.stringMatching(/^warning: it traces no transaction: .*does not exist/),
    });
    const { assets } = bench.config;
    bench.config = { ...bench.config, assets: assets.filter(({ token }) => token !== 'native') };
    expect(await ill(bench)).toEqual({});
  });

  test('tells one without receipts', async () => {
    const bench = await open();
    bench.proxy.inject({ kind: 'result', result: null }, { method: 'eth_getTransactionReceipt' });
    expect(await ill(bench)).toEqual({
      receipts: 'danger: it has no receipt of a transaction in block 23',
    });
  });

  test('tells one that has pruned what was a day ago', async () => {
    const bench = await open();
    const logs = bench.proxy.inject(
      { kind: 'refuse', code: 4444, message: 'pruned history unavailable' },
      {
        matches: ({ method, params }) =>
          method === 'eth_getLogs' && (params[0] as { toBlock: string }).toBlock === '0x0',
      },
    );
    expect(await ill(bench)).toEqual({ history: expect.stringMatching(/^warning: .*pruned/) });
    logs.remove();
    bench.proxy.inject(
      { kind: 'result', result: null },
      { matches: ({ method, params }) => method === 'eth_getBlockByNumber' && params[0] === '0x0' },
    );
    expect(await ill(bench)).toEqual({ history: 'warning: it has no block 0' });
  });

  test('tells tokens of other decimals than configured', async () => {
    const bench = await open();
    bench.proxy.inject({ kind: 'result', result: `0x${'6'.padStart(64, '0')}` }, { method: 'eth_call' });
    expect(await ill(bench)).toEqual({
      tokens: expect.stringMatching(/^danger: chains\.bsc\.tokens\.usdt: .* has 6 decimals, not 18/),
    });
  });
});
