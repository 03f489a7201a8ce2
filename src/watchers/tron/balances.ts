import type { AddressKey } from '../../core/address.ts';
import type { BlockRef } from '../../core/chain.ts';
import { readInt64 } from '../../core/lossless-json.ts';
import { type Endpoints, NoNodeError } from '../../nodes/failover.ts';
import { contradiction } from '../../nodes/fault.ts';
import { isRecord } from '../../nodes/json-rpc.ts';
import type { Balances } from '../source.ts';
import type { TronNode } from './node.ts';
import { readLatest } from './read.ts';

/** Accounts asked for at the same time. */
const accountsAtOnce = 4;

/**
 * What these addresses hold in TRX at the end of a block, by the first node of which this is the latest block, before and
 * after it is asked: nodes keep no balances of the past. Null where there is none.
 */
export async function balancesAt(
  endpoints: Endpoints<TronNode>,
  keys: readonly AddressKey[],
  at: BlockRef,
  signal: AbortSignal,
): Promise<Balances | null> {
  const asked = new Set<TronNode>();
  const ask = async (node: TronNode): Promise<Balances | null> => {
    asked.add(node);
    if ((await readLatest(node, 'wallet', signal)).hash !== at.hash) return null;
    const balances = new Map<AddressKey, bigint>();
    for (let from = 0; from < keys.length; from += accountsAtOnce) {
      const some = keys.slice(from, from + accountsAtOnce);
      const amounts = await Promise.all(some.map((key) => readBalance(node, key, signal)));
      for (const [i, key] of some.entries()) balances.set(key, amounts[i] ?? 0n);
    }
    return (await readLatest(node, 'wallet', signal)).hash === at.hash ? balances : null;
  };
  for (;;) {
    try {
      const balances = await endpoints.ask(ask, signal, { except: (node) => asked.has(node), aside: true });
      if (balances !== null) return balances;
    } catch (error) {
      if (error instanceof NoNodeError) return null;
      throw error;
    }
  }
}

/** An account that nobody has paid yet is not there, and a balance of nothing is not printed. */
async function readBalance({ api }: TronNode, key: AddressKey, signal: AbortSignal): Promise<bigint> {
  const account = await api.call('wallet', 'getaccount', { address: `41${key}` }, signal);
  const balance = isRecord(account) ? readInt64(account.balance ?? 0) : null;
  if (balance === null || balance < 0n) throw contradiction('a balance is malformed');
  return balance;
}
