import type { Clock } from '../clock.ts';
import type { Network } from '../core/networks.ts';
import type { NodeStatus } from '../core/node.ts';
import { replaceNodes } from '../storage/chains/nodes.ts';
import { inTransaction } from '../storage/database.ts';
import type { Db } from '../storage/schema.ts';

/** How old what is noted may become, ms. */
const noteEveryMs = 15_000;

/**
 * Notes how the nodes of a chain look for whoever cannot ask this process: the command `status`, and daemons that
 * follow. A change of state at once, the rest now and then.
 */
export function createNodeNotes(deps: {
  db: Db;
  network: Network;
  endpoints: () => NodeStatus[];
  clock: Clock;
}): { note(): Promise<void> } {
  const { db, network, endpoints, clock } = deps;
  let noted = '';
  let notedAt = Number.NEGATIVE_INFINITY;
  return {
    async note() {
      const nodes = endpoints();
      const states = JSON.stringify(nodes.map(({ host, state, lacks }) => [host, state, lacks]));
      const now = clock();
      if (states === noted && now - notedAt < noteEveryMs) return;
      await inTransaction(db, (trx) => replaceNodes(trx, network, nodes, now));
      noted = states;
      notedAt = now;
    },
  };
}
