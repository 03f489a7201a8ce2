import type { Clock } from '../../clock.ts';
import type { ChainConfig, RpcEndpoint } from '../../config.ts';
import type { Address } from '../../core/address.ts';
import { systemSleep } from '../../loop.ts';
import { createRpcClient } from '../../nodes/json-rpc.ts';
import type { CountCall } from '../../nodes/usage.ts';
import type { CodeAnswer } from '../../pool/contracts.ts';
import { getCode } from './calls.ts';
import { readChainId, resultOf } from './preflight.ts';

/** For each request, ms. */
const requestTimeoutMs = 5_000;

/** An account that lets a contract act for it (EIP-7702) still has its key: `0xef0100` and an address. */
const delegation = /^0xef0100[0-9a-f]{40}$/i;

/** Which of these addresses have code. */
export async function readCodes(
  endpoint: RpcEndpoint,
  chain: ChainConfig,
  addresses: readonly Address[],
  { signal, ...asking }: { clock: Clock; signal: AbortSignal; count?: CountCall },
): Promise<CodeAnswer> {
  const client = createRpcClient({ endpoint, ...asking, sleep: systemSleep, timeoutMs: requestTimeoutMs });
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
  } finally {
    await client.close();
  }
}
