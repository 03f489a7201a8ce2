import type { Clock } from '../clock.ts';
import type { ChainConfig, RpcEndpoint } from '../config.ts';
import { systemSleep } from '../loop.ts';
import type { UsageMeter } from '../nodes/usage.ts';
import { examineEvmNode } from './evm/examine.ts';
import { createEvmNode } from './evm/node.ts';
import type { Check } from './examination.ts';
import { examineTronNode } from './tron/examine.ts';
import { createTronNode } from './tron/node.ts';

/** Looks one node over, by the family of its chain. Says what it found, and never throws because of the node. */
export async function examineNode(
  endpoint: RpcEndpoint,
  examined: { chain: ChainConfig; clock: Clock; signal: AbortSignal; meter: UsageMeter },
): Promise<Check[]> {
  const { family } = examined.chain;
  const count = examined.meter.counterOf(new URL(endpoint.url).host);
  const options = { endpoint, clock: examined.clock, sleep: systemSleep, count };
  switch (family) {
    case 'evm': {
      const node = createEvmNode(options);
      return examineEvmNode(node, examined).finally(() => node.close());
    }
    case 'tron': {
      const node = createTronNode(options);
      return examineTronNode(node, examined).finally(() => node.close());
    }
    default:
      return family satisfies never;
  }
}
