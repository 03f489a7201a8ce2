import { onTestFinished } from 'vitest';
import type { Clock } from '../../../src/clock.ts';
import type { ChainConfig, RpcEndpoint } from '../../../src/config.ts';
import type { Asset } from '../../../src/core/assets.ts';
import type { Logger } from '../../../src/log.ts';
import type { ChainSource } from '../../../src/watchers/source.ts';
import { createTronSource } from '../../../src/watchers/tron/source.ts';
import { knownTokens, testChain } from '../config.ts';
import { endpointOf } from '../evm.ts';
import { silentLog } from '../log.ts';
import type { NodeView, ScriptedChain } from '../scripted-chain.ts';
import type { SimulatedTronChain } from './simulated-chain.ts';
import { type SimulatedTronNode, startSimulatedTronNode } from './simulated-node.ts';

/** USDT, USDC and TRX. */
export function tronAssets(): Asset[] {
  const { native } = testChain('tron');
  return [...knownTokens('tron'), { network: 'tron', currency: 'native', token: 'native', ...native }];
}

/** Of a simulated chain: the last four bytes of its first block's id. */
export function chainIdOf(chain: ScriptedChain): number {
  return Number.parseInt(chain.at(0)?.hash.slice(-8) ?? '', 16);
}

/** What the configuration says of a simulated chain. */
export function simulatedTron(chain: ScriptedChain): Partial<ChainConfig> {
  return { assets: tronAssets(), chainId: chainIdOf(chain), internalTransfers: true };
}

export type TronOptions = Partial<Omit<ChainConfig, 'rpc'>> & {
  clock: Clock;
  log?: Logger;
  timeoutMs?: number;
};

/** A source over nodes of a simulated chain, closed when the test ends. */
export function tronSourceForTest(
  chain: ScriptedChain,
  nodes: readonly (string | RpcEndpoint)[],
  { clock, log = silentLog, timeoutMs = 5_000, ...changes }: TronOptions,
): ChainSource {
  const rpc = nodes.map((node) => (typeof node === 'string' ? endpointOf(node) : node));
  const config = testChain('tron', { ...simulatedTron(chain), ...changes, rpc });
  const source = createTronSource({ chain: config, clock, log, timeoutMs });
  onTestFinished(() => source.close());
  return source;
}

/** A source over a node of any chain with this id, closed when the test ends. */
export function openSimulatedSource(
  { url, chainId }: { url: string; chainId: number },
  { clock }: { clock: Clock },
): ChainSource {
  const config = testChain('tron', { assets: tronAssets(), chainId, rpc: [endpointOf(url)] });
  const source = createTronSource({ chain: config, clock, log: silentLog, timeoutMs: 5_000 });
  onTestFinished(() => source.close());
  return source;
}

/** A node that ends with the test. */
export async function simulatedNodeForTest(
  chain: SimulatedTronChain,
  view?: NodeView,
): Promise<SimulatedTronNode> {
  const node = await startSimulatedTronNode(chain, view);
  onTestFinished(() => node.close());
  return node;
}
