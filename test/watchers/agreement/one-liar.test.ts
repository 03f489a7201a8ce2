import { expect, test } from 'vitest';
import type { Transfer } from '../../../src/core/chain.ts';
import type { Deposit, OnchainPayment } from '../../../src/core/payment.ts';
import { readChain } from '../../../src/storage/chains/chains.ts';
import { inTransaction } from '../../../src/storage/database.ts';
import { type CommitContext, commitSpan } from '../../../src/watchers/commit.ts';
import { rescan } from '../../../src/watchers/recheck/rescan.ts';
import { commitFork } from '../../../src/watchers/reorg.ts';
import { createWatchlist } from '../../../src/watchers/watchlist.ts';
import { evmKey } from '../../support/addresses.ts';
import { openWorld, type World } from '../../support/chain-world.ts';
import { describeDecisions } from '../../support/databases.ts';
import { silentLog } from '../../support/log.ts';
import { txHash } from '../../support/payments.ts';
import type { ScriptedNode } from '../../support/scripted-chain.ts';

/*
 * Facts that one node's word decided once, and that cost or made money: one liar among two or three nodes, or a list
 * that had grown old.
 */

const minute = 60;

function node({ chain }: World, n: number): ScriptedNode {
  const found = chain.nodes[n];
  if (found === undefined) throw new Error(`no node ${n}`);
  return found;
}

async function live(world: World, seconds: number): Promise<void> {
  for (let passed = 0; passed < seconds; passed += 10) {
    world.pass(10);
    await world.step();
  }
}

function rescanOf(world: World, to: number) {
  const { db, chainConfig: chain, clock, policy } = world;
  const { source } = world.chain;
  const watch = createWatchlist('evm');
  const deps = { db, chain, source, watch, latePolicy: policy.late, clock, log: silentLog };
  const { signal } = new AbortController();
  return rescan(deps, { from: 1, to, native: false, signal, progress: () => {} });
}

function invented({ chain, network }: World, { token, currency, expectedAmount }: OnchainPayment): Transfer {
  const block = chain.at(chain.head().height - 4);
  if (block === null) throw new Error('no such block');
  const recipient = evmKey(1);
  return {
    network,
    txHash: txHash(666),
    token,
    currency,
    recipient,
    ordinal: 0,
    amount: expectedAmount,
    block,
    logIndex: 99,
  };
}

describeDecisions('S1: a rescan', (openTestDb) => {
  test.each([2, 3])(
    'by the preferred of %i nodes, which invents a transfer, confirms nothing, then or later',
    async (nodes) => {
      const world = await openWorld(await openTestDb(), { scripted: { nodes } });
      world.chain.prefer(1);
      await world.read();
      const payment = await world.create();
      world.mine(6);
      await world.read();
      world.chain.prefer(0);
      node(world, 0).invents.push(invented(world, payment));
      const report = await rescanOf(world, world.chain.head().height);
      expect(report).toMatchObject({ found: [{ txHash: txHash(666) }], payments: [] });
      expect(await world.status(payment)).toMatchObject({ status: 'pending' });
      for (let rechecks = 0; rechecks < 2; rechecks++) {
        world.mine(10);
        await live(world, 5 * minute);
        await world.recheck();
      }
      expect((await world.events(payment)).includes('payment.confirmed')).toBe(false);
      expect(await world.deposits(payment)).not.toMatchObject([{ status: 'confirmed' }]);
    },
  );
});

