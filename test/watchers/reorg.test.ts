import { expect, test } from 'vitest';
import { deleteAnchors, readChain } from '../../src/storage/chains/chains.ts';
import { inTransaction } from '../../src/storage/database.ts';
import { openWorld, type World } from '../support/chain-world.ts';
import { describeDecisions } from '../support/databases.ts';

async function cursorOf(world: World): Promise<number> {
  return (await stateOf(world)).cursor.height;
}

async function stateOf({ db, network }: World) {
  const state = await readChain(db, network);
  if (state === null) throw new Error('the chain was never read');
  return state;
}

describeDecisions('a reorg', (openTestDb) => {
  test('before the confirmations makes a deposit unseen again', async () => {
    const world = await openWorld(await openTestDb());
    await world.read();
    const payment = await world.create();
    world.pay(payment);
    world.mine(2);
    await world.read();
    expect(await world.deposits(payment)).toMatchObject([{ status: 'seen', role: 'counted' }]);
    world.chain.reorg({ depth: 2, place: () => null });
    expect((await world.step()).kind).toBe('reorged');
    expect(await world.deposits(payment), 'before anything is read again').toMatchObject([
      { status: 'orphaned' },
    ]);
    await world.read();
    expect(await world.deposits(payment)).toMatchObject([{ status: 'orphaned' }]);
    expect(await world.status(payment)).toEqual({ status: 'pending', reason: null });
    expect(await world.events(payment)).toEqual(['payment.detected']);
  });

  test('that mines the transaction again elsewhere keeps the deposit: one, at its new place', async () => {
    const world = await openWorld(await openTestDb());
    await world.read();
    const payment = await world.create();
    const tx = world.pay(payment);
    world.mine(1);
    await world.read();
    const [before] = await world.deposits(payment);
    world.chain.reorg({ depth: 1, blocks: 3, place: () => 2 });
    await world.read();
    const [standing] = world.chain.transfers();
    expect(await world.deposits(payment)).toMatchObject([
      {
        id: before?.id,
        txHash: tx,
        status: 'seen',
        role: 'counted',
        height: (before?.height ?? 0) + 2,
        blockHash: standing?.block.hash,
        blockTime: standing?.block.time,
        logIndex: standing?.logIndex,
      },
    ]);
    expect(standing?.logIndex).not.toBe(before?.logIndex);
  });

  test('lets confirmations be counted from the new block', async () => {
    const world = await openWorld(await openTestDb());
    await world.read();
    const payment = await world.create();
    world.pay(payment);
    world.mine(2);
    await world.read();
    world.chain.reorg({ depth: 2, blocks: 4, place: () => 2 });
    await world.read();
    expect(await world.status(payment)).toMatchObject({ status: 'pending' });
    world.mine(1);
    await world.read();
    expect(await world.status(payment)).toMatchObject({ status: 'confirmed' });
  });

  test('under a confirmed payment reverts it, and mined again it is confirmed again', async () => {
    const world = await openWorld(await openTestDb());
    await world.read();
    const payment = await world.create();
    const tx = world.pay(payment);
    world.mine(3);
    await world.read();
    expect(await world.status(payment)).toEqual({ status: 'confirmed', reason: null });
    world.chain.reorg({ depth: 3, place: () => null });
    await world.read();
    expect(await world.status(payment)).toEqual({ status: 'failed', reason: 'reorged' });
    expect(world.lines).toContainEqual(
      expect.objectContaining({
        level: 'warn',
        msg: 'confirmed payment reverted',
        payment_number: payment.paymentNumber,
      }),
    );
    world.chain.sendAgain(tx);
    world.mine(3);
    await world.read();
    expect(await world.status(payment)).toEqual({ status: 'confirmed', reason: null });
    expect(await world.events(payment)).toEqual([
      'payment.detected',
      'payment.confirmed',
      'payment.reverted',
      'payment.confirmed',
    ]);
  });

  test('waits for the transaction as long as a confirmation takes, then lets the payment expire', async () => {
    const world = await openWorld(await openTestDb(), { policy: { lifetimeSeconds: 25 } });
    await world.read();
    const payment = await world.create();
    world.pay(payment);
    world.mine(2);
    await world.read();
    const [deposit] = await world.deposits(payment);
    world.pass(10);
    world.chain.reorg({ depth: 2, blocks: 2, place: () => null });
    world.chain.mine();
    await world.read();
    // Its time is over by every clock; three blocks from the lost one on are not read yet.
    expect(await cursorOf(world)).toBe((deposit?.height ?? 0) + 2);
    expect(await world.status(payment)).toMatchObject({ status: 'pending' });
    world.mine(1);
    await world.read();
    expect(await world.status(payment)).toMatchObject({ status: 'expired' });
  });

  test('makes what is mined again after the expiry late, and not a confirmation', async () => {
    const world = await openWorld(await openTestDb());
    await world.read();
    const payment = await world.create();
    const tx = world.pay(payment);
    world.mine(1);
    await world.read();
    world.chain.reorg({ depth: 1, place: () => null });
    world.mine(10);
    await world.read();
    expect(await world.status(payment)).toEqual({ status: 'expired', reason: null });
    world.chain.sendAgain(tx);
    world.mine(5);
    await world.read();
    expect(await world.status(payment)).toEqual({ status: 'expired', reason: 'late' });
    expect(await world.deposits(payment)).toMatchObject([{ status: 'confirmed', role: 'late' }]);
    expect(await world.events(payment)).toEqual(['payment.detected', 'payment.expired', 'payment.late']);
  });

  test('makes what came late and is mined again in time count', async () => {
    const world = await openWorld(await openTestDb(), { policy: { lifetimeSeconds: 25 } });
    await world.read();
    const payment = await world.create();
    world.mine(2);
    world.pay(payment);
    world.mine(1);
    await world.read();
    expect(await world.status(payment)).toEqual({ status: 'expired', reason: 'late' });
    world.chain.reorg({ depth: 2, blocks: 4, place: () => 0 });
    await world.read();
    expect(await world.deposits(payment)).toMatchObject([{ role: 'counted', status: 'confirmed' }]);
    expect(await world.status(payment)).toEqual({ status: 'confirmed', reason: null });
  });

  test('makes what is mined again after a cancellation late', async () => {
    const world = await openWorld(await openTestDb());
    await world.read();
    const payment = await world.create();
    const tx = world.pay(payment);
    world.mine(1);
    await world.read();
    expect((await world.cancel(payment)).outcome).toBe('not_cancellable');
    world.chain.reorg({ depth: 1, place: () => null });
    await world.read();
    expect((await world.cancel(payment)).outcome).toBe('cancelled');
    world.chain.sendAgain(tx);
    world.mine(4);
    await world.read();
    expect(await world.status(payment)).toEqual({ status: 'cancelled', reason: 'late' });
    expect(await world.events(payment)).toEqual(['payment.detected', 'payment.cancelled', 'payment.late']);
  });

  test('keeps a transaction with its payment, though the address has another holder by then', async () => {
    const world = await openWorld(await openTestDb(), { addresses: 1 });
    await world.read();
    const first = await world.create();
    const tx = world.pay(first);
    world.mine(1);
    await world.read();
    world.chain.reorg({ depth: 1, place: () => null });
    world.mine(10);
    await world.read();
    const second = await world.create();
    expect(second.addressId).toBe(first.addressId);
    world.chain.sendAgain(tx);
    world.mine(4);
    await world.read();
    expect(await world.deposits(second)).toEqual([]);
    expect(await world.deposits(first)).toMatchObject([{ role: 'late', status: 'confirmed' }]);
  });

  test('of the very block where reading began is nothing special', async () => {
    const world = await openWorld(await openTestDb(), { scripted: { height: 30 } });
    await world.read();
    const payment = await world.create();
    world.chain.reorg({ depth: 3 });
    world.pay(payment);
    world.mine(3);
    await world.read();
    expect(await world.status(payment)).toMatchObject({ status: 'confirmed' });
    expect(await stateOf(world)).toMatchObject({ stoppedReason: null });
  });

  test('back to the former blocks brings a deposit back to where it was', async () => {
    const world = await openWorld(await openTestDb());
    await world.read();
    const payment = await world.create();
    world.pay(payment);
    world.mine(2);
    await world.read();
    const [before] = await world.deposits(payment);
    const former = world.chain.head();
    world.chain.reorg({ depth: 2, blocks: 3, place: () => null });
    await world.read();
    expect(await world.deposits(payment)).toMatchObject([{ status: 'orphaned' }]);
    world.chain.revive(former.hash);
    world.mine(2);
    await world.read();
    expect(await world.deposits(payment)).toEqual([{ ...before, status: 'confirmed' }]);
    expect(await world.status(payment)).toMatchObject({ status: 'confirmed' });
  });

  test('200 blocks deep is found with a few requests, and read again', async () => {
    const world = await openWorld(await openTestDb());
    await world.read();
    world.mine(300);
    await world.read();
    const before = world.chain.calls.blocksAt;
    world.chain.reorg({ depth: 200 });
    await world.read();
    expect(world.chain.calls.blocksAt - before).toBeLessThanOrEqual(15);
    expect(await stateOf(world)).toMatchObject({ cursor: world.chain.head() });
  });

  test('is found at the nearest anchor below where anchors are sparse, and what still stands is left alone', async () => {
    const world = await openWorld(await openTestDb());
    await world.read();
    const payment = await world.create();
    world.pay(payment);
    world.mine(6);
    await world.read();
    const [deposit] = await world.deposits(payment);
    const cursor = await cursorOf(world);
    const heights = Array.from({ length: 6 }, (_, i) => cursor - i);
    await inTransaction(world.db, (trx) => deleteAnchors(trx, world.network, heights));
    world.chain.reorg({ depth: 2 });
    expect((await world.step()).kind).toBe('reorged');
    expect(await cursorOf(world)).toBe((deposit?.height ?? 0) - 1);
    expect(await world.deposits(payment)).toEqual([deposit]);
    await world.read();
    expect(await world.deposits(payment)).toEqual([deposit]);
    expect(await world.events(payment)).toEqual(['payment.detected', 'payment.confirmed']);
  });
});

