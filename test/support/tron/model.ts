import type { Db } from '../../../src/storage/schema.ts';
import { createTronSource } from '../../../src/watchers/tron/source.ts';
import { endpointOf } from '../evm.ts';
import { type History, type Model, openModel } from '../model-history.ts';
import type { ScriptedNode } from '../scripted-chain.ts';
import type { SimulatedTronChain } from './simulated-chain.ts';
import { type SimulatedTronNode, startSimulatedTronNode } from './simulated-node.ts';

/** A model whose watcher reads simulated TRON nodes over HTTP: what befalls the nodes of its chain befalls these. */
export async function openTronModel(
  db: Db,
  history: Omit<History, 'actions'>,
): Promise<Model & { close(): Promise<void> }> {
  const servers: SimulatedTronNode[] = [];
  const model = await openModel(db, history, {
    network: 'tron',
    openSource: (_, { chain, clock, log }) => {
      const rpc = servers.map(({ url }) => endpointOf(url));
      return createTronSource({ chain: { ...chain, rpc }, clock, log, timeoutMs: 3_000 });
    },
    serve: async (world) => {
      const chain = world.chain as SimulatedTronChain;
      for (const node of chain.nodes) servers.push(await follow(chain, node));
      // Now that there are nodes.
      world.restart();
    },
  });
  return Object.assign(model, {
    close: async () => {
      await model.world.close();
      await Promise.all(servers.map((server) => server.close()));
    },
  });
}

/** A server for a node of the chain: down where that is down, and without a word on transactions where that has none. */
async function follow(chain: SimulatedTronChain, node: ScriptedNode): Promise<SimulatedTronNode> {
  const server = await startSimulatedTronNode(chain);
  Object.defineProperty(server, 'view', { get: () => node.view });
  server.fault = ({ method, view }, answer) => {
    if (!node.up) return 'cut';
    const looks = view === 'walletsolidity' && method === 'gettransactioninfobyblocknum';
    return looks && !node.knowsTransactions ? { ...answer, status: 503, text: '' } : answer;
  };
  return server;
}