describeDecisions('S1: a wrong time of one node of three', (openTestDb) => {
  /** A customer who pays after so many seconds; the preferred node moves the time of that block. */
  async function openPaid({ afterSeconds, wrongBy }: { afterSeconds: number; wrongBy: number }) {
    const world = await openWorld(await openTestDb(), { scripted: { nodes: 3 } });
    await world.read();
    const payment = await world.create();
    world.pass(afterSeconds);
    world.pay(payment);
    world.mine(1);
    const paying = world.chain.head();
    node(world, 0).times.set(paying.hash, paying.time + wrongBy);
    return { world, payment, paying };
  }

  async function depositOf(world: World, payment: OnchainPayment): Promise<Deposit> {
    const [deposit] = await world.deposits(payment);
    if (deposit === undefined) throw new Error('nothing was paid');
    return deposit;
  }

  test('for the block that pays in time costs nobody the payment', async () => {
    const { world, payment, paying } = await openPaid({ afterSeconds: 10, wrongBy: 600 });
    await world.read();
    expect(await world.deposits(payment), 'no other node has such a head').toEqual([]);
    world.mine(1);
    await world.read();
    expect(await depositOf(world, payment)).toMatchObject({ role: 'late', status: 'seen' });
    world.mine(2);
    await world.read();
    expect(await depositOf(world, payment)).toMatchObject({
      role: 'counted',
      status: 'confirmed',
      blockTime: paying.time,
    });
    expect(await world.status(payment)).toEqual({ status: 'confirmed', reason: null });
  });

  test('for a block that is read at once does not set the time of a lock', async () => {
    const { world, paying } = await openPaid({ afterSeconds: 10, wrongBy: 600 });
    const { poll } = world.chain.source;
    // As a node is read whose latest block is the next one.
    world.chain.source.poll = (request) => poll({ ...request, head: world.chain.head() });
    await world.step();
    const state = await readChain(world.db, world.network);
    expect(state?.cursor.hash).toBe(paying.hash);
    const { lockChainTime } = await world.create();
    expect(lockChainTime).toBe(paying.time * 1000);
  });

  test('is made good even after the payment has expired because of it', async () => {
    const { world, payment } = await openPaid({ afterSeconds: 10, wrongBy: 600 });
    for (const other of [1, 2]) node(world, other).up = false;
    world.mine(8);
    await world.read();
    expect(await world.status(payment)).toMatchObject({ status: 'expired' });
    for (const other of [1, 2]) node(world, other).up = true;
    await live(world, 20);
    expect(await world.status(payment)).toEqual({ status: 'confirmed', reason: null });
    expect(await world.events(payment)).toEqual(['payment.expired', 'payment.late', 'payment.confirmed']);
  });

  test.each([
    ['of three', 3],
    ['of two', 2],
  ])(
    'for a block up to which is read after an outage, by one %s, ends nothing that is paid in a later one',
    async (_, nodes) => {
      const world = await openWorld(await openTestDb(), { scripted: { nodes, maxRange: 3 } });
      await world.read();
      const payment = await world.create();
      world.mine(4);
      world.pay(payment);
      world.mine(30);
      const at = world.chain.at(world.chain.head().height - 31);
      if (at === null) throw new Error('no such block');
      node(world, 0).times.set(at.hash, at.time + 3_600);
      for (let steps = 0; steps < 2; steps++) await world.step();
      const { cursor } = (await readChain(world.db, world.network)) ?? {};
      expect(cursor?.hash).toBe(at.hash);
      expect(cursor?.time).toBeLessThanOrEqual(at.time);
      expect(await world.status(payment)).toEqual({ status: 'pending', reason: null });
      await world.read();
      expect(await world.status(payment)).toEqual({ status: 'confirmed', reason: null });
      // One that nobody pays expires all the same, as soon as its time is over.
      const unpaid = await world.create();
      world.mine(30);
      for (const { times } of world.chain.nodes) times.clear();
      for (let steps = 0; steps < 4; steps++) await world.step();
      expect((await readChain(world.db, world.network))?.head.height).toBe(world.chain.head().height);
      expect(await world.status(unpaid)).toEqual({ status: 'expired', reason: null });
    },
  );

  /** The preferred node says that its newest blocks, all but its head, were made an hour later. */
  function lieAbout(world: World, blocks: number): void {
    for (let depth = 1; depth < blocks; depth++) {
      const block = world.chain.at(world.chain.head().height - depth);
      if (block !== null) node(world, 0).times.set(block.hash, block.time + 3_600);
    }
  }

  test.each([2, 3])(
    'of %i that was taken while nothing ended by it ends nothing once an outage has lasted longer',
    async (nodes) => {
      const world = await openWorld(await openTestDb(), { scripted: { nodes, maxRange: 3 } });
      await world.read();
      world.mine(5);
      lieAbout(world, 5);
      for (let steps = 0; steps < 2; steps++) await world.step();
      const { cursor, head } = (await readChain(world.db, world.network)) ?? {};
      expect([head, cursor?.height]).toEqual([world.chain.head(), world.chain.head().height - 2]);
      const payment = await world.create();
      world.mine(1);
      world.pay(payment);
      world.mine(1);
      const paying = world.chain.head();
      world.mine(30);
      lieAbout(world, 33);
      node(world, 0).times.delete(paying.hash);
      world.chain.prefer(0);
      await world.step();
      expect(await world.deposits(payment)).toEqual([]);
      expect(await world.status(payment)).toEqual({ status: 'pending', reason: null });
      await world.read();
      expect(await world.status(payment)).toEqual({ status: 'confirmed', reason: null });
    },
  );

  test('for a block that pays too late confirms nothing', async () => {
    const { world, payment, paying } = await openPaid({ afterSeconds: 100, wrongBy: -70 });
    await world.read();
    expect(await depositOf(world, payment)).toMatchObject({ role: 'counted', status: 'seen' });
    world.mine(8);
    await world.read();
    expect(await depositOf(world, payment)).toMatchObject({
      role: 'late',
      status: 'confirmed',
      blockTime: paying.time,
    });
    expect(await world.status(payment)).toEqual({ status: 'expired', reason: 'late' });
  });

  test('is no reason to confirm where only two are configured: they have to agree first', async () => {
    const world = await openWorld(await openTestDb(), { scripted: { nodes: 2 } });
    await world.read();
    const payment = await world.create();
    world.pay(payment);
    world.mine(1);
    const paying = world.chain.head();
    node(world, 0).times.set(paying.hash, paying.time + 600);
    world.mine(4);
    await world.read();
    await live(world, 5 * minute);
    expect(await depositOf(world, payment)).toMatchObject({ status: 'seen' });
    node(world, 0).times.clear();
    await live(world, 2 * minute);
    expect(await world.status(payment)).toEqual({ status: 'confirmed', reason: null });
  });
});

