import { expect, test } from 'vitest';
import type { Transfer } from '../../../src/core/chain.ts';
import type { OnchainPayment } from '../../../src/core/payment.ts';
import { readChain } from '../../../src/storage/chains/chains.ts';
import { readCoverage, readRecheckMark } from '../../../src/storage/chains/recheck-marks.ts';
import { inTransaction } from '../../../src/storage/database.ts';
import { listDeposits } from '../../../src/storage/deposits/deposits.ts';
import { createOutages } from '../../../src/watchers/agreement/ask.ts';
import { tokensOf } from '../../../src/watchers/assets-in-use.ts';
import { reread } from '../../../src/watchers/recheck/read.ts';
import { evmKey } from '../../support/addresses.ts';
import { openWorld, type World, type WorldOptions } from '../../support/chain-world.ts';
import { describeDecisions } from '../../support/databases.ts';
import { InjectedFault, makeFaulty } from '../../support/faulty-db.ts';
import { addTestAddresses, tokenKey, txHash, usdt } from '../../support/payments.ts';
import type { ScriptedNode } from '../../support/scripted-chain.ts';

/*
 * L2: whatever a node leaves out without a word is found by the second reading, within one window. S3: how far that
 * got and what it found are one transaction.
 */

async function recheckedTo({ db, network }: World): Promise<number> {
  return (await readRecheckMark(db, network))?.position.height ?? -1;
}

function node({ chain }: World, n: number): ScriptedNode {
  const found = chain.nodes[n];
  if (found === undefined) throw new Error(`no node ${n}`);
  return found;
}

/** A payment whose customer has paid in time, in a transaction that the preferred node leaves out. */
async function openHidden(
  db: World['db'],
  { later = 4, ...options }: WorldOptions & { later?: number } = {},
) {
  const world = await openWorld(db, { scripted: { nodes: 2 }, ...options });
  await world.read();
  const payment = await world.create();
  const tx = world.pay(payment);
  node(world, 0).hides.add(tx);
  world.mine(1);
  const height = world.chain.head().height;
  world.mine(later);
  await world.read();
  expect(await world.deposits(payment)).toEqual([]);
  return { world, payment, tx, height };
}

/** A transfer that nobody made, in the last block but `below`. */
function invented({ chain, network }: World, n: number, payment: OnchainPayment, below: number): Transfer {
  const block = chain.at(chain.head().height - below);
  if (block === null) throw new Error('no such block');
  const recipient = evmKey(n);
  const { token, currency, expectedAmount: amount } = payment;
  return { network, txHash: txHash(666), token, currency, recipient, ordinal: 0, amount, block, logIndex: 9 };
}