describeDecisions('a head that goes backwards', (openTestDb) => {
  test('changes nothing', async () => {
    const world = await openWorld(await openTestDb(), { scripted: { nodes: 1 } });
    await world.read();
    const payment = await world.create();
    world.pay(payment);
    world.mine(2);
    await world.read();
    const before = await stateOf(world);
    const node = world.chain.nodes[0];
    if (node !== undefined) node.view = { behind: 2 };
    for (let i = 0; i < 10; i++) expect((await world.step()).kind).toBe('failed');
    expect(await stateOf(world)).toEqual(before);
    expect(await world.deposits(payment)).toMatchObject([{ status: 'seen' }]);
  });

  test('of a node that is asked while a fork is examined only delays that', async () => {
    const world = await openWorld(await openTestDb());
    await world.read();
    world.mine(6);
    await world.read();
    const before = await stateOf(world);
    world.chain.reorg({ depth: 1 });
    const { blocksAt } = world.chain.source;
    const node = world.chain.nodes[0];
    world.chain.source.blocksAt = async (heights, signal) => {
      if (node !== undefined) node.view = { behind: 4 };
      return blocksAt(heights, signal).finally(() => {
        if (node !== undefined) node.view = 'tip';
      });
    };
    expect((await world.step()).kind).toBe('failed');
    expect(await stateOf(world)).toEqual(before);
    world.chain.source.blocksAt = blocksAt;
    await world.read();
    expect(await stateOf(world)).toMatchObject({ cursor: world.chain.head(), stoppedReason: null });
  });
});

