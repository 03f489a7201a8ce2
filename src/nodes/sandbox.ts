import type { Clock } from '../clock.ts';
import type { ChainConfig } from '../config.ts';
import type { Network } from '../core/networks.ts';
import { CommandError } from '../errors.ts';
import { systemSleep } from '../loop.ts';
import { createRpcClient } from './json-rpc.ts';
import { createWalletApi } from './wallet-api.ts';

/** How long a node may take, ms. */
const patienceMs = 10_000;

export type SandboxNodes = {
  /**
   * Asks the first node of a chain for something that only a node of a sandbox does: a JSON-RPC method of an EVM node, or
   * one of a simulated TRON, which takes one object.
   *
   * @throws CommandError when it refuses.
   */
  ask(chain: ChainConfig, method: string, params: readonly unknown[]): Promise<unknown>;
  close(): Promise<void>;
};

type Client = {
  ask(method: string, params: readonly unknown[], signal: AbortSignal): Promise<unknown>;
  close(): Promise<void>;
};

/** The nodes of a sandbox, for its wallet. */
export function createSandboxNodes(chains: readonly ChainConfig[], clock: Clock): SandboxNodes {
  const clients = new Map<Network, Client>();
  for (const chain of chains) {
    const client = createClient(chain, clock);
    if (client !== null) clients.set(chain.network, client);
  }
  return {
    async ask({ network }, method, params) {
      try {
        return await clients.get(network)?.ask(method, params, AbortSignal.timeout(patienceMs));
      } catch (error) {
        throw new CommandError(`the node refused ${method}`, { cause: error });
      }
    },
    async close() {
      await Promise.all([...clients.values()].map((client) => client.close()));
    },
  };
}

function createClient({ family, rpc }: ChainConfig, clock: Clock): Client | null {
  const [endpoint] = rpc;
  if (endpoint === undefined) return null;
  const options = { endpoint, clock, sleep: systemSleep };
  if (family === 'tron') {
    const api = createWalletApi(options);
    return {
      ask: (method, [body = {}], signal) => api.call('simulated', method, body as object, signal),
      close: api.close,
    };
  }
  const client = createRpcClient(options);
  return {
    async ask(method, params, signal) {
      const [answer] = await client.send([{ method, params }], signal);
      if (answer === undefined || 'error' in answer) throw answer?.error ?? new Error('no answer');
      return answer.result;
    },
    close: client.close,
  };
}