describeDecisions('L2: a second reading', (openTestDb, kind) => {
  // A matter of time, not of the database.
  test.skipIf(kind !== 'SQLite').each([
    ['in use', 60, true],
    ['in use, at another pace', 20, true],
    ['in use by nobody', 60, false],
  ])('trails what is final by no more than its pace and some seconds, with addresses %s', async (...row) => {
    const [, recheckSeconds, used] = row;
    const world = await openWorld(await openTestDb(), {
      chain: { finality: 'finalized', recheckSeconds },
      scripted: { nodes: 2, finalityLag: 4 },
    });
    await world.read();
    if (used) await world.create();
    const finalAt = new Map<number, number>();
    let [stepAt, recheckAt, worst] = [0, 0, 0];
    for (let second = 0; second < (used ? 1_200 : 2_400); second++) {
      world.pass(1);
      if (second % 3 === 0) world.chain.mine();
      const final = world.chain.finalizedOf(world.chain.head()) ?? 0;
      if (!finalAt.has(final)) finalAt.set(final, world.clock());
      if (world.clock() >= stepAt) stepAt = (await world.step()).nextAt;
      if (world.clock() >= recheckAt) recheckAt = (await world.recheckStep()).nextAt;
      const rechecked = await recheckedTo(world);
      const unread = [...finalAt].filter(([height]) => height > rechecked).map(([, at]) => at);
      if (second > (used ? 300 : 600))
        worst = Math.max(worst, world.clock() - Math.min(...unread, world.clock()));
    }
    const paceMs = (used ? 1 : 8) * recheckSeconds * 1000;
    // At rest it is asked for every four minutes.
    expect(worst).toBeLessThanOrEqual(paceMs + (used ? 12_000 : 240_000));
    // And no more often than that: each time costs two requests to each node.
    const mostTimes = Math.ceil((used ? 1_200_000 : 2_400_000) / Math.min(60_000, paceMs)) + 2;
    expect(world.chain.calls.headsOfEach).toBeLessThanOrEqual(mostTimes);
  });

  test('shows that a block was read that is none of the chain: all from there on is read anew', async () => {
    const world = await openWorld(await openTestDb(), { scripted: { nodes: 2 } });
    await world.read();
    const [gone, again] = [await world.create(), await world.create()];
    world.pay(gone);
    const tx = world.pay(again);
    world.mine(1);
    await world.read();
    const { height } = world.chain.head();
    world.chain.reorg({ depth: 1, blocks: 1, place: (each) => (each === tx ? 0 : null) });
    // Two machines behind one name: one still has the cursor's block, the other what was made after its successor.
    const { source } = world.chain;
    const { poll } = source;
    source.poll = async (request) => {
      const { cursor } = request;
      const outcome = await poll({ ...request, cursor: world.chain.at(cursor.height) ?? cursor });
      if (outcome.kind === 'span' && outcome.span.to.height === cursor.height) outcome.span.to = cursor;
      return outcome;
    };
    world.chain.prefer(1);
    world.mine(4);
    await world.read();
    source.poll = poll;
    expect(await world.deposits(again)).toMatchObject([{ status: 'seen' }]);

    await world.recheck();
    await world.read();
    expect(world.lines).toContainEqual(
      expect.objectContaining({
        level: 'warn',
        msg: 'inconsistent blocks rolled back',
        fork_point: height - 1,
      }),
    );
    expect(await world.deposits(gone)).toMatchObject([{ status: 'orphaned' }]);
    expect(await world.deposits(again)).toMatchObject([
      { status: 'confirmed', height, blockHash: world.chain.at(height)?.hash },
    ]);
    expect(await world.recheck()).toBe('nothing');
    expect(await recheckedTo(world)).toBeGreaterThan(height);
  });

  test('finds what the first node left out in the middle of a range, from another, and it pays', async () => {
    const { world, payment, tx, height } = await openHidden(await openTestDb());
    expect(await world.recheck()).toBe('nothing');
    expect(await world.deposits(payment)).toMatchObject([{ txHash: tx, status: 'seen', role: 'counted' }]);
    expect(world.findings).toEqual(['missed']);
    expect(world.lines).toContainEqual(
      expect.objectContaining({
        level: 'warn',
        msg: 'missed transfer found',
        tx_hash: tx,
        height,
        payment_number: payment.paymentNumber,
        read_by: ['node-0'],
        found_by: 'node-1',
        agreed: true,
      }),
    );
    expect(world.chain.distrusted).toMatchObject([{ host: 'node-0' }]);
    await world.read();
    expect(await world.status(payment)).toEqual({ status: 'confirmed', reason: null });
    expect(await world.events(payment)).toEqual(['payment.detected', 'payment.confirmed']);
  });

  test('makes good on a payment that expired because of that', async () => {
    const { world, payment } = await openHidden(await openTestDb(), { later: 10 });
    expect(await world.status(payment)).toEqual({ status: 'expired', reason: null });
    await world.recheck();
    await world.read();
    expect(await world.status(payment)).toEqual({ status: 'confirmed', reason: null });
    expect(await world.events(payment)).toEqual(['payment.expired', 'payment.detected', 'payment.confirmed']);
  });

  test('finds the first of two transfers in one transaction, whose place the second was given', async () => {
    const world = await openWorld(await openTestDb(), { scripted: { nodes: 2 } });
    await world.read();
    const payment = await world.create();
    const tx = world.chain.send(world.transferTo(payment, 4), world.transferTo(payment, 6));
    world.mine(1);
    const [first, second] = world.chain.transfers();
    if (first === undefined || second === undefined) throw new Error('nothing was mined');
    node(world, 0).hides.add(tx);
    node(world, 0).invents.push({ ...second, ordinal: 0 });
    await world.read();
    expect(await world.deposits(payment)).toMatchObject([{ ordinal: 0, amount: second.amount }]);
    // Asked for the transaction it tells the truth.
    node(world, 0).invents.length = 0;
    world.mine(4);
    await world.read();
    await world.recheck();
    // What could not be confirmed as it was first recorded is looked at again after a while.
    world.pass(60);
    await world.read();
    const deposits = await world.deposits(payment);
    expect(deposits.map(({ ordinal, amount, status }) => [ordinal, amount, status]).sort()).toEqual([
      [0, first.amount, 'confirmed'],
      [1, second.amount, 'confirmed'],
    ]);
    expect(await world.status(payment)).toEqual({ status: 'confirmed', reason: null });
  });

  test('finds it with a single node that lied once', async () => {
    const { world, payment, tx } = await openHidden(await openTestDb(), { scripted: { nodes: 1 } });
    node(world, 0).hides.clear();
    await world.recheck();
    expect(await world.deposits(payment)).toMatchObject([{ txHash: tx }]);
    expect(world.findings).toEqual(['missed']);
    // Nobody is left to ask instead.
    expect(world.chain.distrusted).toEqual([]);
    await world.read();
    expect(await world.status(payment)).toMatchObject({ status: 'confirmed' });
  });

  test('never credits twice, however often it reads, whoever dies meanwhile', async () => {
    const { world, payment } = await openHidden(await openTestDb());
    await world.recheck();
    await world.read();
    const deposits = await world.deposits(payment);
    const events = await world.events(payment);
    for (let round = 0; round < 3; round++) {
      world.restart();
      world.mine(3);
      await world.read();
      await world.recheck();
    }
    // The same blocks a third time, as if the position had been lost.
    await inTransaction(world.db, (trx) =>
      trx
        .updateTable('chain_rechecks')
        .set({ height: 5, hash: world.chain.at(5)?.hash ?? '' })
        .execute(),
    );
    await world.recheck();
    await world.read();
    expect(await world.deposits(payment)).toEqual(deposits);
    expect(await world.events(payment)).toEqual(events);
    expect(world.findings).toEqual(['missed']);
  });

  test('that dies at any of its writes finds the same when it is repeated: one transaction holds it all', async () => {
    for (let write = 1; ; write++) {
      const db = await openTestDb();
      const faulty = makeFaulty(db);
      const { world, payment } = await openHidden(db, { watcherDb: faulty.db });
      const before = await recheckedTo(world);
      const written = faulty.writes();
      faulty.failAt(write);
      const died = await world.recheckStep().then(
        () => false,
        (error: unknown) => error instanceof InjectedFault,
      );
      faulty.failAt(null);
      if (died) {
        expect(await recheckedTo(world)).toBe(before);
        expect(await world.deposits(payment)).toEqual([]);
        expect(await world.events(payment)).toEqual([]);
      } else {
        expect(faulty.writes() - written).toBeLessThan(write);
      }
      await world.recheck();
      await world.read();
      expect(await world.events(payment)).toEqual(['payment.detected', 'payment.confirmed']);
      expect(await world.deposits(payment)).toHaveLength(1);
      if (!died) return;
    }
  });

  test('goes up to what is deep enough, remembers how far it got, and says so', async () => {
    const world = await openWorld(await openTestDb(), { scripted: { nodes: 2 } });
    await world.read();
    const { height } = world.chain.head();
    world.mine(20);
    await world.read();
    expect(await readCoverage(world.db, world.network)).toEqual({
      from: height + 1,
      ranges: [{ from: height + 1, to: height + 20 }],
      completeTo: height + 20,
      recheckedTo: null,
      gaps: [],
    });
    const first = await world.recheckStep();
    expect(first.kind).toBe('rechecked');
    // As much as one node serves at once, then on without waiting for the next window.
    expect(await recheckedTo(world)).toBe(height + 10);
    expect(first.nextAt).toBeLessThan(world.clock() + world.chainConfig.recheckSeconds * 1000);
    world.restart();
    await world.recheck();
    expect(await readCoverage(world.db, world.network)).toMatchObject({ recheckedTo: height + 18 });
    const { reread } = world.chain.calls;
    // While no address is in use it takes eight windows' time.
    const windowMs = world.chainConfig.recheckSeconds * 1000;
    expect(await world.recheckStep()).toEqual({ kind: 'nothing', nextAt: world.clock() + 8 * windowMs });
    await world.create();
    expect(await world.recheckStep()).toEqual({ kind: 'nothing', nextAt: world.clock() + windowMs });
    expect(world.chain.calls.reread).toBe(reread);
  });

  test('waits for finality where that is asked for', async () => {
    const world = await openWorld(await openTestDb(), {
      chain: { finality: 'finalized' },
      scripted: { nodes: 2, finalityLag: 8 },
    });
    await world.read();
    world.mine(20);
    await world.read();
    await world.recheck();
    expect(await recheckedTo(world)).toBe(world.chain.head().height - 8);
  });

  test('takes another node than the first; the same one only after five windows in vain, and says so', async () => {
    const { world, payment } = await openHidden(await openTestDb());
    node(world, 0).hides.clear();
    node(world, 1).up = false;
    for (let window = 0; window < 5; window++) expect(await world.recheck()).toBe('failed');
    expect(await world.deposits(payment)).toEqual([]);
    expect(world.lines.filter(({ msg }) => msg === 'chain recheck failing')).toMatchObject([{ failures: 5 }]);
    expect(await world.recheck()).toBe('nothing');
    expect(await world.deposits(payment)).toHaveLength(1);
  });

  test('asks the other one first again, however long nobody could be asked', async () => {
    const { world, payment } = await openHidden(await openTestDb());
    for (const { up } of [{ up: false }, { up: true }]) {
      for (const each of world.chain.nodes) each.up = up;
      if (!up) for (let window = 0; window < 7; window++) expect(await world.recheck()).toBe('failed');
    }
    expect(await world.recheck()).toBe('nothing');
    expect(await world.deposits(payment)).toHaveLength(1);
  });

  test('waits for no node that serves no logs: the other one is alone', async () => {
    const { world, payment } = await openHidden(await openTestDb());
    node(world, 0).hides.clear();
    node(world, 1).lacks.push('logs', 'receipts');
    expect(await world.recheck()).toBe('nothing');
    expect(await world.deposits(payment)).toHaveLength(1);
  });

  test('takes a node that is a little behind', async () => {
    const world = await openWorld(await openTestDb(), { scripted: { nodes: 2 } });
    await world.read();
    for (let n = 0; n < 6; n++) {
      world.mine(1);
      await world.read();
    }
    node(world, 1).view = { behind: 2 };
    expect(await world.recheck()).toBe('nothing');
    expect(await recheckedTo(world)).toBe(world.chain.head().height - 2);
  });

  test('takes no node’s word that has another block where ours is known', async () => {
    const { world, payment } = await openHidden(await openTestDb());
    const other = node(world, 1);
    const { hash } = world.chain.head();
    world.chain.reorg({ depth: 5, blocks: 8, place: () => null });
    other.view = { stuckAt: world.chain.head().hash };
    world.chain.revive(hash);
    const before = await recheckedTo(world);
    expect(await world.recheck()).toBe('failed');
    expect([await recheckedTo(world), await world.deposits(payment)]).toEqual([before, []]);
    other.view = 'tip';
    await world.recheck();
    expect(await world.deposits(payment)).toHaveLength(1);
  });

  test('of blocks that a reorg took back meanwhile changes nothing', async () => {
    const { world, payment } = await openHidden(await openTestDb());
    const before = await recheckedTo(world);
    const { source } = world.chain;
    const { reread } = source;
    source.reread = async (request) => {
      const outcome = await reread(request);
      source.reread = reread;
      // Deep, and read on past what the second reading has in hand.
      world.chain.reorg({ depth: 5, blocks: 9, place: () => null });
      await world.read();
      return outcome;
    };
    expect((await world.recheckStep()).kind).toBe('stale');
    expect([await recheckedTo(world), await world.deposits(payment)]).toEqual([before, []]);
    await world.recheck();
    expect(await world.deposits(payment)).toEqual([]);
    expect(world.findings).toEqual([]);
  });

  test('goes back to a block that is known to stand when the node that showed it the last one had lied', async () => {
    const { world, payment } = await openHidden(await openTestDb());
    await world.recheck();
    await world.read();
    const events = await world.events(payment);
    const rechecked = await recheckedTo(world);
    await world.db
      .updateTable('chain_rechecks')
      .set({ hash: `0x${'66'.repeat(32)}` })
      .execute();
    world.mine(4);
    await world.read();
    for (let window = 0; window < 5; window++) expect(await world.recheck()).toBe('failed');
    expect(await recheckedTo(world)).toBe(rechecked);
    const begun: number[] = [];
    const { source } = world.chain;
    const { reread } = source;
    source.reread = (request) => {
      begun.push(request.cursor.height);
      return reread(request);
    };
    expect(await world.recheck()).toBe('nothing');
    expect(begun.some((height) => height < rechecked)).toBe(true);
    expect(await recheckedTo(world)).toBe(world.chain.head().height - 2);
    expect(await world.events(payment)).toEqual(events);
    expect(await world.deposits(payment)).toHaveLength(1);
  });

  test('is taken back with the blocks that a reorg replaces, and repeated on the new ones', async () => {
    const world = await openWorld(await openTestDb(), { scripted: { nodes: 2 } });
    await world.read();
    for (let n = 0; n < 10; n++) {
      world.mine(1);
      await world.read();
    }
    await world.recheck();
    const { height } = world.chain.head();
    expect(await recheckedTo(world)).toBe(height - 2);
    const payment = await world.create();
    const tx = world.pay(payment);
    node(world, 0).hides.add(tx);
    world.mine(1);
    world.chain.reorg({ depth: 6, blocks: 8, place: () => 1 });
    await world.read();
    expect(await recheckedTo(world)).toBe(height - 5);
    await world.recheck();
    expect(await recheckedTo(world)).toBe(world.chain.head().height - 2);
    expect(await readCoverage(world.db, world.network)).toMatchObject({ gaps: [] });
    expect((await listDeposits(world.db, { limit: 10 })).deposits).toMatchObject([{ txHash: tx }]);
  });

  test('records what was left out for nobody, too', async () => {
    const world = await openWorld(await openTestDb(), { scripted: { nodes: 2 } });
    await world.read();
    const recipient = evmKey(1);
    const token = tokenKey(world.network, 'usdt');
    node(world, 0).hides.add(world.chain.send({ token, currency: 'usdt', recipient, amount: usdt(7) }));
    world.mine(5);
    await world.read();
    await world.recheck();
    const { deposits } = await listDeposits(world.db, { limit: 10 });
    expect(deposits).toMatchObject([{ role: 'unmatched', unmatchedReason: 'no_payment', amount: usdt(7) }]);
  });

  test('does not look for what an address got before it was listed', async () => {
    const world = await openWorld(await openTestDb(), { scripted: { nodes: 2 }, addresses: 1 });
    await world.read();
    const [recipient, token] = [evmKey(7), tokenKey(world.network, 'usdt')];
    world.chain.send({ token, currency: 'usdt', recipient, amount: usdt(7) });
    world.mine(10);
    await world.read();
    world.pass(61);
    await world.db.updateTable('addresses').set({ created_at: world.clock() }).execute();
    await addTestAddresses(world.db, world.merchantId, { network: 'bsc', first: 7, count: 1 });
    await world.db.updateTable('addresses').set({ created_at: world.clock() }).execute();
    await world.recheck();
    expect(world.findings).toEqual([]);
    expect((await listDeposits(world.db, { limit: 10 })).deposits).toEqual([]);
  });

  test('reads blocks whole where the first reading did, and only there', async () => {
    const world = await openWorld(await openTestDb(), { scripted: { nodes: 2 } });
    await world.read();
    world.mine(3);
    await world.read();
    const before = new Set(world.chain.readNatively);
    const payment = await world.create('native');
    const tx = world.pay(payment);
    node(world, 0).hides.add(tx);
    world.mine(5);
    await world.read();
    expect([before.size, world.chain.readNatively.size]).toEqual([0, 5]);
    const { height } = world.chain.head();
    const { source } = world.chain;
    const { reread } = source;
    const ranges: [from: number, to: number, native: boolean][] = [];
    source.reread = (request) => {
      ranges.push([request.cursor.height + 1, request.upTo, request.native]);
      return reread(request);
    };
    await world.recheck();
    expect(ranges).toEqual([
      [height - 7, height - 5, false],
      [height - 4, height - 2, true],
    ]);
    expect(await world.deposits(payment)).toMatchObject([{ txHash: tx, token: 'native', role: 'counted' }]);
    world.mine(3);
    await world.read();
    expect(await world.status(payment)).toMatchObject({ status: 'confirmed' });
  });
});