describeDecisions('nodes that disagree', (openTestDb) => {
  test('about the block of the cursor are asked again later, with a pause', async () => {
    const world = await openWorld(await openTestDb(), { scripted: { nodes: 2 } });
    await world.read();
    world.mine(2);
    await world.read();
    const before = await stateOf(world);
    const stuck = world.chain.nodes[1];
    if (stuck !== undefined) stuck.view = { stuckAt: world.chain.head().hash };
    world.chain.reorg({ depth: 1 });
    const { blocksAt } = world.chain.source;
    world.chain.source.blocksAt = async (heights, signal) => {
      world.chain.prefer(1);
      return blocksAt(heights, signal).finally(() => world.chain.prefer(0));
    };
    const outcome = await world.step();
    expect(outcome).toMatchObject({ kind: 'failed' });
    expect(outcome.nextAt).toBeGreaterThan(world.clock());
    expect(await stateOf(world)).toEqual(before);
  });

  test.each(['finalized', 'depth'] as const)(
    'about a branch on which one is stuck: a final block of the others is not where the chain forked, and what lies below it is read (%s)',
    async (finality) => {
      const scripted = { nodes: 3, finalityLag: 6 };
      const world = await openWorld(await openTestDb(), { scripted, chain: { finality } });
      await world.read();
      const payment = await world.create();
      world.pay(payment);
      world.mine(4);
      const stuck = world.chain.nodes[0];
      if (stuck !== undefined) stuck.view = { stuckAt: world.chain.head().hash };
      world.chain.reorg({ depth: 4, blocks: 9, place: () => 1 });
      await world.read();
      world.pass(70);
      await world.step();
      if (stuck !== undefined) stuck.view = 'tip';
      await world.read();
      const [deposit] = await world.deposits(payment);
      expect(world.chain.at(deposit?.height ?? 0)?.hash).toBe(deposit?.blockHash);
      expect(await stateOf(world)).toMatchObject({ cursor: world.chain.head(), stoppedReason: null });
    },
  );

  test('about a deposit while a fork is examined: it is taken back when its height is read again', async () => {
    const world = await openWorld(await openTestDb(), { scripted: { nodes: 2 } });
    await world.read();
    const payment = await world.create();
    world.mine(2);
    world.pay(payment);
    world.mine(2);
    await world.read();
    expect(await world.deposits(payment)).toMatchObject([{ status: 'seen' }]);
    const stuck = world.chain.nodes[1];
    if (stuck !== undefined) stuck.view = { stuckAt: world.chain.head().hash };
    world.chain.reorg({ depth: 3, place: () => null });
    // The anchors by the node that sees the reorg, the deposits by the one that does not.
    const { blocksAt } = world.chain.source;
    let asked = 0;
    world.chain.source.blocksAt = async (heights, signal) => {
      asked += 1;
      world.chain.prefer(asked === 2 ? 1 : 0);
      return blocksAt(heights, signal).finally(() => world.chain.prefer(0));
    };
    expect((await world.step()).kind).toBe('reorged');
    expect(await world.deposits(payment)).toMatchObject([{ status: 'seen' }]);
    await world.read();
    expect(await world.deposits(payment)).toMatchObject([{ status: 'orphaned' }]);
  });
});

