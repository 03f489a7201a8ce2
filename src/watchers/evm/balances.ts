import type { AddressKey } from '../../core/address.ts';
import type { BlockRef } from '../../core/chain.ts';
import { type Endpoints, NoNodeError } from '../../nodes/failover.ts';
import type { Balances } from '../source.ts';
import { getBalance, getHeader } from './calls.ts';
import { readAmount, readHeader } from './decode.ts';
import type { EvmNode } from './node.ts';

/** What of the chain's own coin lay where: a balance at the end of a block. */
export type BalanceQuery = { key: AddressKey; height: number };

export type BalanceRequest = {
  queries: readonly BalanceQuery[];
  /** The node's chain has this block. */
  on: BlockRef;
  signal: AbortSignal;
  except?: (node: EvmNode) => boolean;
};

/**
 * Balances, all from one node on whose chain `on` is, in the order of the queries; null where no node could tell. Nodes
 * forget what was true a few minutes ago, which is no fault of theirs: the next one is asked.
 */
export async function readBalances(
  endpoints: Endpoints<EvmNode>,
  { queries, on, signal, except }: BalanceRequest,
): Promise<bigint[] | null> {
  const asked = new Set<EvmNode>();
  const ask = async (node: EvmNode): Promise<bigint[] | null> => {
    asked.add(node);
    const calls = queries.map(({ key, height }) => getBalance(key, height));
    // The block last: if the chain changes in between, it is another one.
    const answers = await node.client.send([...calls, getHeader(on.height)], signal);
    const results = answers.map((answer) => ('result' in answer ? answer.result : null));
    if (readHeader(results.at(-1))?.hash !== on.hash) return null;
    const balances = results.slice(0, -1).map(readAmount);
    return balances.every((balance) => balance !== null) ? balances : null;
  };
  for (;;) {
    try {
      const balances = await endpoints.ask(ask, signal, {
        except: (node) => asked.has(node) || except?.(node) === true,
        aside: true,
      });
      if (balances !== null) return balances;
    } catch (error) {
      if (error instanceof NoNodeError) return null;
      throw error;
    }
  }
}

/** What these addresses hold at the end of a block; null where no node could tell. */
export async function balancesAt(
  endpoints: Endpoints<EvmNode>,
  keys: readonly AddressKey[],
  at: BlockRef,
  signal: AbortSignal,
): Promise<Balances | null> {
  const queries = keys.map((key) => ({ key, height: at.height }));
  const balances = await readBalances(endpoints, { queries, on: at, signal });
  if (balances === null) return null;
  return new Map(keys.map((key, i) => [key, balances[i] ?? 0n]));
}
