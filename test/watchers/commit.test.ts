import { expect, test } from 'vitest';
import type { BlockHash, BlockRef } from '../../src/core/chain.ts';
import { listAnchors, readChain } from '../../src/storage/chains.ts';
import { inTransaction } from '../../src/storage/database.ts';
import { commitSpan } from '../../src/watchers/commit.ts';
import { openWorld } from '../support/chain-world.ts';
import { describeDatabases } from '../support/databases.ts';

describeDatabases('a span', (openTestDb) => {
  test('in which every one of ten thousand blocks was shown is written, and leaves few anchors', async () => {
    const { db, network, chainConfig, clock, read } = await openWorld(await openTestDb());
    await read();
    const before = await readChain(db, network);
    if (before === null) throw new Error('the chain was not read');
    const { cursor } = before;
    const blocks = Array.from({ length: 10_000 }, (_, i): BlockRef => {
      const height = cursor.height + 1 + i;
      return { height, hash: `0x${height.toString(16).padStart(64, '0')}` as BlockHash, time: cursor.time };
    });
    const to = blocks.at(-1) ?? cursor;
    const span = { host: 'node-0', to, head: to, finalizedHeight: null, transfers: [], untraced: [] };
    const context = { chain: chainConfig, latePolicy: 'flag', publicUrl: '', now: clock() } as const;
    await inTransaction(db, (trx) =>
      commitSpan(trx, cursor, { ...span, anchors: blocks, native: false, vanished: [] }, context),
    );
    const anchors = await listAnchors(db, network);
    expect(anchors[0]).toEqual(to);
    expect(anchors.length).toBeLessThan(250);
  });
});
