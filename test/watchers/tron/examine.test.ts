import { describe, expect, test } from 'vitest';
import type { ChainConfig } from '../../../src/config.ts';
import { print } from '../../../src/demo/tron/encode.ts';
import { word } from '../../../src/demo/tron/transactions.ts';
import { createUsageMeter } from '../../../src/nodes/usage.ts';
import type { CheckName } from '../../../src/watchers/examination.ts';
import { examineNode } from '../../../src/watchers/examine.ts';
import { testChain } from '../../support/config.ts';
import { endpointOf, type TestClock, testClock } from '../../support/evm.ts';
import { createSimulatedTronChain } from '../../support/tron/simulated-chain.ts';
import type { SimulatedTronNode, TronFault } from '../../support/tron/simulated-node.ts';
import { simulatedNodeForTest, simulatedTron } from '../../support/tron/source.ts';

type Bench = { clock: TestClock; node: SimulatedTronNode; config: ChainConfig };

async function open(): Promise<Bench> {
  const clock = testClock();
  const chain = createSimulatedTronChain({ clock, finalityLag: 18, height: 40 });
  const node = await simulatedNodeForTest(chain);
  return { clock, node, config: testChain('tron', simulatedTron(chain)) };
}

/** What is not well, by its check. */
async function ill({ clock, node, config }: Bench): Promise<Partial<Record<CheckName, string>>> {
  const signal = new AbortController().signal;
  const checks = await examineNode(endpointOf(node.url), {
    chain: config,
    clock,
    signal,
    meter: createUsageMeter(clock),
  });
  const bad = checks.filter(({ outcome }) => outcome !== 'well');
  return Object.fromEntries(bad.map(({ name, outcome, found }) => [name, `${outcome}: ${found}`]));
}

const saying =
  (text: string, ...methods: string[]): TronFault =>
  ({ view, method }, answer) =>
    methods.includes(method) || methods.includes(`${view}/${method}`) ? { ...answer, text } : answer;

describe('looking over a node of TRON', () => {
  test('finds nothing in one that is well, and asks all seven', async () => {
    const bench = await open();
    expect(await ill(bench)).toEqual({});
    const { clock, config, node } = bench;
    const signal = new AbortController().signal;
    const checks = await examineNode(endpointOf(node.url), {
      chain: config,
      clock,
      signal,
      meter: createUsageMeter(clock),
    });
    expect(checks.map(({ name }) => name)).toEqual([
      'chain',
      'head',
      'final',
      'transfers',
      'receipts',
      'history',
      'tokens',
    ]);
  });

  test('tells one of another chain by its first block, and asks nothing more', async () => {
    const bench = await open();
    const { chainId } = bench.config;
    bench.config = { ...bench.config, chainId: 728126428 };
    expect(await ill(bench)).toEqual({
      chain: `danger: it is of the chain with id ${chainId}, not 728126428`,
    });
  });

  test('tells one that cannot be reached', async () => {
    const bench = await open();
    await bench.node.close();
    expect(await ill(bench)).toEqual({ chain: expect.stringMatching(/^danger: .*ECONNREFUSED/) });
  });

  test('tells how old a newest block is, and one that is ahead of our clock', async () => {
    const bench = await open();
    bench.clock.advance(40_000);
    expect(await ill(bench)).toEqual({ head: 'warning: its newest block is 40 seconds old' });
    bench.clock.advance(-80_000);
    expect(await ill(bench)).toEqual({ head: 'warning: its newest block is 40 seconds ahead of this clock' });
  });

  test('tells a solid block that trails, and one that nobody tells', async () => {
    const bench = await open();
    bench.node.solidStuckAt = 5;
    expect(await ill(bench)).toEqual({ final: 'warning: its solid block trails by 35 blocks' });
    bench.node.solidStuckAt = null;
    bench.node.fault = ({ view, method }, answer) =>
      view === 'walletsolidity' || method === 'getnodeinfo' ? { ...answer, status: 404, text: '' } : answer;
    expect(await ill(bench)).toEqual({
      final: expect.stringMatching(/^danger: it serves no finalized/),
      receipts: 'warning: not asked: it does not tell what is solid',
    });
  });

  test.each(['{}', '[]'])('tells one that has no infos of its newest blocks: %s', async (text) => {
    const bench = await open();
    bench.node.fault = saying(text, 'wallet/gettransactioninfobyblocknum');
    expect(await ill(bench)).toMatchObject({
      transfers: expect.stringMatching(/^danger: it has no infos of block \d+/),
    });
  });

  test('tells a lite node, which has closed what it does not keep', async () => {
    const bench = await open();
    bench.node.fault = saying(
      'this API is closed because this node is a lite fullnode',
      'gettransactioninfobyblocknum',
    );
    expect(await ill(bench)).toMatchObject({
      transfers: expect.stringMatching(/^danger: it serves no logs/),
      receipts: expect.stringMatching(/^danger: it serves no receipts/),
    });
  });

  test('tells one that has forgotten what was a day ago', async () => {
    const bench = await open();
    bench.node.fault = ({ method, body }, answer) =>
      method === 'getblockbynum' && body.num === 1 ? { ...answer, text: '{}' } : answer;
    expect(await ill(bench)).toEqual({ history: 'warning: it has no block 1 any more' });
  });

  test('tells tokens of other decimals than configured', async () => {
    const bench = await open();
    const eighteen = { result: { result: true }, constant_result: [word(18n)] };
    bench.node.fault = saying(print(eighteen), 'triggerconstantcontract');
    expect(await ill(bench)).toEqual({
      tokens: expect.stringMatching(/^danger: chains\.tron\.tokens\.usdt: .* has 18 decimals, not 6/),
    });
  });
});
