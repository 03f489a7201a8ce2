import type { Clock } from '../clock.ts';
import type { ChainConfig } from '../config.ts';
import type { Logger } from '../log.ts';
import type { NodeMeter } from '../nodes/measurements.ts';
import type { UsageMeter } from '../nodes/usage.ts';
import { createEvmSource } from './evm/source.ts';
import type { ChainSource } from './source.ts';
import { createTronSource } from './tron/source.ts';

/** What reads a chain, by its family. */
export function createSource(deps: {
  chain: ChainConfig;
  clock: Clock;
  log: Logger;
  /** Counts what the nodes are asked. */
  meter?: UsageMeter;
  /** Measures how they answer. */
  measure?: NodeMeter;
}): ChainSource {
  const { family } = deps.chain;
  switch (family) {
    case 'evm':
      return createEvmSource(deps);
    case 'tron':
      return createTronSource(deps);
    default:
      return family satisfies never;
  }
}
