import type { BlockRef } from '../core/chain.ts';
import { RpcError } from '../errors.ts';
import type { ChainSource } from './source.ts';

/*
 * Asking each node of a chain by itself, where they may disagree.
 */

/** The nodes of this chain, each once. */
export function hostsOf(source: ChainSource): string[] {
  const hosts = source.endpoints().flatMap((node) => (node.state === 'wrong chain' ? [] : [node.host]));
  return [...new Set(hosts)];
}

/** The block that one node has at a height; null when it does not answer, or has not got as far as `reach`. */
export async function blockOf(
  source: ChainSource,
  host: string,
  { height, reach }: { height: number; reach: number },
  signal: AbortSignal,
): Promise<BlockRef | null> {
  const others = new Set(source.endpoints().flatMap((node) => (node.host === host ? [] : [node.host])));
  try {
    const blocks = await source.blocksAt([...new Set([height, reach])], signal, others);
    return blocks.get(reach) == null ? null : (blocks.get(height) ?? null);
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    return null;
  }
}
