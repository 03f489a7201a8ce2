import type { ChainConfig } from '../config.ts';
import { ConfigError } from '../errors.ts';
import { type Endpoints, NoNodeError } from '../nodes/failover.ts';
import { contradiction, NodeError } from '../nodes/fault.ts';

export type VerificationDeps<N> = {
  chain: ChainConfig;
  /** @throws NodeError when the node does not say. */
  readChainId: (node: N, signal: AbortSignal) => Promise<number>;
  /** What is wrong with each token that is not as configured. */
  findOtherTokens: (node: N, signal: AbortSignal) => Promise<string[]>;
};

/** Compares the nodes with the configuration. */
export type Verification<N> = {
  /** @throws NodeError `wrong-chain` when the node is of another chain. */
  identify(node: N, signal: AbortSignal): Promise<void>;
  /** @throws RpcError when no node answers; ConfigError when one contradicts the configuration. */
  verify(endpoints: Endpoints<N>, signal: AbortSignal): Promise<void>;
};

export function createVerification<N>({
  chain,
  readChainId,
  findOtherTokens,
}: VerificationDeps<N>): Verification<N> {
  /** What a node of another chain said; null while none did. */
  let otherChain: string | null = null;
  /** What a node said of tokens that are not as configured. */
  let otherTokens: readonly string[] = [];

  return {
    async identify(node, signal) {
      const chainId = await readChainId(node, signal);
      if (chainId === chain.chainId) return;
      otherChain = `the node belongs to chain ${chainId}, not ${chain.chainId}`;
      throw new NodeError({ kind: 'wrong-chain' }, `it belongs to chain ${chainId}, not ${chain.chainId}`);
    },

    async verify(endpoints, signal) {
      /** A node that is still loading its chain has no contracts yet: another one is asked before it is believed. */
      const checkTokens = async (node: N) => {
        otherTokens = await findOtherTokens(node, signal);
        if (otherTokens.length > 0) throw contradiction(otherTokens.join('; '));
      };
      try {
        await endpoints.ask(checkTokens, signal);
      } catch (error) {
        if (!(error instanceof NoNodeError)) throw error;
        if (otherChain !== null)
          throw new ConfigError([`chains.${chain.network}.chainId: ${otherChain} (${error.message})`]);
        if (otherTokens.length > 0) throw new ConfigError(otherTokens);
        throw error;
      }
    },
  };
}
