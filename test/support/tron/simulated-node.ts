import {
  type Answer,
  answerCall,
  type Call,
  type Reply,
  type SimulatedState,
  serveWalletApi,
} from '../../../src/demo/tron/wallet-api.ts';
import type { NodeView, ScriptedBlock } from '../scripted-chain.ts';
import type { SimulatedTronChain } from './simulated-chain.ts';

/*
 * A node of a simulated chain with forks, and what may be wrong with it.
 */

/** What is wrong with a node: another answer, the same later, or none. */
export type TronFault = (call: Call, answer: Answer) => Reply | Promise<Answer>;

export type SimulatedTronNode = {
  url: string;
  /** What it takes for its chain; may be changed at any time. */
  view: NodeView;
  /** Whether it keeps what contracts pay. */
  storesInternals: boolean;
  /** By how much `walletsolidity` trails the solid block: two in normal running, less than nothing after a restart. */
  solidityTrails: number;
  /** Its last solid block stays at this height. */
  solidStuckAt: number | null;
  /** What is wrong with it now; null: nothing. */
  fault: TronFault | null;
  /** Everything it was asked, in order. */
  calls: Call[];
  close(): Promise<void>;
};

export async function startSimulatedTronNode(
  chain: SimulatedTronChain,
  view: NodeView = 'tip',
  port = 0,
): Promise<SimulatedTronNode> {
  const server = await serveWalletApi(port, async (call, verb) => {
    node.calls.push(call);
    const honest = answerCall(stateOf(chain, node), call, verb);
    return node.fault === null ? honest : node.fault(call, honest);
  });
  const node: SimulatedTronNode = {
    ...server,
    view,
    storesInternals: true,
    solidityTrails: 0,
    solidStuckAt: null,
    fault: null,
    calls: [],
  };
  return node;
}

function stateOf(chain: SimulatedTronChain, node: SimulatedTronNode): SimulatedState {
  const branch = chain.branchOf(node.view);
  const head = branch.at(-1) as ScriptedBlock;
  const solid = Math.min(
    chain.finalizedOf(head) ?? head.height,
    node.solidStuckAt ?? Number.POSITIVE_INFINITY,
  );
  return {
    branch: branch.map(chain.simulated),
    solid,
    solidityHead: Math.max(0, solid - node.solidityTrails),
    storesInternals: node.storesInternals,
    pending: chain.pending,
  };
}
