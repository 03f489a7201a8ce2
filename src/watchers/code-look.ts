import type { Clock } from '../clock.ts';
import type { ChainConfig, Config, RpcEndpoint } from '../config.ts';
import type { Address } from '../core/address.ts';
import type { Network } from '../core/networks.ts';
import { NodeError } from '../nodes/fault.ts';
import type { CountCall, UsageMeter } from '../nodes/usage.ts';
import type { CodeAnswer, CodeLook } from '../pool/contracts.ts';
import { readCodes } from './evm/code-check.ts';
import { readContracts } from './tron/code-check.ts';

/** For one look at up to some hundred addresses, ms. */
const lookTimeoutMs = 20_000;

/** Looks for contracts with the nodes of the configuration, the next one where one fails. */
export function createCodeLook(deps: {
  config: Pick<Config, 'chains'>;
  clock: Clock;
  meterOf?: (network: Network) => UsageMeter | undefined;
}): CodeLook {
  return async (network, addresses) => {
    const chain = deps.config.chains[network];
    if (chain === undefined) return { unchecked: 'this chain is not asked for contracts' };
    const reasons: string[] = [];
    for (const endpoint of chain.rpc) {
      const count = deps.meterOf?.(network)?.counterOf(new URL(endpoint.url).host);
      const counting = count === undefined ? {} : { count };
      const answer = await lookWith(endpoint, chain, addresses, { clock: deps.clock, ...counting });
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
  looking: { clock: Clock; count?: CountCall },
): Promise<CodeAnswer> {
  const signal = AbortSignal.timeout(lookTimeoutMs);
  const read = chain.family === 'tron' ? readContracts : readCodes;
  try {
    return await read(endpoint, chain, addresses, { ...looking, signal });
  } catch (error) {
    if (error instanceof NodeError) return { unchecked: error.message };
    if (signal.aborted) return { unchecked: `no answer within ${lookTimeoutMs} ms` };
    throw error;
  }
}
