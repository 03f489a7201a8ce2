import { createEvmSource } from './evm/source.ts';
import type { SourceOptions } from './open-nodes.ts';
import type { ChainSource } from './source.ts';
import { createTronSource } from './tron/source.ts';

/** What reads a chain, by its family. */
export function createSource(options: SourceOptions): ChainSource {
  const { family } = options.chain;
  switch (family) {
    case 'evm':
      return createEvmSource(options);
    case 'tron':
      return createTronSource(options);
    default:
      return family satisfies never;
  }
}
