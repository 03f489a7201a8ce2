import type { Clock } from '../../clock.ts';
import type { ChainConfig, RpcEndpoint } from '../../config.ts';
import { type Address, parseAddress } from '../../core/address.ts';
import { systemSleep } from '../../loop.ts';
import { isRecord } from '../../nodes/json-rpc.ts';
import type { CountCall } from '../../nodes/usage.ts';
import type { CodeAnswer } from '../../pool/contracts.ts';
import { createTronNode } from './node.ts';
import { readChainId } from './preflight.ts';
import { isNothing } from './validate.ts';

/** For each request, ms: a node that wants fewer of them answers late. */
const requestTimeoutMs = 5_000;

/** Addresses asked for at the same time. */
const atOnce = 4;

/** Which of these addresses are contracts. Of any other `getcontract` says nothing. */
export async function readContracts(
  endpoint: RpcEndpoint,
  chain: ChainConfig,
  addresses: readonly Address[],
  { signal, ...asking }: { clock: Clock; signal: AbortSignal; count?: CountCall },
): Promise<CodeAnswer> {
  const node = createTronNode({ endpoint, ...asking, sleep: systemSleep, timeoutMs: requestTimeoutMs });
  const isContract = async (address: Address): Promise<boolean> => {
    const parsed = parseAddress('tron', address);
    if ('error' in parsed) return false;
    const answer = await node.api.call('wallet', 'getcontract', { value: `41${parsed.key}` }, signal);
    return isRecord(answer) && !isNothing(answer);
  };
  try {
    const chainId = await readChainId(node, signal);
    if (chainId !== chain.chainId) return { unchecked: `a node of chain ${chainId}, not ${chain.chainId}` };
    const withCode = new Set<Address>();
    for (let at = 0; at < addresses.length; at += atOnce) {
      const some = addresses.slice(at, at + atOnce);
      const found = await Promise.all(some.map(isContract));
      for (const [i, address] of some.entries()) if (found[i] === true) withCode.add(address);
    }
    return { withCode };
  } finally {
    await node.close();
  }
}
