import type { Db } from '../../../src/storage/schema.ts';
import { createTronSource } from '../../../src/watchers/tron/source.ts';
import { endpointOf } from '../evm.ts';
import { type History, type Model, openModel } from '../model-history.ts';
import type { ScriptedNode } from '../scripted-chain.ts';
import type { SimulatedTronChain } from './simulated-chain.ts';
import { type SimulatedTronNode, startSimulatedTronNode, type TronFault } from './simulated-node.ts';

export type TronModel = Model & {
  servers: SimulatedTronNode[];
  /** What is wrong with each of the servers, besides what befalls its node. */
  ills: (TronFault | null)[];
  close(): Promise<void>;
};

/** A model whose watcher reads simulated TRON nodes over HTTP: what befalls the nodes of its chain befalls these. */
export async function openTronModel(db: Db, history: Omit<History, 'actions'>): Promise<TronModel> {
  const servers: SimulatedTronNode[] = [];
  const ills: (TronFault | null)[] = [];
  const model = await openModel(db, history, {
    network: 'tron',
    openSource: (_, { chain, clock, log }) => {
      const rpc = servers.map(({ url }) => endpointOf(url));
      return createTronSource({ chain: { ...chain, rpc }, clock, log, timeoutMs: 3_000 });
    },
    serve: async (world) => {
      const chain = world.chain as SimulatedTronChain;
      for (const [i, node] of chain.nodes.entries())
        servers.push(await follow(chain, node, () => ills[i] ?? null));
      // Now that there are nodes.
      world.restart();
    },
  });
  return Object.assign(model, {
    servers,
    ills,
    close: async () => {
      await model.world.close();
      await Promise.all(servers.map((server) => server.close()));
    },
  });
}

/** A server for a node of the chain: down where that is down, and without a word on transactions where that has none. */
async function follow(
  chain: SimulatedTronChain,
  node: ScriptedNode,
  ill: () => TronFault | null,
): Promise<SimulatedTronNode> {
  const server = await startSimulatedTronNode(chain);
  Object.defineProperty(server, 'view', { get: () => node.view });
  server.fault = (call, answer) => {
    const { method, view } = call;
    if (!node.up) return 'cut';
    const fault = ill();
    if (fault !== null) return fault(call, answer);
    const looks = view === 'walletsolidity' && method === 'gettransactioninfobyblocknum';
    return looks && !node.knowsTransactions ? { ...answer, status: 503, text: '' } : answer;
  };
  return server;
}
