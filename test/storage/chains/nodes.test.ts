import { expect, test } from 'vitest';
import type { NodeStatus } from '../../../src/core/node.ts';
import { listNodes, replaceNodes } from '../../../src/storage/chains/nodes.ts';
import { inTransaction } from '../../../src/storage/database.ts';
import { describeDatabases } from '../../support/databases.ts';

const node: NodeStatus = {
  host: 'one.example',
  preferred: true,
  state: 'limited',
  head: 1000,
  finalized: 990,
  lag: 3,
  answeredAt: 1_800_000_000_000,
  lacks: ['logs', 'receipts'],
  limits: { blocksPerQuery: 50, callsPerRequest: 2, recipientFilter: false },
  latencyMs: 12,
  backoffUntil: 1_800_000_000_500,
  lastError: 'it serves no logs: limit exceeded',
  asked: 7,
  failed: 2,
};

const unasked: NodeStatus = {
  host: 'two.example',
  preferred: false,
  state: 'ready',
  head: null,
  finalized: null,
  lag: null,
  answeredAt: null,
  lacks: [],
  limits: null,
  latencyMs: null,
  backoffUntil: null,
  lastError: null,
  asked: 0,
  failed: 0,
};

describeDatabases('the nodes of a chain', (openTestDb) => {
  test('are read as they were noted, in the order of preference', async () => {
    const db = await openTestDb();
    await inTransaction(db, (trx) => replaceNodes(trx, 'bsc', [node, unasked], 5));
    expect(await listNodes(db)).toEqual([
      { network: 'bsc', notedAt: 5, ...node },
      { network: 'bsc', notedAt: 5, ...unasked },
    ]);
  });

  test('are replaced by the next note, which leaves those of other chains', async () => {
    const db = await openTestDb();
    await inTransaction(db, async (trx) => {
      await replaceNodes(trx, 'bsc', [node, unasked], 5);
      await replaceNodes(trx, 'ethereum', [node], 5);
      await replaceNodes(trx, 'bsc', [{ ...unasked, preferred: true }], 6);
    });
    const noted = await listNodes(db);
    expect(noted.map(({ network, host, notedAt }) => [network, host, notedAt])).toEqual([
      ['bsc', 'two.example', 6],
      ['ethereum', 'one.example', 5],
    ]);
    await inTransaction(db, (trx) => replaceNodes(trx, 'bsc', [], 7));
    expect((await listNodes(db)).map(({ network }) => network)).toEqual(['ethereum']);
  });
});
