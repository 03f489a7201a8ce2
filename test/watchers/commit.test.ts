import { expect, test } from 'vitest';
import type { BlockHash, BlockRef } from '../../src/core/chain.ts';
import { listAnchors, readChain } from '../../src/storage/chains/chains.ts';
import { inTransaction } from '../../src/storage/database.ts';
import { listEvents } from '../../src/storage/webhooks/events.ts';
import { commitSpan } from '../../src/watchers/commit.ts';
import { evmKey } from '../support/addresses.ts';
import { openWorld } from '../support/chain-world.ts';
import { describeDecisions } from '../support/databases.ts';

describeDecisions('a span', (openTestDb) => {
  test('with many late transfers to one payment tells of them once, and of each that is unmatched', async () => {
    const world = await openWorld(await openTestDb());
    await world.read();
    const payment = await world.create();
    world.mine(10);
    await world.read();
    const stranger = { ...world.transferTo(payment), recipient: evmKey(2) };
    for (let i = 0; i < 5; i++) world.chain.send(world.transferTo(payment, 1), stranger);
    world.mine(1);
    await world.read();
    expect(await world.events(payment)).toEqual(['payment.expired', 'payment.late']);
    expect((await world.view(payment)).deposits.total).toBe(5);
    const events = await listEvents(world.db, world.merchantId, 0, 100);
    expect(events.filter(({ type }) => type === 'deposit.unmatched')).toHaveLength(5);
  });

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
    const answered = { at: clock(), steadyAt: clock() };
    const context = { chain: chainConfig, latePolicy: 'flag', now: clock() } as const;
    await inTransaction(db, (trx) =>
      commitSpan(
        trx,
        cursor,
        {
          ...span,
          anchors: blocks,
          native: false,
          vanished: [],
          answered,
          news: 'appeared' as const,
          readTime: to.time,
        },
        context,
      ),
    );
    const anchors = await listAnchors(db, network);
    expect(anchors[0]).toEqual(to);
    expect(anchors.length).toBeLessThan(250);
  });

  test('says when the answer came, not when it was written', async () => {
    const { db, network, chainConfig, clock, pass, mine, read, chain } = await openWorld(await openTestDb());
    await read();
    mine();
    const answered = { at: clock(), steadyAt: clock() - 7 };
    pass(40);
    const { cursor } = (await readChain(db, network)) ?? {};
    if (cursor === undefined) throw new Error('the chain was not read');
    const to = chain.head();
    const shown = {
      host: 'node-0',
      to,
      head: to,
      finalizedHeight: null,
      transfers: [],
      untraced: [],
      anchors: [],
    };
    const span = {
      ...shown,
      native: false,
      vanished: [],
      answered,
      news: 'appeared' as const,
      readTime: to.time,
    };
    const context = { chain: chainConfig, latePolicy: 'flag', now: clock() } as const;
    await inTransaction(db, (trx) => commitSpan(trx, cursor, span, context));
    expect(await readChain(db, network)).toMatchObject({
      readAt: answered.at,
      time: { head: to, shownAt: answered.steadyAt },
    });
  });
});