describeDecisions('a chain that takes back what it called final', (openTestDb) => {
  const final = { chain: { finality: 'finalized' as const }, scripted: { finalityLag: 2 } };

  test('stops, loudly, persistently, and takes no payments', async () => {
    const world = await openWorld(await openTestDb(), final);
    await world.read();
    const payment = await world.create();
    world.pay(payment);
    world.mine(5);
    await world.read();
    expect(await world.status(payment)).toMatchObject({ status: 'confirmed' });
    world.chain.reorg({ depth: 5, place: () => null });
    expect((await world.step()).kind).toBe('stopped');
    expect((await world.step()).kind).toBe('stopped');
    const fatal = world.lines.filter(({ level }) => level === 'fatal');
    expect(fatal).toMatchObject([{ msg: 'finality violated' }]);
    expect((await stateOf(world)).stoppedReason).toMatch(
      /replaced block \d+, though everything up to \d+ was final/,
    );
    expect(await world.status(payment)).toMatchObject({ status: 'confirmed' });
    expect(await world.tryCreate()).toMatchObject({ outcome: 'chain_unavailable' });
    world.restart();
    expect((await world.step()).kind).toBe('stopped');
  });

  test('stops for a deposit in a block that was final, though no anchor shows it', async () => {
    const world = await openWorld(await openTestDb(), final);
    await world.read();
    const payment = await world.create();
    world.pay(payment);
    world.mine(6);
    await world.read();
    const cursor = await cursorOf(world);
    const heights = [2, 3, 4, 5].map((depth) => cursor - depth);
    await inTransaction(world.db, (trx) => deleteAnchors(trx, world.network, heights));
    world.chain.reorg({ depth: 6, place: () => null });
    expect((await world.step()).kind).toBe('stopped');
  });

  test('goes on by itself once it agrees again', async () => {
    const world = await openWorld(await openTestDb(), { ...final, scripted: { finalityLag: 2, nodes: 2 } });
    await world.read();
    world.mine(5);
    world.pass(60);
    await world.read();
    const before = world.chain.head().hash;
    world.chain.reorg({ depth: 5 });
    expect((await world.step()).kind).toBe('stopped');
    world.chain.revive(before);
    await world.step();
    expect(await stateOf(world)).toMatchObject({ stoppedReason: null });
    expect(world.lines).toContainEqual(expect.objectContaining({ msg: 'chain resumed' }));
    expect(await world.tryCreate()).toMatchObject({ outcome: 'created' });
  });

  test('is not believed of one node while another still has the block that was final', async () => {
    const world = await openWorld(await openTestDb(), { ...final, scripted: { finalityLag: 2, nodes: 2 } });
    await world.read();
    world.mine(5);
    world.pass(60);
    await world.read();
    const honest = world.chain.nodes[1];
    if (honest !== undefined) honest.view = { stuckAt: world.chain.head().hash };
    world.chain.reorg({ depth: 5 });
    expect((await world.step()).kind).toBe('failed');
    expect(await stateOf(world)).toMatchObject({ stoppedReason: null });
    expect(world.lines.filter(({ level }) => level === 'fatal')).toEqual([]);
    // So that the other one is asked first from now on.
    const reason = expect.stringMatching(/^it has another block at \d+, which is final elsewhere$/);
    expect(world.chain.distrusted).toEqual([{ host: 'node-0', reason }]);
  });

  test.each([
    ['is down', 3],
    ['is down, of two', 2],
    ['has another block yet', 3],
  ] as const)('is not believed of one node whose second %s', async (what, nodes) => {
    const world = await openWorld(await openTestDb(), { ...final, scripted: { finalityLag: 2, nodes } });
    await world.read();
    world.mine(5);
    world.pass(60);
    await world.read();
    const [liar, ...others] = world.chain.nodes;
    const before = world.chain.head();
    const stop = () => world.lines.filter(({ msg }) => msg === 'finality violated');
    if (what === 'has another block yet') {
      world.chain.reorg({ depth: 5 });
      const [second, third] = others;
      if (second !== undefined) second.view = { stuckAt: world.chain.head().hash };
      if (third !== undefined) third.up = false;
      world.chain.revive(before.hash);
      world.chain.reorg({ depth: 5 });
    } else {
      world.chain.reorg({ depth: 5 });
      for (const other of others) other.up = false;
    }
    expect(liar?.up).toBe(true);
    expect((await world.step()).kind).toBe('failed');
    world.pass(59);
    expect((await world.step()).kind).toBe('failed');
    world.pass(2);
    const { kind } = await world.step();
    if (what === 'has another block yet') {
      // However long, as long as another node speaks and does not say the same.
      world.pass(600);
      expect([kind, (await world.step()).kind, stop()]).toEqual(['failed', 'failed', []]);
      return;
    }
    // For a minute nobody contradicts it: an operator has to look, and the payments of this chain wait.
    expect([kind, stop()]).toMatchObject(['stopped', [{ reason: expect.stringContaining('node-0 alone') }]]);
    // It was a lie: where the others are back, the chain goes on by itself.
    world.chain.revive(before.hash);
    for (const other of others) other.up = true;
    world.mine();
    await world.read();
    await world.read();
    expect(await stateOf(world)).toMatchObject({ stoppedReason: null, cursor: world.chain.head() });
  });

  test('nor is a node without any block of ours, where nothing is final yet', async () => {
    const world = await openWorld(await openTestDb(), { scripted: { nodes: 2, height: 30 } });
    await world.read();
    world.mine(5);
    await world.read();
    const honest = world.chain.nodes[1];
    if (honest !== undefined) honest.view = { stuckAt: world.chain.head().hash };
    world.chain.reorg({ depth: 35 });
    expect((await world.step()).kind).toBe('failed');
    expect(await stateOf(world)).toMatchObject({ stoppedReason: null });
    const reason = expect.stringMatching(/^it has another block at \d+, which was read elsewhere$/);
    expect(world.chain.distrusted).toEqual([{ host: 'node-0', reason }]);
  });

  test('does not hold up another chain', async () => {
    const db = await openTestDb();
    const world = await openWorld(db, final);
    await world.read();
    world.mine(5);
    await world.read();
    world.chain.reorg({ depth: 5 });
    expect((await world.step()).kind).toBe('stopped');
    const ethereum = await openWorld(db, { network: 'ethereum' });
    await ethereum.read();
    const payment = await ethereum.create();
    ethereum.pay(payment);
    ethereum.mine(3);
    await ethereum.read();
    expect(await ethereum.status(payment)).toMatchObject({ status: 'confirmed' });
  });

  test('does not stop for a fork above what is final', async () => {
    const world = await openWorld(await openTestDb(), final);
    await world.read();
    world.mine(5);
    await world.read();
    world.chain.reorg({ depth: 2 });
    await world.read();
    expect(await stateOf(world)).toMatchObject({ stoppedReason: null, cursor: world.chain.head() });
  });
});