describeDecisions('a deposit that another node does not show', (openTestDb) => {
  /** A payment confirmed with a transfer that only the preferred node of several knows of. */
  async function openForged(nodes: number) {
    const world = await openWorld(await openTestDb(), { scripted: { nodes } });
    await world.read();
    const payment = await world.create();
    world.mine(5);
    node(world, 0).invents.push(invented(world, 1, payment, 4));
    // Nobody else can be asked before the confirmation.
    const others = world.chain.nodes.slice(1);
    for (const other of others) other.lacks = ['receipts'];
    await world.read();
    for (let passed = 0; passed <= 60; passed += 5) {
      world.pass(5);
      await world.step();
    }
    expect(await world.status(payment)).toMatchObject({ status: 'confirmed' });
    for (const other of others) other.lacks = [];
    world.lines.length = 0;
    return { world, payment };
  }

  test('nor a third is taken back with its payment, and alarmed', async () => {
    const { world, payment } = await openForged(3);
    expect(await world.recheck()).toBe('nothing');
    expect(await world.deposits(payment)).toMatchObject([{ status: 'orphaned' }]);
    expect(await world.status(payment)).toEqual({ status: 'failed', reason: 'reorged' });
    expect(await world.events(payment)).toEqual([
      'payment.detected',
      'payment.confirmed',
      'payment.reverted',
    ]);
    expect(world.findings).toEqual(['vanished']);
    const alarms = world.lines.filter(({ level }) => level === 'warn');
    expect(alarms).toMatchObject([
      {
        msg: 'recorded transfer not on the chain',
        payment_number: payment.paymentNumber,
        read_by: ['node-0'],
        found_by: 'node-1',
      },
      { msg: 'confirmed payment reverted', payment_number: payment.paymentNumber },
    ]);
  });

  test('but the first upholds stays, is alarmed, and holds up the second reading for five windows', async () => {
    const { world, payment } = await openForged(2);
    const before = await recheckedTo(world);
    for (let window = 0; window < 5; window++) expect(await world.recheck()).toBe('failed');
    expect(await recheckedTo(world)).toBe(before);
    expect(await world.deposits(payment)).toMatchObject([{ status: 'confirmed' }]);
    expect(world.findings).toEqual(Array.from({ length: 5 }, () => 'disputed'));
    expect(world.lines).toContainEqual(
      expect.objectContaining({ level: 'warn', msg: 'nodes disagree about a transfer' }),
    );
    // Two against each other: nobody is found guilty.
    expect(world.chain.distrusted).toEqual([]);
    expect(await world.recheck()).toBe('nothing');
  });

  test('but a third does stays, and the one that left it out is not believed', async () => {
    const world = await openWorld(await openTestDb(), { scripted: { nodes: 3 } });
    await world.read();
    const payment = await world.create();
    const tx = world.pay(payment);
    world.mine(5);
    await world.read();
    node(world, 1).hides.add(tx);
    const before = await recheckedTo(world);
    expect(await world.recheckStep()).toEqual({ kind: 'stale', nextAt: world.clock() });
    expect([await recheckedTo(world), world.chain.distrusted]).toMatchObject([before, [{ host: 'node-1' }]]);
    expect(await world.status(payment)).toMatchObject({ status: 'confirmed' });
    // The third is asked at once.
    expect(await world.recheck()).toBe('nothing');
    expect(await recheckedTo(world)).toBeGreaterThan(before);
    expect(world.findings).toEqual(['disputed']);
  });

  test('stays while nobody can say, without an alarm', async () => {
    const { world, payment } = await openForged(3);
    node(world, 0).knowsTransactions = false;
    node(world, 2).up = false;
    expect(await world.recheck()).toBe('failed');
    expect(await world.deposits(payment)).toMatchObject([{ status: 'confirmed' }]);
    expect(world.findings).toEqual([]);
    node(world, 2).up = true;
    await world.recheck();
    expect(world.findings).toEqual(['vanished']);
  });

  test('nor the same node later, where there is only one, is taken back', async () => {
    const { world, payment } = await openForged(1);
    node(world, 0).invents.length = 0;
    await world.recheck();
    expect(await world.status(payment)).toEqual({ status: 'failed', reason: 'reorged' });
  });

  test('because its address is not watched any more stays', async () => {
    const world = await openWorld(await openTestDb(), { scripted: { nodes: 2 } });
    await world.read();
    const cursor = world.chain.head();
    const payment = await world.create();
    world.pay(payment);
    world.mine(5);
    await world.read();
    const anchor = world.chain.head();
    const range = { cursor, upTo: anchor.height, anchor, native: false, hosts: new Set<string>() };
    const watch = { has: () => false, size: 0, keys: () => [] };
    const { db, chainConfig: chain } = world;
    const { source } = world.chain;
    const outcome = await reread(
      {
        db,
        readFor: { chain, tokens: tokensOf(chain) },
        source,
        watch,
        outages: createOutages(world.clock, source, 0),
      },
      range,
      new Set(),
      new AbortController().signal,
    );
    expect(outcome).toMatchObject({
      kind: 'reading',
      reading: { span: { to: anchor }, known: 0, missed: [], vanished: [], disputed: [] },
    });
  });

  test('because its token is not configured any more stays', async () => {
    const world = await openWorld(await openTestDb(), { scripted: { nodes: 2 } });
    await world.read();
    const payment = await world.create('usdc');
    const tx = world.pay(payment);
    world.mine(5);
    await world.read();
    const { assets } = world.chainConfig;
    Object.assign(world.chainConfig, { assets: assets.filter(({ currency }) => currency !== 'usdc') });
    world.pass(3600);
    world.restart();
    // A real node is not asked for it then; this one shows what it has of whatever is watched.
    for (const { hides } of world.chain.nodes) hides.add(tx);
    expect(await world.recheck()).toBe('nothing');
    expect(await world.status(payment)).toMatchObject({ status: 'confirmed' });
    expect(world.findings).toEqual([]);
  });
});

describeDecisions('While reading is behind the chain, a second reading', (openTestDb) => {
  test('leaves the nodes to it, but for one every ten minutes', async () => {
    const world = await openWorld(await openTestDb(), { scripted: { nodes: 2, maxRange: 5 } });
    await world.read();
    world.mine(5);
    await world.read();
    await world.recheck();
    const before = await recheckedTo(world);
    world.mine(20);
    await world.step();
    await world.step();
    expect((await readChain(world.db, world.network))?.cursor.height).toBeLessThan(
      world.chain.head().height - 5,
    );
    expect(await world.recheck()).toBe('nothing');
    expect(await recheckedTo(world)).toBe(before);
    world.pass(600);
    expect((await world.recheckStep()).kind).toBe('rechecked');
    expect(await world.recheck()).toBe('nothing');
    await world.read();
    await world.recheck();
    expect(await recheckedTo(world)).toBe(world.chain.head().height - 2);
  });
});
