import type { Clock } from '../../clock.ts';
import type { ChainConfig, Config, RpcEndpoint } from '../../config.ts';
import type { Address } from '../../core/address.ts';
import { systemSleep } from '../../loop.ts';
import { NodeError } from '../../nodes/fault.ts';
import { createRpcClient } from '../../nodes/json-rpc.ts';
import type { CodeAnswer, CodeLook } from '../../pool/contracts.ts';
import { getCode } from './calls.ts';
import { readChainId, resultOf } from './preflight.ts';

/** For one look at up to some hundred addresses, and for each of its requests, ms. */
const lookTimeoutMs = 20_000;
const requestTimeoutMs = 5_000;

/** An account that lets a contract act for it (EIP-7702) still has its key: `0xef0100` and an address. */
const delegation = /^0xef0100[0-9a-f]{40}$/i;

/** Looks for contracts with the nodes of the configuration, the next one where one fails. */
export function createCodeLook(deps: { config: Pick<Config, 'chains'>; clock: Clock }): CodeLook {
  return async (network, addresses) => {
    const chain = deps.config.chains[network];
    if (chain === undefined || chain.family !== 'evm') {
      return { unchecked: 'this chain is not asked for contracts' };
    }
    const reasons: string[] = [];
    for (const endpoint of chain.rpc) {
      const answer = await lookWith(endpoint, chain, addresses, deps.clock);
      if (!('unchecked' in answer)) return answer;
      reasons.push(`${new URL(endpoint.url).host}: ${answer.unchecked}`);
    }
    return { unchecked: reasons.join('; ') };
  };
}

async function lookWith(
  endpoint: RpcEndpoint,
  chain: ChainConfig,
  addresses: readonly Address[],
  clock: Clock,
): Promise<CodeAnswer> {
  const client = createRpcClient({ endpoint, clock, sleep: systemSleep, timeoutMs: requestTimeoutMs });
  const signal = AbortSignal.timeout(lookTimeoutMs);
  try {
    const chainId = await readChainId(client, signal);
    if (chainId !== chain.chainId) return { unchecked: `a node of chain ${chainId}, not ${chain.chainId}` };
    const answers = await client.send(addresses.map(getCode), signal);
    const withCode = new Set<Address>();
    for (const [i, address] of addresses.entries()) {
      const code = resultOf(answers[i]);
      if (typeof code !== 'string' || !/^0x[0-9a-f]*$/i.test(code)) return { unchecked: 'malformed code' };
      if (code !== '0x' && !delegation.test(code)) withCode.add(address);
    }
    return { withCode };
  } catch (error) {
    if (error instanceof NodeError) return { unchecked: error.message };
    if (signal.aborted) return { unchecked: `no answer within ${lookTimeoutMs} ms` };
    throw error;
  } finally {
    await client.close();
  }
}