describeDecisions('a deposit', (openTestDb) => {
  test('is confirmed at the required confirmations and not one block earlier', async () => {
    const world = await openWorld(await openTestDb());
    await world.read();
    const payment = await world.create();
    world.pay(payment);
    world.mine(2);
    await world.read();
    expect(await world.status(payment)).toMatchObject({ status: 'pending' });
    world.mine(1);
    await world.read();
    expect(await world.status(payment)).toMatchObject({ status: 'confirmed' });
  });

  test("also waits for the chain's finality where that is asked for", async () => {
    const world = await openWorld(await openTestDb(), {
      chain: { finality: 'finalized' },
      scripted: { finalityLag: 6 },
    });
    await world.read();
    const payment = await world.create();
    world.pay(payment);
    world.mine(6);
    await world.read();
    expect(await world.status(payment)).toMatchObject({ status: 'pending' });
    world.mine(1);
    await world.read();
    expect(await world.status(payment)).toMatchObject({ status: 'confirmed' });
  });

  test('is not confirmed by a node that has its transaction in another block', async () => {
    const world = await openWorld(await openTestDb(), { scripted: { nodes: 2 } });
    await world.read();
    const payment = await world.create();
    world.pay(payment);
    world.mine(1);
    const first = world.chain.head();
    world.mine(3);
    const old = world.chain.nodes[0];
    if (old !== undefined) old.view = { stuckAt: world.chain.head().hash };
    world.chain.reorg({ depth: 4, blocks: 8, place: () => 1 });
    await world.read();
    expect(await world.deposits(payment)).toMatchObject([{ status: 'seen', blockHash: first.hash }]);
    world.chain.prefer(1);
    if (old !== undefined) old.view = 'tip';
    world.pass(5);
    await world.read();
    expect(await world.deposits(payment)).toMatchObject([{ status: 'confirmed' }]);
    expect(await world.events(payment)).toEqual(['payment.detected', 'payment.confirmed']);
  });

  test('is not confirmed while no node can show its transaction, and reading goes on meanwhile', async () => {
    const world = await openWorld(await openTestDb());
    await world.read();
    const payment = await world.create();
    world.pay(payment);
    world.mine(3);
    const { inclusionsOfEach } = world.chain.source;
    const node = world.chain.nodes[0];
    world.chain.source.inclusionsOfEach = async (queries, signal) => {
      if (node !== undefined) node.up = false;
      return inclusionsOfEach(queries, signal).finally(() => {
        if (node !== undefined) node.up = true;
      });
    };
    for (let i = 0; i < 5; i++) {
      await world.read();
      world.mine(1);
    }
    await world.read();
    expect(await cursorOf(world)).toBe(world.chain.head().height);
    expect(await world.status(payment)).toMatchObject({ status: 'pending' });
    world.chain.source.inclusionsOfEach = inclusionsOfEach;
    world.pass(5);
    await world.read();
    expect(await world.status(payment)).toMatchObject({ status: 'confirmed' });
  });

  test('that came late is not counted by a confirmation that did not need it', async () => {
    const world = await openWorld(await openTestDb(), { policy: { lifetimeSeconds: 25 } });
    await world.read();
    const payment = await world.create();
    const node = world.chain.nodes[0];
    if (node !== undefined) node.knowsTransactions = false;
    world.pay(payment);
    world.mine(2);
    world.pay(payment);
    world.mine(4);
    await world.read();
    if (node !== undefined) node.knowsTransactions = true;
    world.pass(5);
    await world.read();
    expect(await world.status(payment)).toEqual({ status: 'confirmed', reason: 'late' });
    expect(await world.deposits(payment)).toMatchObject([
      { status: 'confirmed', role: 'counted' },
      { status: 'confirmed', role: 'late' },
    ]);
  });

  test('that one node does not know yet does not hold up another', async () => {
    const world = await openWorld(await openTestDb());
    await world.read();
    const [first, second] = [await world.create(), await world.create()];
    const unknown = world.pay(first);
    world.pay(second);
    world.mine(3);
    const { inclusionsOfEach } = world.chain.source;
    world.chain.source.inclusionsOfEach = async (queries, signal) => {
      const all = await inclusionsOfEach(queries, signal);
      for (const query of queries) {
        if (query.txHash !== unknown) continue;
        for (const answer of all)
          if (answer.kind === 'answered') answer.value.set(query, { kind: 'unknown', reason: 'not indexed' });
      }
      return all;
    };
    await world.read();
    expect(await world.status(first)).toMatchObject({ status: 'pending' });
    expect(await world.status(second)).toMatchObject({ status: 'confirmed' });
  });
});

describeDecisions('an outage longer than the life of a payment', (openTestDb) => {
  test('expires nobody who paid in time', async () => {
    const world = await openWorld(await openTestDb());
    await world.read();
    const paid = await world.create();
    const unpaid = await world.create();
    const node = world.chain.nodes[0];
    if (node !== undefined) node.up = false;
    world.pay(paid);
    world.mine(30);
    await world.read();
    expect(await world.status(paid)).toMatchObject({ status: 'pending' });
    expect(await world.status(unpaid)).toMatchObject({ status: 'pending' });
    if (node !== undefined) node.up = true;
    world.restart();
    await world.read();
    expect(await world.status(paid)).toEqual({ status: 'confirmed', reason: null });
    expect(await world.status(unpaid)).toEqual({ status: 'expired', reason: null });
  });
});