describeDecisions('S1: what was decided before a pause', (openTestDb) => {
  /** A payment whose deposit is deep enough, seen, and denied by all but the node that reported it. */
  async function openDenied() {
    const world = await openWorld(await openTestDb(), { scripted: { nodes: 3 } });
    await world.read();
    const payment = await world.create();
    const tx = world.pay(payment);
    for (const other of [1, 2]) node(world, other).denies.add(tx);
    world.mine(5);
    await world.read();
    expect(await world.deposits(payment)).toMatchObject([{ status: 'seen' }]);
    return { world, payment, tx };
  }

  test('takes nothing back in a second reading that was confirmed meanwhile', async () => {
    const { world, payment, tx } = await openDenied();
    node(world, 1).hides.add(tx);
    const { inclusionsOfEach } = world.chain.source;
    world.chain.source.inclusionsOfEach = async (...asked) => {
      world.chain.source.inclusionsOfEach = inclusionsOfEach;
      const answers = await inclusionsOfEach(...asked);
      for (const other of [1, 2]) node(world, other).denies.clear();
      await live(world, 2 * minute);
      expect(await world.status(payment)).toEqual({ status: 'confirmed', reason: null });
      return answers;
    };
    await world.recheck();
    expect(await world.status(payment)).toEqual({ status: 'confirmed', reason: null });
    expect(await world.deposits(payment)).toMatchObject([{ status: 'confirmed' }]);
    expect((await world.events(payment)).includes('payment.reverted')).toBe(false);
  });

  test('takes nothing back with a fork, or with a span, that was confirmed meanwhile', async () => {
    const world = await openWorld(await openTestDb(), { scripted: { nodes: 2 } });
    await world.read();
    const payment = await world.create();
    world.pay(payment);
    world.mine(5);
    await world.read();
    const [deposit] = await world.deposits(payment);
    const state = await readChain(world.db, world.network);
    const below = world.chain.at((deposit?.height ?? 0) - 1);
    if (deposit === undefined || state === null || below === null) throw new Error('nothing was paid');
    // Judged while it was not confirmed yet.
    const disconnected = [{ height: deposit.height, hash: deposit.blockHash, confirmed: new Set<number>() }];
    const context: CommitContext = {
      chain: world.chainConfig,
      latePolicy: 'flag',
      now: world.clock(),
    };
    const fork = { forkPoint: below, disconnected };
    expect(await inTransaction(world.db, (trx) => commitFork(trx, state, fork, context))).toBeNull();
    const span = {
      host: 'node-0',
      to: state.cursor,
      head: state.head,
      finalizedHeight: null,
      transfers: [],
      anchors: [],
      untraced: [],
      native: false,
      vanished: disconnected,
      answered: { at: world.clock(), steadyAt: world.clock() },
      news: 'standing' as const,
      readTime: state.cursor.time,
    };
    expect(await inTransaction(world.db, (trx) => commitSpan(trx, state.cursor, span, context))).toBeNull();
    expect(await readChain(world.db, world.network)).toEqual(state);
    expect(await world.status(payment)).toEqual({ status: 'confirmed', reason: null });
  });
});
