import { expect, test } from 'vitest';
import type { NodeStatus } from '../../src/core/node.ts';
import { createNodeNotes } from '../../src/nodes/snapshot.ts';
import { listNodes } from '../../src/storage/chains/nodes.ts';
import { describeDatabases } from '../support/databases.ts';
import { testClock } from '../support/evm.ts';
import { createScriptedChain } from '../support/scripted-chain.ts';

describeDatabases('how nodes look is noted', (openTestDb) => {
  test('at once when a state changes, and otherwise every 15 seconds', async () => {
    const db = await openTestDb();
    const clock = testClock();
    const { source } = createScriptedChain({ network: 'bsc', clock });
    let node = source.endpoints()[0] as NodeStatus;
    const { note } = createNodeNotes({ db, network: 'bsc', endpoints: () => [node], clock });
    const noteAfter = async (ms: number, change: Partial<NodeStatus>) => {
      clock.advance(ms);
      node = { ...node, ...change };
      await note();
      return (await listNodes(db)).map(({ head, state, lacks }) => ({ head, state, lacks }));
    };
    expect(await noteAfter(0, { head: 1 })).toEqual([{ head: 1, state: 'ready', lacks: [] }]);
    expect(await noteAfter(14_999, { head: 2 })).toEqual([{ head: 1, state: 'ready', lacks: [] }]);
    expect(await noteAfter(1, {})).toEqual([{ head: 2, state: 'ready', lacks: [] }]);
    expect(await noteAfter(1, { head: 3, state: 'backoff' })).toEqual([
      { head: 3, state: 'backoff', lacks: [] },
    ]);
    expect(await noteAfter(1, { state: 'limited', lacks: ['logs'] })).toEqual([
      { head: 3, state: 'limited', lacks: ['logs'] },
    ]);
  });
});
