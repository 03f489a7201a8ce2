import type { Clock } from '../clock.ts';
import type { ChainConfig } from '../config.ts';
import { InvariantError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { createEvmSource } from './evm/source.ts';
import type { ChainSource } from './source.ts';

/** What reads a chain, by its family. */
export function createSource(deps: { chain: ChainConfig; clock: Clock; log: Logger }): ChainSource {
  const { family } = deps.chain;
  switch (family) {
    case 'evm':
      return createEvmSource(deps);
    case 'tron':
      // The configuration accepts no such chain yet.
      throw new InvariantError('there is no source for TRON');
    default:
      return family satisfies never;
  }
}
